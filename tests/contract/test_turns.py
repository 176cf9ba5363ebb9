"""Hands of one worker that end their jobs at the same moment, and what one of them may spoil."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hive.domain.job import Job, JobState
from hive.domain.names import AgentName
from hive.errors import HiveError, IllegalMove, Transient
from hive.queue import turns as turns_room
from hive.queue.turns import LANES, MOST, Turns
from hive.store import claims, jobs, moves
from hive.store.claims import Turn, Turned
from tests.contract.queue_samples import Bench, a_bench, until

SUCCEEDED, RUNNING, QUEUED = JobState.SUCCEEDED, JobState.RUNNING, JobState.QUEUED
BUSY = [f"busy{number}" for number in range(LANES)]
NAMES = ("ann", "ben", "cid", "dot", "eve")


@pytest.fixture
def stored(tmp_path: Path, database_url: str) -> Iterator[Bench]:
    with a_bench(tmp_path, HIVE_DATABASE_URL=database_url) as bench:
        yield bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as bench:
        yield bench


@dataclass
class Gate:
    """In front of the database: the first who would write stand there until it opens."""

    seen: list[int] = field(default_factory=list)
    opened: threading.Event = field(default_factory=threading.Event)

    def before(self, write: Callable[[Turns, Sequence[Turn]], list[Turned]]) -> Any:  # noqa: ANN401
        def gated(turns: Turns, given: Sequence[Turn]) -> list[Turned]:
            self.seen.append(len(given))
            if len(self.seen) <= LANES:
                assert self.opened.wait(20)
            return write(turns, given)

        return gated


def ended_together(
    bench: Bench, gate: Gate, names: Sequence[str], *, spoil: Callable[[], object] = bool
) -> list[Future[Turned]]:
    """All of `names` end their jobs while every lane is taken; then it opens."""
    turns = bench.turns()
    held = {name: _with_a_next(bench, name) for name in (*BUSY, *names)}

    def over(name: str) -> Turned:
        return turns.over(Turn(held[name], {"result": {"of": name}}))

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(LANES + len(names)) as hands:
        patch.setattr(Turns, "_written", gate.before(Turns._written))
        busy = [hands.submit(over, name) for name in BUSY]
        until(lambda: len(gate.seen) == LANES)
        others = [hands.submit(over, name) for name in names]
        until(lambda: len(turns._waiting) == len(names))
        spoil()
        gate.opened.set()
        for one in (*busy, *others):
            one.exception(20)
    return others


def _with_a_next(bench: Bench, name: str) -> Job:
    bench.submit(name)
    bench.submit(name)
    return bench.claimed(name)


def test_those_that_wait_share_one_transaction(stored: Bench) -> None:
    gate = Gate()
    turned = [one.result() for one in ended_together(stored, gate, NAMES)]
    assert gate.seen == [1] * LANES + [len(NAMES)]
    for name, (ended, following) in zip(NAMES, turned, strict=True):
        assert (ended.agent, ended.state, ended.result) == (name, SUCCEEDED, {"of": name})
        assert following is not None
        assert (following.agent, following.state) == (name, RUNNING)
        assert [stored.job(one) for one in (ended, following)] == [ended, following]


def test_no_more_than_so_many_share_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_room, "MOST", 2)
    gate = Gate()
    ended_together(bench, gate, NAMES)
    assert len(NAMES) < MOST
    assert sorted(gate.seen[LANES:]) == [1, 2, 2]


def test_one_whose_job_is_anothers_does_not_keep_the_others(stored: Bench) -> None:
    """It was lost and queued again meanwhile; its next is not claimed either."""
    gate = Gate()

    def lose() -> None:
        (job,) = [one for one in _running(stored) if one.agent == "cid"]
        with stored.database.write() as session:
            moves.rescue(session, job, now=stored.clock.now())

    others = ended_together(stored, gate, NAMES, spoil=lose)
    for name, one in zip(NAMES, others, strict=True):
        if name == "cid":
            assert isinstance(one.exception(), IllegalMove)
        else:
            assert [job and job.state for job in one.result()] == [SUCCEEDED, RUNNING]
    assert {job.state for job in _all(stored, "cid")} == {QUEUED}


def test_what_goes_wrong_with_all_is_told_to_each(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Together, and then each for itself."""
    gate = Gate()
    others = ended_together(
        bench, gate, NAMES, spoil=lambda: monkeypatch.setattr(claims, "turn_over", down)
    )
    assert [type(one.exception()) for one in others] == [Transient] * len(NAMES)
    assert sorted(gate.seen) == [1] * (LANES + len(NAMES)) + [len(NAMES)]
    assert len(_running(bench)) == len(BUSY) + len(NAMES)


def down(*_: object, **__: object) -> list[Turned]:
    raise Transient("it is away", code="database-unavailable")


def test_after_trouble_the_next_is_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    turns, job = bench.turns(), _with_a_next(bench, "ann")

    for _ in range(2 * LANES):
        with monkeypatch.context() as patch:
            patch.setattr(claims, "turn_over", down)
            with pytest.raises(HiveError):
                turns.over(Turn(job, {}))
    ended, following = turns.over(Turn(job, {}))
    assert (ended.state, following is not None) == (SUCCEEDED, True)


def _running(bench: Bench) -> list[Job]:
    return [job for name in (*BUSY, *NAMES) for job in _all(bench, name) if job.state is RUNNING]


def _all(bench: Bench, name: str) -> list[Job]:
    with bench.database.read() as session:
        return jobs.listed(session, agent=AgentName(name))
