"""The recipe of every kind, as the list of what will be so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

from hive.adapters.world import World
from hive.domain.agent import Agent, AgentSettings, Desired, Health
from hive.domain.approval import Seen
from hive.domain.job import Job, JobId, JobState
from hive.domain.meta import Base
from hive.domain.names import NodeName, Rev
from hive.domain.target import AppliedMain, Pinned, Recorded
from hive.errors import Fault, Refused
from hive.jobs import catalog
from hive.jobs.apply import Apply, Rollback
from hive.jobs.destroy import Destroy, Purge
from hive.jobs.limit import Limit
from hive.jobs.power import Restart, Start, Stop
from hive.jobs.prune import Prune
from hive.jobs.rebuild import Rebuild
from hive.jobs.recipe import Aftermath, Recipe, firm_at, switch_at
from hive.jobs.spawn import Spawn
from hive.jobs.update_base import UpdateBase
from hive.steps.base import BaseWanted
from hive.steps.closure import Built
from hive.steps.container import Defined, Limited
from hive.steps.deploy import Deployed, Reverted
from hive.steps.gate import Approved
from hive.steps.gone import Erased, Forgotten
from hive.steps.meta import CandidatePinned
from hive.steps.pruned import Past
from hive.steps.running import Ready, Restarted, Restarts, Running
from hive.steps.step import name_of
from hive.steps.tags import APPROVED, BUILDING, PROPOSAL, ProposalPinned, Tagged
from tests.unit.domain.samples import ALICE, BOB, OTHER_REV, REV, a_base

HERE = NodeName("here")
JOB = JobId(7)
NOW = datetime(2031, 4, 5, tzinfo=UTC)
SETTINGS = AgentSettings(health=Health.PORT, privileged=True, cpu_quota=75, model="opus")
OVERRIDES = (("HIVE_MODEL", "opus"),)
NOWHERE = cast(World, None)  # these answers are the same everywhere

NOTHING_OLD = cast(Past, "nothing")  # no step is run here

BUILD = ["CandidatePinned", "Built"]
SWITCH = ["Defined", "ProfileSet", "Limited", "Running", "Ready", "Deployed"]
QUIET_SWITCH = ["Defined", "ProfileSet", "Limited", "Deployed"]
GONE = ["Stopped", "Undefined", "Forgotten", "Unrooted"]


def an_agent(desired: Desired = Desired.RUNNING) -> Agent:
    return Agent(HERE, ALICE, 8879, desired, SETTINGS)


def a_job(kind: str, **overrides: object) -> Job:
    job = Job(
        id=JOB, kind=kind, node=HERE, agent=ALICE, ask={}, state=JobState.RUNNING,
        attempt=1, failures=0, losses=0, restoring=False, lock="agent:here/alice", series=None,
        priority=0, worker=None, cancel_requested_at=None, parent_id=None, superseded_by=None,
        approved_at=None, approved_by=None, seen=None, requested_by="ann", created_at=NOW,
        started_at=None, finished_at=None, run_at=None, error=None, result=None,
    )  # fmt: skip
    return replace(job, **overrides)  # type: ignore[arg-type]  # any field


def of(
    kind: str,
    desired: Desired = Desired.RUNNING,
    *,
    builds_first: bool = True,
    **overrides: object,
) -> Recipe:
    job, agent = a_job(kind, **overrides), an_agent(desired)
    known = catalog.Known(past=NOTHING_OLD)
    return catalog.recipe(job, agent, builds_first=builds_first, known=known)


def names(recipe: Recipe) -> list[str]:
    return [name_of(step) for step in recipe.plan()]


def proposing(
    kind: str, desired: Desired = Desired.RUNNING, *, builds_first: bool = True
) -> Recipe:
    return of(kind, desired, builds_first=builds_first, ask={"rev": REV}, approved_by="ann")


# The lists


def test_an_apply_builds_what_is_pinned_and_waits_before_the_switch() -> None:
    assert names(proposing("apply")) == [
        "ProposalPinned", "Tagged", *BUILD, "Approved", "Tagged", "HomeReady", *SWITCH,
    ]  # fmt: skip


def test_the_gate_may_come_before_the_build() -> None:
    assert names(proposing("apply", builds_first=False)) == [
        "ProposalPinned", "Approved", "Tagged", "Tagged", *BUILD, "HomeReady", *SWITCH,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["apply", "rollback"])
@pytest.mark.parametrize("builds_first", [True, False])
def test_the_tags_of_a_trail_are_on_its_commit_each_where_it_is_so(
    kind: str, builds_first: bool
) -> None:
    plan = proposing(kind, builds_first=builds_first).plan()
    building, approved = (Tagged(ALICE, name, JOB, REV) for name in (BUILDING, APPROVED))
    gate = Approved(ALICE, JOB, "ann", None, Pinned(ALICE, REV, OVERRIDES))
    assert plan.index(building) < plan.index(Built(Pinned(ALICE, REV, OVERRIDES)))
    assert plan.index(approved) == plan.index(gate) + 1
    assert (plan.index(building) < plan.index(gate)) is builds_first


def test_a_rollback_is_an_apply_of_what_applied_has_already() -> None:
    plan = proposing("rollback").plan()
    assert plan[0] == Tagged(ALICE, PROPOSAL, JOB, REV)
    assert plan[1:] == proposing("apply").plan()[1:]


def test_one_fetch_plants_the_tags_that_come_before_the_gate() -> None:
    def planted(recipe: Recipe) -> tuple[str, ...]:
        first = recipe.plan()[0]
        assert isinstance(first, ProposalPinned)
        return first.tags

    waits = of("apply", ask={"rev": REV})
    assert planted(waits) == (PROPOSAL, BUILDING)
    assert planted(proposing("apply")) == (PROPOSAL, BUILDING, APPROVED)
    assert planted(proposing("apply", builds_first=False)) == (PROPOSAL, APPROVED)


@pytest.mark.parametrize("builds_first", [True, False])
def test_a_rollback_builds_first_as_an_apply_does(builds_first: bool) -> None:
    rollback = names(proposing("rollback", builds_first=builds_first))
    assert rollback[1:] == names(proposing("apply", builds_first=builds_first))[1:]


def test_a_rebuild_puts_all_back_on_what_applied_main_names() -> None:
    assert names(of("rebuild")) == ["ProposedPlaced", "HomeReady", *BUILD, *SWITCH]


def test_a_start_is_of_what_is_deployed() -> None:
    assert names(of("start")) == [
        "IsDeployed",
        "HomeReady",
        "WillBoot",
        "Limited",
        "Running",
        "Ready",
    ]
    assert names(of("start", Desired.STOPPED)) == ["Stopped"], "an operator has changed his mind"


def test_a_stop_only_stops() -> None:
    assert names(of("stop", Desired.STOPPED)) == ["Stopped"]
    assert names(of("stop")) == names(of("start")), "an operator has changed his mind"


def test_a_restart_stops_what_was_started_before_it_and_starts() -> None:
    assert names(of("restart")) == [
        "IsDeployed", "Restarted",
        "IsDeployed", "HomeReady", "WillBoot", "Limited", "Running", "Ready",
    ]  # fmt: skip
    assert Restarted(ALICE, NOW) in of("restart").plan()
    assert names(of("restart", Desired.STOPPED))[-1] == "Stopped"


def test_a_limit_limits() -> None:
    assert of("limit").plan() == (Limited(ALICE, SETTINGS),)


def test_a_destroy_takes_what_is_made_and_a_purge_what_was_kept_too() -> None:
    assert names(of("destroy")) == GONE
    assert names(of("purge")) == [*GONE, "Erased"]
    assert of("purge").plan()[-1] == Erased(ALICE)
    assert Forgotten(ALICE, JOB) in of("destroy").plan()


def test_an_update_of_the_base_only_looks_at_it() -> None:
    recipe = catalog.recipe(a_job("update-base", agent=None), None)
    assert recipe.plan() == (BaseWanted(JOB),)
    assert recipe.agent is None


def test_a_spawn_that_was_asked_for_has_its_gate_before_the_container() -> None:
    found = names(of("spawn", ask={"gate": True}))
    assert found[found.index("Approved") - 1 : found.index("Approved") + 2] == [
        "Built", "Approved", "Defined",
    ]  # fmt: skip
    assert "Approved" not in names(of("spawn"))


@pytest.mark.parametrize("kind", ["apply", "rollback", "rebuild", "spawn"])
def test_what_is_wanted_stopped_is_set_and_recorded_and_not_started(kind: str) -> None:
    assert names(proposing(kind, Desired.STOPPED))[-4:] == QUIET_SWITCH
    assert proposing(kind, Desired.STOPPED).restore() == (Reverted(ALICE, starts=False),)
    assert proposing(kind).restore() == (Reverted(ALICE),)


# What the steps carry


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("apply", Pinned(ALICE, REV, OVERRIDES)),
        ("rollback", Pinned(ALICE, REV, OVERRIDES)),
        ("rebuild", AppliedMain(ALICE, OVERRIDES)),
        ("spawn", AppliedMain(ALICE, OVERRIDES)),
    ],
)
def test_every_step_is_about_one_target_and_as_the_agent_is_set(
    kind: str, target: Pinned | AppliedMain
) -> None:
    plan = proposing(kind).plan()
    for step in (
        CandidatePinned(target),
        Built(target),
        Defined(target, privileged=True),
        Limited(ALICE, SETTINGS),
        Running(target, privileged=True),
        Ready(target, Health.PORT),
        Deployed(target, JOB),
    ):
        assert step in plan


@pytest.mark.parametrize("kind", ["start", "restart"])
def test_what_is_started_is_what_is_recorded(kind: str) -> None:
    plan = of(kind).plan()
    assert Running(Recorded(ALICE), privileged=None) in plan, "as it is defined"
    assert Ready(Recorded(ALICE), Health.PORT) in plan


def test_a_rebuild_on_a_base_is_about_that_base() -> None:
    base = a_base()
    ask = {"base": {"label": base.label, "url": base.url, "origin": base.origin}}
    recipe = of("rebuild", ask=ask)
    assert isinstance(recipe, Rebuild)
    assert recipe.base == base
    assert CandidatePinned(AppliedMain(ALICE, OVERRIDES, base)) in recipe.plan()


@pytest.mark.parametrize("kind", ["apply", "rollback", "rebuild"])
@pytest.mark.parametrize("restarts", Restarts)
def test_a_restart_is_due_when_the_operator_says(kind: str, restarts: Restarts) -> None:
    plan = of(kind, ask={"rev": REV, "restart": restarts.value}, approved_by="ann").plan()
    (running,) = (step for step in plan if isinstance(step, Running))
    assert running.restarts is restarts


def test_the_gate_knows_who_approved_over_what() -> None:
    seen, target = Seen(REV, OTHER_REV, None, None), Pinned(ALICE, REV, OVERRIDES)
    recipe = of("apply", ask={"rev": REV}, approved_by="bob", seen=seen.as_json())
    assert Approved(ALICE, JOB, "bob", seen, target) in recipe.plan()
    unasked = of("apply", ask={"rev": REV})
    assert Approved(ALICE, JOB, None, None, target) in unasked.plan()


# What follows


@pytest.mark.parametrize("kind", ["apply", "rollback", "rebuild", "spawn"])
def test_the_way_back_begins_behind_what_makes_way_for_nobody(kind: str) -> None:
    plan = proposing(kind).plan()
    assert name_of(plan[switch_at(plan)]) == "ProfileSet"
    assert name_of(plan[firm_at(plan)]) == "Defined"


@pytest.mark.parametrize("kind", ["start", "stop", "restart", "limit", "destroy", "purge"])
def test_what_switches_nothing_has_no_way_back(kind: str) -> None:
    recipe = of(kind)
    assert switch_at(recipe.plan()) == len(recipe.plan())
    assert recipe.restore() == ()


def test_a_destroy_is_the_last_of_its_agent_and_a_purge_forgets_it() -> None:
    assert of("destroy").aftermath(NOWHERE) == Aftermath(is_last=True)
    assert of("purge").aftermath(NOWHERE) == Aftermath(is_last=True, forgets=True)
    for kind in ("apply", "rebuild", "start", "stop", "restart", "limit", "spawn"):
        assert proposing(kind).aftermath(NOWHERE) == Aftermath()


# The catalog


CLASSES: dict[str, type] = {
    "spawn": Spawn, "apply": Apply, "rebuild": Rebuild, "rollback": Rollback, "start": Start,
    "stop": Stop, "restart": Restart, "limit": Limit, "destroy": Destroy, "purge": Purge,
    "update-base": UpdateBase, "prune": Prune,
}  # fmt: skip


OF_NODE = ("update-base", "prune")


def test_every_kind_of_the_catalog_has_a_recipe_of_its_own() -> None:
    elsewhere = {"adopt", "notify", "reconcile", "tidy"}
    assert set(catalog.KINDS) == {*CLASSES, *elsewhere}, "which have suites of their own"
    for kind in CLASSES:
        recipe = proposing(kind)
        assert type(recipe) is CLASSES[kind]
        assert recipe.kind == kind
        assert recipe.agent == (None if kind in OF_NODE else ALICE)
        assert recipe.plan()


def test_a_recipe_is_the_same_whenever_it_is_made() -> None:
    for kind in CLASSES:
        assert proposing(kind) == proposing(kind)


def test_a_kind_that_nobody_knows_is_a_fault() -> None:
    with pytest.raises(Fault, match="dance"):
        of("dance")


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind not in OF_NODE])
def test_an_agent_that_has_no_row_is_a_fault(kind: str) -> None:
    with pytest.raises(Fault, match="no row: alice"):
        catalog.recipe(a_job(kind, ask={"rev": REV}), None)


@pytest.mark.parametrize("kind", ["apply", "rollback"])
def test_a_commit_that_is_none_is_refused(kind: str) -> None:
    with pytest.raises(Refused):
        of(kind, ask={"rev": "main"})


def test_equal_work_has_one_key_and_other_work_another() -> None:
    def key(kind: str, agent: object = ALICE, **ask: object) -> str:
        return catalog.unique_key(kind, HERE, ALICE if agent is ALICE else BOB, ask)

    base, other = (
        {"label": b.label, "url": b.url, "origin": b.origin}
        for b in (a_base(), Base("b", "git+file:///b?rev=1", "git+file:///b"))
    )
    keys = [
        key("start"), key("stop"), key("start", BOB), key("apply", rev=REV),
        key("apply", rev=Rev("b" * 40)), key("rollback", rev=REV), key("rebuild"),
        key("rebuild", base=base), key("rebuild", base=other),
        catalog.unique_key("update-base", HERE, None, {}),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key("apply", rev=REV, message="why") == key("apply", rev=REV)


def test_what_outranks_and_what_proposes_are_kinds() -> None:
    assert {"start", "stop", "restart", "destroy", "purge"} == catalog.OUTRANK
    assert {"apply", "rollback"} == catalog.PROPOSING
