"""The trail of a proposal in applied: pinned, tagged, and told how it ended."""

from __future__ import annotations

import pytest

from hive.domain.job import JobId
from hive.domain.names import Rev
from hive.errors import Fault, HiveError, Refused
from hive.steps.leftovers import clear_leftovers
from hive.steps.step import Differs, Holds
from hive.steps.tags import APPROVED, BUILDING, ProposalPinned, Tagged, plant_verdict
from tests.pretend import ALICE, MAIN, Pretend

JOB = JobId(7)
GHOST = Rev("1" * 40)
PROPOSAL = "refs/tags/proposal/7"


@pytest.fixture
def rev(pretend: Pretend) -> Rev:
    """A commit that the manager proposes, of an agent that runs."""
    pretend.spawn()
    return pretend.propose(agent_nix="{ }\n")


def pinned(rev: Rev) -> ProposalPinned:
    return ProposalPinned(ALICE, JOB, rev)


# ProposalPinned


def test_a_proposal_is_pinned_on_its_commit_and_main_stays(pretend: Pretend, rev: Rev) -> None:
    before = pretend.refs(pretend.applied())
    step = pinned(rev)
    assert pretend.finds(step) == Differs("alice has no proposal/7")
    pretend.run(step)
    assert pretend.refs(pretend.applied()) == before | {PROPOSAL: rev}
    assert pretend.finds(step) == Holds(f"proposal/7 is on {rev[:12]}")
    assert pretend.is_clean(pretend.applied())
    assert pretend.cost(step) == 0


def test_one_fetch_plants_every_tag_that_is_asked_for(pretend: Pretend, rev: Rev) -> None:
    before = pretend.refs(pretend.applied())
    pretend.started.clear()
    pretend.run(ProposalPinned(ALICE, JOB, rev, ("proposal", "building")))
    assert sum(" fetch " in line for line in pretend.started) == 1
    planted = {PROPOSAL: rev, "refs/tags/building/7": rev}
    assert pretend.refs(pretend.applied()) == before | planted


def test_the_lock_of_what_was_pinned_is_known_without_another_program(pretend: Pretend) -> None:
    pretend.spawn()
    rev, world = pretend.propose(flake_lock="{ }"), pretend.world()
    pinned(rev).apply(world)
    pretend.started.clear()
    assert world.git.file(pretend.applied(), rev, "flake.lock") == "{ }"
    assert pretend.started == []


def test_pinning_twice_is_pinning_once(pretend: Pretend, rev: Rev) -> None:
    step = pinned(rev)
    pretend.run(step)
    before = pretend.refs(pretend.applied())
    step.apply(pretend.world())
    assert pretend.refs(pretend.applied()) == before


def test_what_was_pinned_stays_whatever_becomes_of_proposed(pretend: Pretend, rev: Rev) -> None:
    step = pinned(rev)
    pretend.run(step)
    pretend.proposed().rename(pretend.folder / "away")
    assert pretend.run(step).held == ["ProposalPinned"]
    assert pretend.git(pretend.applied(), "show", f"{rev}:agent.nix") == "{ }"


def test_a_pin_that_was_killed_half_way_is_made(pretend: Pretend, rev: Rev) -> None:
    tags = pretend.applied() / ".git" / "refs" / "tags" / "proposal"
    tags.mkdir()
    (tags / "7.lock").touch()
    copy = pretend.host.layout.scratch / ALICE / "copy"
    copy.mkdir(parents=True)
    (copy / "half").touch()
    clear_leftovers(pretend.world(), ALICE)
    pretend.run(pinned(rev))
    assert pretend.refs(pretend.applied())[PROPOSAL] == rev
    assert not copy.exists()


def test_a_number_that_is_on_another_commit_is_a_fault(pretend: Pretend, rev: Rev) -> None:
    pretend.git(pretend.applied(), "tag", "proposal/7", MAIN)
    with pytest.raises(Fault, match=f"not on {rev[:12]}"):
        pretend.run(pinned(rev))


def test_a_commit_that_proposed_has_not_is_not_pinned(pretend: Pretend, rev: Rev) -> None:
    before = pretend.refs(pretend.applied())
    with pytest.raises(HiveError) as caught:
        pretend.run(pinned(GHOST))
    assert not isinstance(caught.value, Fault)
    assert pretend.refs(pretend.applied()) == before


