"""One door for every kind of lifecycle job, for faces that are told the kind as a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hive.domain.job import Job, JobId
from hive.domain.names import AgentName, NodeName
from hive.errors import Refused
from hive.queue.host import Host
from hive.queue.submit import Submitted
from hive.service import agents, approvals, lifecycle, plans, sweeps
from hive.service.lifecycle import Asked
from hive.service.plans import Planned
from hive.steps.running import Restarts


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for, in words that were not looked at yet."""

    kind: str
    agent: AgentName | None = None
    rev: str | None = None
    message: str | None = None
    restart: str | None = None
    to: JobId | None = None
    all_nodes: bool = False
    is_gated: bool = False
    """Where the policy says so, what it makes anew waits for an operator."""

    @property
    def is_many(self) -> bool:
        """It is a job for each agent, or each node."""
        return self.all_nodes or (self.kind == "rebuild" and self.agent is None)

    @property
    def restarts(self) -> Restarts:
        try:
            return Restarts(self.restart or Restarts.AUTO)
        except ValueError:
            raise _unfit(f"restart cannot be {self.restart!r}") from None

    @property
    def name(self) -> AgentName:
        if self.agent is None:
            raise _unfit(f"{self.kind} is about an agent: say which")
        return self.agent


def submit(host: Host, wish: Wish, asked: Asked) -> Submitted:
    """One job. Raises `Refused` for a kind that is none."""
    ask = KINDS.get(wish.kind)
    if ask is None:
        raise _unfit(f"{wish.kind!r} is no kind of job that can be asked for")
    return ask(host, wish, asked)


def submit_many(host: Host, wish: Wish, asked: Asked) -> list[Job]:
    """A job for each agent of the node, or for each node."""
    if asked.key is not None:
        raise _unfit("a key names one request, and this is many")
    if wish.kind == "rebuild" and not wish.all_nodes:
        return lifecycle.rebuild_all(host, asked, restarts=wish.restarts)
    if wish.kind == "reconcile":
        return sweeps.sweep_all(host, asked)
    raise _unfit(f"{wish.kind} is not asked for on all nodes")


def planned(host: Host, wish: Wish, *, node: NodeName | None) -> Planned:
    """What such a job would find right now, step by step; nothing is touched."""
    if wish.kind == "update-base":
        return plans.of_base(host, node=node)
    if wish.kind == "spawn":
        return agents.plan_spawn(host, wish.name, node=node)
    kind = "apply" if wish.kind == "propose" else wish.kind
    return plans.planned(host, kind, wish.name, node=node, rev=wish.rev, to=wish.to)


def _spawn(host: Host, wish: Wish, asked: Asked) -> Submitted:
    return agents.spawn(
        host, wish.name, requested_by=asked.by, key=asked.key, node=asked.node,
        gated=wish.is_gated,
    )  # fmt: skip


def _propose(host: Host, wish: Wish, asked: Asked) -> Submitted:
    return lifecycle.propose(
        host, wish.name, _rev(wish), asked, message=wish.message, restarts=wish.restarts
    )


def _apply(host: Host, wish: Wish, asked: Asked) -> Submitted:
    """Also of what was only proposed before, where that waits already."""
    submitted = lifecycle.propose(
        host, wish.name, _rev(wish), asked,
        message=wish.message, restarts=wish.restarts, approved=True,
    )  # fmt: skip
    if not lifecycle.is_unapproved(submitted.job):
        return submitted
    return replace(submitted, job=approvals.approve(host, submitted.job.id, by=asked.by))


def _rev(wish: Wish) -> str:
    if wish.rev is None:
        raise _unfit(f"{wish.kind} is of a commit: say which, as rev")
    return wish.rev


def _unfit(because: str) -> Refused:
    return Refused(because, code="bad-request", hint="see docs/api.md")


KINDS: Final[Mapping[str, Callable[[Host, Wish, Asked], Submitted]]] = {
    "spawn": _spawn,
    "propose": _propose,
    "apply": _apply,
    "rollback": lambda host, wish, asked: lifecycle.rollback(host, wish.name, asked, to=wish.to),
    "rebuild": lambda host, wish, asked: lifecycle.rebuild(
        host, wish.name, asked, restarts=wish.restarts
    ),
    "start": lambda host, wish, asked: lifecycle.start(host, wish.name, asked),
    "stop": lambda host, wish, asked: lifecycle.stop(host, wish.name, asked),
    "restart": lambda host, wish, asked: lifecycle.restart(host, wish.name, asked),
    "destroy": lambda host, wish, asked: lifecycle.destroy(host, wish.name, asked),
    "purge": lambda host, wish, asked: lifecycle.purge(host, wish.name, asked),
    "update-base": lambda host, _, asked: lifecycle.update_base(host, asked),
    "reconcile": lambda host, _, asked: sweeps.sweep(host, asked),
}


def node_of(text: str | None) -> NodeName | None:
    return None if text is None else NodeName(text)
