"""The recipe of a spawn is the list of the architecture."""

from __future__ import annotations

from hive.domain.agent import Agent, AgentSettings, Desired, Health
from hive.domain.job import JobId
from hive.domain.names import AgentName, NodeName
from hive.domain.target import AppliedMain
from hive.jobs.recipe import switch_at
from hive.jobs.spawn import Spawn
from hive.steps.container import Defined, Limited, ProfileSet
from hive.steps.deploy import Deployed, Reverted
from hive.steps.running import Ready, Running, Stopped
from hive.steps.step import name_of

ALICE = AgentName("alice")
SETTINGS = AgentSettings(health=Health.PORT, privileged=True, cpu_quota=75)


def a_spawn(desired: Desired = Desired.RUNNING) -> Spawn:
    return Spawn(Agent(NodeName("here"), ALICE, 8879, desired, SETTINGS), JobId(7))


def test_a_spawn_is_the_list_of_the_architecture() -> None:
    assert [name_of(step) for step in a_spawn().plan()] == [
        "ProposedSeeded",
        "AppliedSeeded",
        "HomeReady",
        "CandidatePinned",
        "Built",
        "Defined",
        "ProfileSet",
        "Limited",
        "Running",
        "Ready",
        "Deployed",
    ]


def test_its_steps_are_about_what_applied_main_names_and_carry_the_agents_settings() -> None:
    target, steps = AppliedMain(ALICE), a_spawn().plan()
    for step in (
        Defined(target, privileged=True),
        ProfileSet(target),
        Limited(ALICE, SETTINGS),
        Running(target, privileged=True),
        Ready(target, Health.PORT),
        Deployed(target, JobId(7)),
    ):
        assert step in steps


def test_an_agent_that_is_wanted_stopped_is_set_up_and_recorded_but_not_started() -> None:
    all_of_them = a_spawn().plan()
    quiet = a_spawn(Desired.STOPPED).plan()
    left_out = [name_of(step) for step in all_of_them if step not in quiet]
    assert left_out == ["Running", "Ready"]


def test_the_way_back_begins_with_the_profile() -> None:
    for desired in (Desired.RUNNING, Desired.STOPPED):
        steps = a_spawn(desired).plan()
        assert name_of(steps[switch_at(steps)]) == "ProfileSet"


def test_what_has_no_switch_has_no_way_back() -> None:
    steps = (Stopped(ALICE),)
    assert switch_at(steps) == len(steps)


def test_the_way_back_starts_nothing_that_is_wanted_stopped() -> None:
    assert a_spawn().restore() == (Reverted(ALICE),)
    quiet = a_spawn(Desired.STOPPED).restore()
    assert quiet == (Reverted(ALICE, starts=False),)
