"""The record of a deploy, and the way back, on real git."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from hive.adapters.git import Git
from hive.adapters.streams import RefMove
from hive.errors import Fault
from hive.steps.closure import Built
from hive.steps.container import ProfileSet
from hive.steps.deploy import Deployed, Reverted
from hive.steps.leftovers import clear_leftovers
from hive.steps.meta import CandidatePinned, meta_locked
from hive.steps.running import Running
from hive.steps.step import Differs
from tests.pretend import ALICE, BOB, MAIN, Pretend

NEXT = '{ ... }: { systemd.services.x.environment.NEXT = "1"; }\n'


def log(pretend: Pretend) -> list[str]:
    """The subjects of meta's main, oldest first."""
    return pretend.git(pretend.meta, "log", "--reverse", "--format=%s", "main").splitlines()


def subject(pretend: Pretend, job: int = 1, agent: str = "alice") -> str:
    rev = pretend.refs(pretend.host.layout.applied_root / agent)[MAIN]
    return f"deploy {agent} deployed/{job} {rev[:12]}"


def switched(pretend: Pretend) -> None:
    """A new commit is built and running, and not recorded."""
    pretend.deploy_next(agent_nix=NEXT)
    pretend.run(*(pretend.step(kind) for kind in (CandidatePinned, Built, ProfileSet, Running)))


def test_a_deploy_is_one_commit_a_tag_and_two_clean_trees(pretend: Pretend) -> None:
    step = pretend.before(Deployed)
    assert pretend.finds(step) == Differs("meta's main does not pin what alice wants")
    pretend.run(step)
    rev = pretend.refs(pretend.applied())[MAIN]
    assert log(pretend) == ["init", subject(pretend)]
    assert set(pretend.refs(pretend.meta)) == {MAIN}
    assert pretend.refs(pretend.applied())["refs/tags/deployed/1"] == rev
    assert f"?rev={rev}" in (pretend.meta / "flake.nix").read_text()
    assert rev in (pretend.meta / "flake.lock").read_text()
    assert pretend.is_clean(pretend.meta)
    assert pretend.is_clean(pretend.applied())


def test_a_deploy_that_is_recorded_costs_a_fixed_number_of_looks(pretend: Pretend) -> None:
    pretend.spawn()
    one = pretend.cost(pretend.step(Deployed))
    pretend.spawn(BOB, job=2)
    assert pretend.cost(pretend.step(Deployed)) == one <= 4


def test_the_same_job_twice_makes_no_second_commit(pretend: Pretend) -> None:
    step = pretend.after(Deployed)
    before = pretend.refs(pretend.meta), pretend.refs(pretend.applied())
    step.apply(pretend.world())
    assert (pretend.refs(pretend.meta), pretend.refs(pretend.applied())) == before
    assert pretend.holds(step)


def test_another_job_that_changes_nothing_commits_nothing(pretend: Pretend) -> None:
    pretend.spawn()
    later = pretend.step(Deployed, job=2)
    assert pretend.holds(later)
    later.apply(pretend.world())
    assert log(pretend) == ["init", subject(pretend, job=1)]
    assert "refs/tags/deployed/2" not in pretend.refs(pretend.applied())


def test_a_change_is_a_commit_and_a_tag_of_its_own(pretend: Pretend) -> None:
    pretend.spawn()
    first = subject(pretend)
    rev = pretend.deploy_next(agent_nix=NEXT)
    pretend.spawn(job=2)
    assert log(pretend) == ["init", first, subject(pretend, job=2)]
    assert pretend.refs(pretend.applied())["refs/tags/deployed/2"] == rev


def test_two_agents_recorded_one_after_the_other_both_stay(pretend: Pretend) -> None:
    pretend.spawn()
    pretend.spawn(BOB, job=2)
    assert log(pretend) == ["init", subject(pretend), subject(pretend, 2, "bob")]
    assert pretend.holds(pretend.step(Deployed))
    assert pretend.holds(pretend.step(Deployed, BOB, 2))
    assert pretend.run(*pretend.steps()).applied == []


def test_a_candidate_of_an_older_main_is_recorded_on_the_present_one(pretend: Pretend) -> None:
    step = pretend.before(Deployed)
    pretend.spawn(BOB, job=2)
    pretend.run(step)
    assert log(pretend) == ["init", subject(pretend, 2, "bob"), subject(pretend)]
    for agent, job in ((ALICE, 1), (BOB, 2)):
        assert pretend.run(*pretend.steps(agent, job)).applied == []
    assert pretend.is_clean(pretend.meta)


class Killed(BaseException):
    pass


class Mortal(Git):
    """A git that is killed when it comes to move the refs of one repo."""

    fatal: Path

    @override
    def move(self, repo: Path, *moves: RefMove) -> None:
        if repo == type(self).fatal:
            raise Killed
        super().move(repo, *moves)


@pytest.mark.parametrize("where", ["meta", "applied/alice"])
def test_a_record_that_was_killed_half_way_goes_on_from_there(pretend: Pretend, where: str) -> None:
    step = pretend.before(Deployed)
    world = pretend.world()
    Mortal.fatal = pretend.state / where
    with pytest.raises(Killed):
        step.apply(replace(world, git=Mortal(world.git.shell, world.git.program)))
    clear_leftovers(pretend.world(), ALICE)
    pretend.run(*pretend.steps())
    assert log(pretend) == ["init", subject(pretend)]
    assert set(pretend.refs(pretend.meta)) == {MAIN}
    assert "refs/tags/deployed/1" in pretend.refs(pretend.applied())