def test_an_agent_that_was_never_spawned_is_told_of(pretend: Pretend) -> None:
    step = pinned(GHOST)
    assert pretend.finds(step) == Differs("alice has no proposal/7")
    with pytest.raises(Refused) as caught:
        pretend.run(step)
    assert caught.value.code == "no-such-agent"
    assert "hive spawn alice" in caught.value.hint


# Tagged


@pytest.mark.parametrize("name", [BUILDING, APPROVED])
def test_a_tag_is_planted_on_the_commit_of_its_job(pretend: Pretend, rev: Rev, name: str) -> None:
    pretend.run(pinned(rev))
    step = Tagged(ALICE, name, JOB, rev)
    assert pretend.finds(step) == Differs(f"alice has no {name}/7")
    pretend.run(step)
    assert pretend.refs(pretend.applied())[f"refs/tags/{name}/7"] == rev
    assert pretend.finds(step) == Holds(f"{name}/7 is on {rev[:12]}")
    assert pretend.cost(step) == 0


def test_tagging_twice_is_tagging_once(pretend: Pretend, rev: Rev) -> None:
    pretend.run(pinned(rev))
    step = Tagged(ALICE, BUILDING, JOB, rev)
    pretend.run(step)
    before = pretend.refs(pretend.applied())
    step.apply(pretend.world())
    assert pretend.refs(pretend.applied()) == before


def test_a_tag_that_a_killed_git_left_locked_is_planted(pretend: Pretend, rev: Rev) -> None:
    pretend.run(pinned(rev))
    tags = pretend.applied() / ".git" / "refs" / "tags" / BUILDING
    tags.mkdir()
    (tags / "7.lock").touch()
    clear_leftovers(pretend.world(), ALICE)
    assert pretend.run(Tagged(ALICE, BUILDING, JOB, rev)).applied == ["Tagged"]


def test_a_tag_that_is_elsewhere_is_a_fault_and_stays(pretend: Pretend, rev: Rev) -> None:
    pretend.run(pinned(rev))
    pretend.git(pretend.applied(), "tag", "building/7", MAIN)
    before = pretend.refs(pretend.applied())
    with pytest.raises(Fault, match="building/7"):
        pretend.run(Tagged(ALICE, BUILDING, JOB, rev))
    assert pretend.refs(pretend.applied()) == before


def test_where_there_is_no_repo_there_is_no_tag(pretend: Pretend) -> None:
    assert pretend.finds(Tagged(ALICE, BUILDING, JOB, GHOST)) == Differs("alice has no building/7")


# Verdicts


def verdict(pretend: Pretend, name: str = "failed") -> str:
    return pretend.git(
        pretend.applied(), "for-each-ref", "--format=%(contents)", f"refs/tags/{name}/7"
    )


def test_a_verdict_is_an_annotated_tag_that_says_why(pretend: Pretend, rev: Rev) -> None:
    pretend.run(pinned(rev))
    said = "build-failed: # not a comment\n\n--and \x1b[31mno option\n"
    plant_verdict(pretend.world(), ALICE, "failed", JOB, rev, said)
    assert verdict(pretend) == said.strip()
    assert pretend.git(pretend.applied(), "cat-file", "-t", "failed/7") == "tag"
    assert pretend.git(pretend.applied(), "rev-parse", "failed/7^{commit}") == rev


def test_the_first_verdict_stays(pretend: Pretend, rev: Rev) -> None:
    pretend.run(pinned(rev))
    plant_verdict(pretend.world(), ALICE, "denied", JOB, rev, "no\n")
    plant_verdict(pretend.world(), ALICE, "denied", JOB, rev, "and again no\n")
    assert verdict(pretend, "denied") == "no"


def test_of_a_commit_that_was_never_taken_in_nothing_is_said(pretend: Pretend, rev: Rev) -> None:
    before = pretend.refs(pretend.applied())
    plant_verdict(pretend.world(), ALICE, "failed", JOB, rev, "no\n")
    assert pretend.refs(pretend.applied()) == before


def test_where_the_repo_is_gone_nothing_is_said(pretend: Pretend) -> None:
    plant_verdict(pretend.world(), ALICE, "failed", JOB, GHOST, "no\n")
    assert not pretend.applied().exists()
