"""What a sweep tells of what it has found: once, and to whoever must know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hive.adapters.git import MAIN
from hive.domain.names import AgentName, Rev
from hive.domain.report import GIVEN_UP, Reader, Report
from hive.errors import HiveError
from hive.jobs.differences import Difference
from hive.jobs.look import Look
from hive.steps.base import wanted_base

ALL: Final = frozenset(Reader)
OPERATOR: Final = frozenset({Reader.OPERATOR})


def reports(look: Look, found: tuple[Difference, ...]) -> tuple[Report, ...]:
    return (
        *_failures(look, found),
        *_unseen(found),
        *_unknown(look),
        *_behind(look),
        *_diverged(look),
    )


def _failures(look: Look, found: tuple[Difference, ...]) -> Iterator[Report]:
    for one in found:
        if one.gives_up:
            last = look.roster.last.get(one.agent)
            since = look.roster.crashes.get(one.agent, ())
            mark = last.id if last else 0, since[-1].isoformat() if since else ""
            yield Report(
                GIVEN_UP,
                f"{one.agent} is given up: {one.because}. `hive start {one.agent}` tries again",
                once=f"failed:{one.agent}:{mark[0]}:{mark[1]}",
                to=ALL,
                agent=one.agent,
                data={"because": one.because},
            )


def _unseen(found: tuple[Difference, ...]) -> Iterator[Report]:
    """Agents that could not be looked at: nothing is mended of them."""
    for one in found:
        if one.kind is None and not one.gives_up:
            yield Report(
                "agent.unseen",
                f"{one.agent} cannot be looked at: {one.because}",
                once=f"unseen:{one.agent}:{one.because}",
                to=OPERATOR,
                agent=one.agent,
                data={"because": one.because},
            )


def _unknown(look: Look) -> Iterator[Report]:
    """Containers of a name that hive would give, and of no agent that it knows."""
    known = {agent.name.container for agent in look.roster.agents}
    for container in sorted(look.containers - known):
        if container.agent is not None:
            yield Report(
                "container.unknown",
                f"there is a container {container}, and no agent of it: hive leaves it alone",
                once=f"unknown:{container}",
                to=OPERATOR,
                data={"container": container},
            )


def _behind(look: Look) -> Iterator[Report]:
    """Agents that stand on an older base than the one that is wanted."""
    base = wanted_base(look.world)
    if base is None:
        return
    for agent in look.here:
        block = look.blocks.get(agent.name)
        if block and look.meta.base(block.base).url != base.url:
            yield Report(
                "agent.needs-update",
                f"{agent.name} stands on an older base than {base.label}",
                once=f"needs-update:{agent.name}:{base.url}",
                to=frozenset({Reader.MANAGER}),
                agent=agent.name,
                data={"base": base.url},
                topic="needs_update",
            )


def _diverged(look: Look) -> Iterator[Report]:
    """Agents of which applied names another commit than the one that was deployed."""
    for agent in look.here:
        block = look.blocks.get(agent.name)
        if block is None or look.roster.busy(agent.name):
            continue
        main = _applied_main(look, agent.name)
        if main != block.rev:
            yield Report(
                "agent.diverged",
                f"applied's main of {agent.name} is on {main}, and {block.rev} is deployed",
                once=f"diverged:{agent.name}:{main}:{block.rev}",
                to=OPERATOR,
                agent=agent.name,
                data={"applied": main, "deployed": block.rev},
            )


def _applied_main(look: Look, agent: AgentName) -> Rev | None:
    """None too where its repo cannot be read, which spoils the look at no other."""
    try:
        return look.world.git.ref(look.world.layout.applied(agent), MAIN)
    except HiveError:
        return None
