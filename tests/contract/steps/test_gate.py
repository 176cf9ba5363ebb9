"""The gate holds where a person has opened it, over what is deployed now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.domain.approval import Seen
from hive.domain.job import JobId
from hive.domain.names import Rev
from hive.errors import Fault
from hive.steps.gate import Approved, is_gate
from hive.steps.running import Stopped
from hive.steps.step import Differs, Holds
from tests.pretend import ALICE, MAIN, Pretend

PROPOSED = Rev("a" * 40)
NOTHING_SEEN = Seen(PROPOSED, deployed=None, base=None, closure=None)
GATE = Approved(ALICE, JobId(2), "ann", NOTHING_SEEN)
NEXT = '{ ... }: { systemd.services.x.environment.NEXT = "1"; }\n'


def over(pretend: Pretend) -> Approved:
    """Approved over what is deployed right now."""
    deployed = Rev(pretend.refs(pretend.applied())[MAIN])
    return replace(GATE, seen=replace(NOTHING_SEEN, deployed=deployed))


@pytest.mark.parametrize("seen", [None, NOTHING_SEEN])
def test_what_nobody_has_approved_waits(pretend: Pretend, seen: Seen | None) -> None:
    gate = replace(GATE, by=None, seen=seen)
    assert pretend.finds(gate) == Differs("nobody has approved it yet")


def test_what_an_operator_asked_for_passes_whatever_is_deployed(pretend: Pretend) -> None:
    gate = replace(GATE, seen=None)
    assert pretend.finds(gate) == Holds("ann asked for it")
    pretend.spawn()
    assert pretend.finds(gate) == Holds("ann asked for it")
    assert pretend.cost(gate) == 0


def test_what_was_approved_over_nothing_passes_while_nothing_is_deployed(pretend: Pretend) -> None:
    assert pretend.finds(GATE) == Holds("ann approved it")
    assert pretend.cost(GATE) == 0


def test_what_was_approved_over_what_is_deployed_passes(pretend: Pretend) -> None:
    pretend.spawn()
    gate = over(pretend)
    assert pretend.finds(gate) == Holds("ann approved it")
    assert pretend.cost(gate) <= 1


def test_another_deploy_of_the_same_commit_is_none(pretend: Pretend) -> None:
    pretend.spawn()
    gate = over(pretend)
    pretend.spawn(job=5)
    assert pretend.holds(gate)


def test_what_was_deployed_since_is_named_with_what_was_seen(pretend: Pretend) -> None:
    pretend.spawn()
    gate = over(pretend)
    seen = gate.seen
    assert seen is not None
    assert seen.deployed is not None
    rev = pretend.deploy_next(agent_nix=NEXT)
    pretend.spawn(job=5)
    assert pretend.finds(gate) == Differs(
        f"ann approved it over {seen.deployed[:12]}, and {rev[:12]} is deployed since"
    )


def test_what_is_gone_since_is_told_as_nothing(pretend: Pretend) -> None:
    gate = replace(GATE, seen=replace(NOTHING_SEEN, deployed=Rev("b" * 40)))
    assert pretend.finds(gate) == Differs(
        "ann approved it over bbbbbbbbbbbb, and nothing is deployed since"
    )


def test_what_came_to_be_since_asks_for_another_look(pretend: Pretend) -> None:
    pretend.spawn()
    found = pretend.finds(GATE)
    assert isinstance(found, Differs)
    assert "over nothing" in found.because


def test_what_the_job_itself_has_deployed_does_not_close_its_gate(pretend: Pretend) -> None:
    """Killed behind its record a job finds its own commit deployed."""
    pretend.spawn()
    gate = replace(over(pretend), job=JobId(5))
    pretend.deploy_next(agent_nix=NEXT)
    pretend.spawn(job=5)
    assert pretend.finds(gate) == Holds("ann approved it")
    assert pretend.cost(gate) <= 2


def test_no_program_opens_a_gate(pretend: Pretend) -> None:
    with pytest.raises(Fault):
        GATE.apply(pretend.world())


def test_a_gate_is_known_as_one() -> None:
    assert is_gate(GATE)
    assert not is_gate(Stopped(ALICE))
