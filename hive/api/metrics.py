"""Figures as Prometheus reads them: a name, labels and a number a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hive.service.figures import Figures

MEDIA: Final = "text/plain; version=0.0.4"
QUANTILES: Final = (0.5, 0.9, 0.99)
Labels = Mapping[str, str]
Sample = tuple[Labels, float]


def text(figures: Figures) -> str:
    return "\n".join((*_lines(figures), ""))


def _lines(of: Figures) -> Iterator[str]:
    yield from _gauge("hive_info", "This hive.", [({"version": of.version}, 1)])
    yield from _gauge(
        "hive_jobs",
        "Jobs by kind and state.",
        [({"kind": kind, "state": state}, n) for (kind, state), n in sorted(of.jobs.items())],
    )
    yield from _gauge(
        "hive_queue_age_seconds",
        "How long the oldest job that could be claimed has waited.",
        [({"node": node}, age) for node, age in sorted(of.queue_age.items())],
    )
    yield from _times(
        "hive_job_claim_seconds", "From request to first attempt, last 15 minutes.", of.claimed
    )
    yield from _times("hive_job_run_seconds", "From first attempt to end, last 15 minutes.", of.ran)
    yield from _gauge(
        "hive_rescues", "Rescues that the rows of jobs count, since their retry.", [({}, of.losses)]
    )
    yield from _gauge(
        "hive_fenced_writes",
        "Writes of attempts that had lost their job, each refused, as the last events tell.",
        [({}, of.fenced)],
    )
    yield from _gauge(
        "hive_agents_desired",
        "Agents by what is wanted of them.",
        [({"node": node, "desired": word}, n) for (node, word), n in sorted(of.desired.items())],
    )
    yield from _gauge(
        "hive_agents",
        "Agents of this host by the state of their unit.",
        [({"state": state}, n) for state, n in sorted(of.states.items())],
    )
    yield from _gauge(
        "hive_workers",
        "Processes that live, by node and role.",
        [({"node": node, "role": role}, n) for (node, role), n in sorted(of.workers.items())],
    )


def _times(name: str, what: str, seconds: Mapping[str, Sequence[float]]) -> Iterator[str]:
    samples: list[Sample] = []
    for kind, found in sorted(seconds.items()):
        ordered = sorted(found)
        for quantile in QUANTILES:
            at = min(len(ordered) - 1, int(quantile * len(ordered)))
            samples.append(({"kind": kind, "quantile": str(quantile)}, ordered[at]))
    yield from _gauge(name, what, samples)


def _gauge(name: str, what: str, samples: Sequence[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {what}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        said = ",".join(f'{key}="{_escaped(word)}"' for key, word in labels.items())
        yield f"{name}{{{said}}} {value:g}" if said else f"{name} {value:g}"


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
