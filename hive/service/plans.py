"""What a verb would find and do right now, step by step; nothing is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hive.domain.agent import Agent
from hive.domain.job import Job, JobId, JobState
from hive.domain.names import AgentName, NodeName
from hive.jobs import catalog
from hive.jobs.apply import Apply, Rollback
from hive.jobs.recipe import Recipe
from hive.jobs.runner import preview
from hive.jobs.update_base import UpdateBase
from hive.queue.drive import refuse_elsewhere
from hive.queue.host import Host
from hive.service import lifecycle
from hive.service.ground import looked_at
from hive.service.lifecycle import LOOKS
from hive.steps.step import Finding, Holds, name_of

Planned = list[tuple[str, Finding]]


def planned(
    host: Host,
    kind: str,
    name: AgentName,
    *,
    node: NodeName | None = None,
    rev: str | None = None,
    to: JobId | None = None,
) -> Planned:
    """Of a verb on an agent; `rev` where it proposes one, `to` where it goes back."""
    refuse_elsewhere(host, node or host.node, LOOKS)
    world = looked_at(host)
    agent = lifecycle.known(host, name, host.node)
    ask: dict[str, Any] = {}
    if kind == Apply.kind:
        ask["rev"] = world.resolve(name, rev or "")
    elif kind == Rollback.kind:
        ask["rev"] = lifecycle.earlier(host, name, to)[1]
    return of(
        host,
        _recipe(host, kind, replace(agent, desired=lifecycle.WANTS.get(kind, agent.desired)), ask),
    )


def of_base(host: Host, *, node: NodeName | None = None) -> Planned:
    refuse_elsewhere(host, node or host.node, LOOKS)
    return of(host, UpdateBase(UNGIVEN))


def of(host: Host, recipe: Recipe) -> Planned:
    world = looked_at(host)
    return [(name_of(step), finding) for step, finding in preview(recipe.plan(), world)]


def step_as_json(name: str, finding: Finding) -> dict[str, Any]:
    return {"name": name, "holds": isinstance(finding, Holds), "because": finding.because}


UNGIVEN = JobId(0)
"""The number of a job that is not there."""


def _recipe(host: Host, kind: str, agent: Agent, ask: Mapping[str, Any]) -> Recipe:
    now = host.clock.now()
    job = Job(
        id=UNGIVEN, kind=kind, node=agent.node, agent=agent.name, ask=ask, state=JobState.QUEUED,
        attempt=0, failures=0, losses=0, restoring=False,
        lock=catalog.lock_of(agent.node, agent.name), series=None, priority=0, worker=None,
        cancel_requested_at=None, parent_id=None, superseded_by=None, approved_at=None,
        approved_by=None, seen=None, requested_by="", created_at=now, started_at=None,
        finished_at=None, run_at=None, error=None, result=None,
    )  # fmt: skip
    return catalog.recipe(job, agent, builds_first=host.policy.builds_first)