def test_a_record_that_a_later_job_finishes_keeps_the_first_ones_number(pretend: Pretend) -> None:
    step = pretend.before(Deployed)
    world = pretend.world()
    Mortal.fatal = pretend.applied()
    with pytest.raises(Killed):
        step.apply(replace(world, git=Mortal(world.git.shell, world.git.program)))
    assert pretend.run(*pretend.steps(job=5)).applied == ["Deployed"]
    assert log(pretend) == ["init", subject(pretend, job=1)]
    assert "refs/tags/deployed/1" in pretend.refs(pretend.applied())
    assert "refs/tags/deployed/5" not in pretend.refs(pretend.applied())


@pytest.mark.parametrize("which", ["meta/flake.nix", "applied/alice/agent.nix"])
def test_a_tree_that_was_edited_shows_its_main_again(pretend: Pretend, which: str) -> None:
    pretend.spawn()
    file = pretend.state / which
    before = file.read_text()
    file.write_text("{ }\n")
    assert pretend.run(*pretend.steps(job=2)).applied == ["Deployed"]
    assert file.read_text() == before


def test_a_missing_tag_is_planted_again(pretend: Pretend) -> None:
    pretend.spawn()
    pretend.git(pretend.applied(), "tag", "--delete", "deployed/1")
    assert pretend.run(*pretend.steps(job=2)).applied == ["Deployed"]
    assert "refs/tags/deployed/1" in pretend.refs(pretend.applied())


def test_a_tag_that_is_on_another_commit_is_a_fault(pretend: Pretend) -> None:
    step = pretend.before(Deployed)
    other = pretend.propose(agent_nix=NEXT)
    pretend.git(pretend.applied(), "fetch", "--quiet", str(pretend.proposed()), "main")
    pretend.git(pretend.applied(), "tag", "deployed/1", other)
    with pytest.raises(Fault, match="another commit"):
        pretend.run(step)


@pytest.mark.parametrize("where", ["meta", "applied/alice"])
def test_locks_of_a_killed_git_are_corpses_and_in_nobodys_way(pretend: Pretend, where: str) -> None:
    step = pretend.before(Deployed)
    home = pretend.state / where / ".git"
    corpses = [home / name for name in ("index.lock", "packed-refs.lock", "HEAD.lock")]
    corpses.append(home / f"{MAIN}.lock")
    for corpse in corpses:
        corpse.touch()
    clear_leftovers(pretend.world(), ALICE)
    pretend.run(step)
    assert [corpse for corpse in corpses if corpse.exists()] == []


@pytest.mark.parametrize("where", ["meta", "applied/alice"])
def test_corpses_are_removed_too_where_everything_holds(pretend: Pretend, where: str) -> None:
    pretend.spawn()
    corpse = pretend.state / where / ".git" / "index.lock"
    corpse.touch()
    clear_leftovers(pretend.world(), ALICE)
    assert not corpse.exists()


def test_a_lock_in_meta_is_left_to_who_works_there(pretend: Pretend) -> None:
    pretend.spawn()
    candidate = pretend.meta / ".git" / "refs/heads/candidate/bob.lock"
    theirs = [pretend.meta / ".git" / "index.lock", candidate]
    with meta_locked(pretend.world()):
        candidate.parent.mkdir(parents=True, exist_ok=True)
        for lock in theirs:
            lock.touch()
        clear_leftovers(pretend.world(), ALICE)
        assert all(lock.exists() for lock in theirs)
    clear_leftovers(pretend.world(), ALICE)
    assert not any(lock.exists() for lock in theirs)


# Reverted


def test_what_was_never_deployed_is_stopped_on_the_way_back(pretend: Pretend) -> None:
    pretend.after(Running)
    assert pretend.run(Reverted(ALICE)).applied == ["Reverted"]
    assert not pretend.world().systemd.unit(ALICE.container).is_active


def test_what_never_ran_is_reverted_already(pretend: Pretend) -> None:
    assert pretend.cost(Reverted(ALICE)) == 1


def test_the_way_back_is_what_meta_says_and_not_what_the_profile_holds(pretend: Pretend) -> None:
    pretend.spawn()
    profile = pretend.host.layout.profile(ALICE.container)
    before, pid = profile.resolve(), pretend.world().systemd.unit(ALICE.container).main_pid
    switched(pretend)
    assert profile.resolve() != before
    assert pretend.run(Reverted(ALICE)).applied == ["Reverted"]
    assert profile.resolve() == before
    unit = pretend.world().systemd.unit(ALICE.container)
    leader = pretend.world().containers.booted(unit.main_pid)
    assert leader is not None
    assert leader.system == before
    assert unit.main_pid == pid


def test_the_way_back_twice_is_the_way_back_once(pretend: Pretend) -> None:
    pretend.spawn()
    switched(pretend)
    step = Reverted(ALICE)
    pretend.run(step)
    assert pretend.run(step).held == ["Reverted"]
    step.apply(pretend.world())
    assert pretend.holds(step)


def test_what_is_deployed_and_runs_is_reverted_already(pretend: Pretend) -> None:
    pretend.spawn()
    assert pretend.holds(Reverted(ALICE))


def test_an_agent_that_is_wanted_stopped_is_set_back_and_not_started(pretend: Pretend) -> None:
    pretend.spawn()
    profile = pretend.host.layout.profile(ALICE.container)
    before = profile.resolve()
    switched(pretend)
    pretend.world().systemd.stop(ALICE.container)
    pretend.run(Reverted(ALICE, starts=False))
    assert profile.resolve() == before
    assert not pretend.world().systemd.unit(ALICE.container).is_active
