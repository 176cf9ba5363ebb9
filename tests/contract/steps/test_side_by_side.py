"""Two agents of one node at the same time: what one does never breaks what the other stands on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from typing_extensions import override

from hive.adapters.locks import Locks
from hive.adapters.shell import Stream
from hive.domain.names import AgentName
from hive.steps.closure import Built
from hive.steps.deploy import Deployed
from hive.steps.home import HomeReady
from hive.steps.look import recorded
from hive.steps.meta import CandidatePinned
from hive.steps.repos import AppliedSeeded, ProposedSeeded
from hive.steps.step import Finding, Holds, Step
from tests.pretend import ALICE, BOB, Pretend, a_base, a_pretend_host

#: A spawn without its container: all that touches what agents share.
SHARED = (ProposedSeeded, AppliedSeeded, HomeReady, CandidatePinned, Built, Deployed)


def steps(pretend: Pretend, agent: AgentName, job: int) -> tuple[Step, ...]:
    return tuple(pretend.step(kind, agent, job) for kind in SHARED)


def spawn(pretend: Pretend, agent: AgentName, job: int) -> None:
    pretend.run(*steps(pretend, agent, job))


@dataclass
class Interrupted(Pretend):
    """Alice's side: before the program with this number starts, something else happens."""

    at: int = -1
    meanwhile: Callable[[], None] = lambda: None
    places: list[bool] = field(default_factory=list)
    """For each program: whether meta was free when it started."""

    @override
    def _hear(self, stream: Stream, line: str) -> None:
        super()._hear(stream, line)
        if stream is Stream.COMMAND:
            free = not any(lock.path == self.host.layout.meta_lock for lock in self.locks.held)
            self.places.append(free)
            if len(self.places) - 1 == self.at:
                self.meanwhile()


def interrupted(pretend: Pretend, at: int, meanwhile: Callable[[], None]) -> Interrupted:
    return Interrupted(pretend.folder, pretend.host, at=at, meanwhile=meanwhile)


def beside(pretend: Pretend) -> Pretend:
    """As another process sees the same host."""
    return replace(pretend, locks=Locks(), started=[])


def alice_with_bob_at(folder: Path, at: int) -> list[bool]:
    """Alice is spawned; before her program `at` starts, all of bob's spawn runs."""
    with a_pretend_host(folder) as pretend:
        other = beside(pretend)
        alice = interrupted(pretend, at, lambda: spawn(other, BOB, 2))
        alice.run(*steps(alice, ALICE, 1))
        if at >= 0:
            assert_both_are_whole(pretend, at)
        return alice.places


def assert_both_are_whole(pretend: Pretend, at: int) -> None:
    for agent, job in ((ALICE, 1), (BOB, 2)):
        again = beside(pretend).run(*steps(pretend, agent, job))
        assert again.applied == [], f"{agent} did not hold, with bob at program {at}"
        found = recorded(pretend.world(), agent)
        assert found is not None
        assert found.key
    assert pretend.is_clean(pretend.meta)
    assert not [ref for ref in pretend.refs(pretend.meta) if "candidate" in ref]


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.soak)])
def test_another_spawn_at_any_program_of_a_spawn_breaks_neither(tmp_path: Path, every: int) -> None:
    free = alice_with_bob_at(tmp_path / "count", -1)
    points = [at for at, is_free in enumerate(free) if is_free]
    assert len(points) > 10
    for at in points[::every]:
        alice_with_bob_at(tmp_path / f"at{at}", at)


def test_an_agent_holds_while_another_one_is_being_recorded(pretend: Pretend) -> None:
    pretend.run(*steps(pretend, BOB, 2))
    alice = steps(pretend, ALICE, 1)
    pretend.run(*alice[:-1])
    with ThreadPoolExecutor() as threads:
        asked: list[Future[Finding]] = []
        other = beside(pretend)

        def look() -> None:
            asked.append(threads.submit(other.step(Deployed, BOB, 2).check, other.world()))

        during = interrupted(pretend, recording(pretend), look)
        during.run(alice[-1])
        (found,) = asked
        assert isinstance(found.result(timeout=60), Holds)


def recording(pretend: Pretend) -> int:
    """The number of the program of `Deployed` that shows meta's new main in its tree."""
    with a_pretend_host(pretend.folder / "probe") as same:
        same.run(*steps(same, BOB, 2))
        alice = steps(same, ALICE, 1)
        same.run(*alice[:-1])
        probe = interrupted(same, -1, lambda: None)
        probe.run(alice[-1])
        return next(at for at, line in enumerate(probe.started) if "read-tree" in line)


def test_a_base_that_moves_between_two_first_spawns_fails_neither(tmp_path: Path) -> None:
    base = a_base(tmp_path)
    with a_pretend_host(tmp_path, HIVE_BASE_FLAKE=base) as pretend:
        alice = steps(pretend, ALICE, 1)
        pretend.run(*alice[:4])
        (tmp_path / "base" / "more").write_text("the base has moved\n")
        pretend.run(*steps(pretend, BOB, 2))
        pretend.run(*alice[4:])
        bases = {recorded(pretend.world(), agent) for agent in (ALICE, BOB)}
        assert len({found.base.label for found in bases if found}) == 2
        again = beside(pretend).run(*alice, *steps(pretend, BOB, 2))
        assert again.applied == []
