"""Every kind of job that hive knows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.approval import Seen
from hive.domain.job import BUILDING, IDLE, URGENT, Job
from hive.domain.meta import Base
from hive.domain.names import AgentName, NodeName, Rev
from hive.domain.notifier import TEST, Notifier
from hive.domain.roster import Roster
from hive.errors import Fault, Refused
from hive.jobs.adopt import Adopt
from hive.jobs.apply import Apply, Rollback
from hive.jobs.destroy import Destroy, Purge
from hive.jobs.limit import Limit
from hive.jobs.notify import Notify
from hive.jobs.power import Restart, Start, Stop
from hive.jobs.prune import Prune
from hive.jobs.rebuild import Rebuild
from hive.jobs.recipe import Recipe
from hive.jobs.reconcile import Reconcile
from hive.jobs.spawn import Spawn
from hive.jobs.tidy import Tidy
from hive.jobs.update_base import UpdateBase
from hive.steps.gate import Approved
from hive.steps.pruned import Past
from hive.steps.running import Restarts

KINDS: Final = tuple(
    kind.kind
    for kind in (
        Spawn, Apply, Rebuild, Rollback, Start, Stop, Restart, Limit, Destroy, Purge, UpdateBase,
        Adopt, Reconcile, Tidy, Prune, Notify,
    )
)  # fmt: skip
OUTRANK: Final = frozenset(one.kind for one in (Start, Stop, Restart, Destroy, Purge))
"""Kinds for which a build of the agent makes way."""
ENDING: Final = frozenset({Destroy.kind, Purge.kind})
"""Kinds after which there is no agent."""
BESIDE: Final = frozenset({Tidy.kind, Limit.kind})
"""Kinds whose end says nothing of how an agent fares."""
DEPLOYING: Final = BUILDING - {Spawn.kind}
"""Kinds that make a container anew where there is none, of an agent that was there before."""
PROPOSING: Final = frozenset({Apply.kind, Rollback.kind})
"""Kinds that deploy a commit of their own, and leave a trail of tags."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knows besides, for the kinds that ask for it."""

    roster: Roster | None = None
    settings: AgentSettings = field(default_factory=AgentSettings)
    """Of an agent that is new."""
    kept: frozenset[Path] = frozenset()
    """Closures that the last jobs of an agent have deployed, or built for approval."""
    waits: bool = False
    """A job of the agent waits at its gate."""
    failed_on: frozenset[tuple[AgentName, str]] = frozenset()
    """Agents that could not be rebuilt on a base, with the URL of that."""
    past: Past | None = None
    """What there is to prune."""
    notifier: Notifier | None = None
    """The one that the job is to call."""


def recipe(
    job: Job, agent: Agent | None, *, builds_first: bool = True, known: Known | None = None
) -> Recipe:
    """The recipe of a job, with what the database knows of its agent handed in."""
    if found := _without_row(job, known or Known()):
        return found
    if agent is None:
        raise Fault(f"job {job.id} is about an agent that has no row: {job.agent}")
    if agent.desired is Desired.DESTROYED and job.kind in DEPLOYING and not job.restoring:
        raise Refused(
            f"{agent.name} was destroyed since this was asked for",
            code="agent-destroyed",
            hint=f"hive spawn {agent.name} brings it back",
        )
    restarts = Restarts(job.ask.get("restart", Restarts.AUTO))
    match job.kind:
        case Spawn.kind:
            return Spawn(agent, job.id, _gate(job, agent) if job.ask.get("gate") else None)
        case Apply.kind | Rollback.kind as kind:
            of = Apply if kind == Apply.kind else Rollback
            rev = Rev(job.ask["rev"])
            return of(agent, job.id, rev, _gate(job, agent), builds_first, restarts)
        case Rebuild.kind:
            base = job.ask.get("base")
            return Rebuild(agent, job.id, Base(**base) if base else None, restarts)
        case Start.kind:
            return Start(agent)
        case Stop.kind:
            return Stop(agent)
        case Restart.kind:
            return Restart(agent, job.created_at)
        case Limit.kind:
            return Limit(agent)
        case Destroy.kind:
            return Destroy(agent.name, job.id)
        case Purge.kind:
            return Purge(agent.name, job.id)
        case _:
            raise Fault(f"job {job.id} is of a kind that this hive does not know: {job.kind}")


def _without_row(job: Job, known: Known) -> Recipe | None:
    """The kinds that need no row of an agent."""
    match job.kind:
        case UpdateBase.kind:
            return UpdateBase(job.id, known.failed_on)
        case Adopt.kind:
            return _adopt(job)
        case Reconcile.kind:
            return Reconcile(known.roster or Roster(job.node, job.created_at), known.settings)
        case Tidy.kind if job.agent is not None:
            return Tidy(job.agent, known.kept, known.waits)
        case Prune.kind if known.past is not None:
            return Prune(known.past, job.created_at)
        case Notify.kind if known.notifier is not None:
            return _notify(job, known.notifier)
        case _:
            return None


def lock_of(node: NodeName, agent: AgentName) -> str:
    """The lock that one running job of an agent holds."""
    return f"agent:{node}/{agent}"


def priority_of(kind: str) -> int:
    """What outranks a build goes first, and what only tidies up goes last."""
    if kind in OUTRANK:
        return URGENT
    return IDLE if kind == Tidy.kind else 0


def unique_key(
    kind: str,
    node: NodeName,
    agent: AgentName | None,
    ask: Mapping[str, Any],
    settings: AgentSettings | None = None,
) -> str:
    """Equal work: the same kind, for the same agent, of the same commit or on the same base.

    And with the same word on restarts, or who asks for one would be given a job without; of what
    applies the agent's settings, with the same ones.
    """
    of = ask.get("rev") or (ask.get("base") or {}).get("url") or ""
    applied = _digest(settings) if settings and kind in (Rebuild.kind, Limit.kind) else ""
    words = (kind, f"{node}/{agent or ''}", of, ask.get("restart", ""), applied)
    return ":".join(word for word in words if word)


def base_lock(node: NodeName) -> str:
    """The lock of what is about the base of a node."""
    return f"base:{node}"


def _adopt(job: Job) -> Adopt:
    """What was found when it was asked for."""
    agents, kept = (tuple(map(AgentName, job.ask[key])) for key in ("agents", "kept"))
    return Adopt(job.node, job.id, agents, kept, AgentSettings.from_json(job.ask["settings"]))


def _notify(job: Job, notifier: Notifier) -> Notify:
    """Whoever was switched off meanwhile is not called; a test calls all the same."""
    event = job.ask["event"]
    if not notifier.enabled and event["kind"] != TEST:
        raise Refused(
            f"the notifier {notifier.name} is switched off",
            code="notifier-off",
            hint=f"hive notify enable {notifier.name}",
        )
    return Notify(notifier, job.id, event)


def _digest(settings: AgentSettings) -> str:
    said = json.dumps(settings.as_json(), sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _gate(job: Job, agent: Agent) -> Approved:
    seen = Seen.from_json(job.seen) if job.seen else None
    return Approved(agent.name, job.id, job.approved_by, seen)
