"""The two repos of an agent, on real git."""

from __future__ import annotations

import stat
from dataclasses import replace

import pytest

from hive.errors import Refused, Transient
from hive.steps.gone import Erased
from hive.steps.home import HomeReady
from hive.steps.repos import AppliedSeeded, ProposedPlaced, ProposedSeeded
from hive.steps.step import Differs
from tests.pretend import ALICE, MAIN, Pretend

REMOTE = "/applied/alice/.git"


def test_a_proposed_repo_is_seeded_in_one_commit_with_its_remote(pretend: Pretend) -> None:
    step = ProposedSeeded(ALICE)
    assert pretend.finds(step) == Differs("alice has no proposed repo")
    pretend.run(step)
    repo = pretend.proposed()
    assert pretend.git(repo, "log", "--format=%s %an", "main") == "seed alice hive-c0re"
    assert pretend.git(repo, "ls-tree", "--name-only", "main").split() == ["agent.nix", "flake.nix"]
    assert pretend.git(repo, "remote", "get-url", "applied") == REMOTE
    assert pretend.is_clean(repo)


def test_a_proposed_repo_goes_where_the_manager_is_shown_it_and_back(pretend: Pretend) -> None:
    pretend.spawn()
    home, rev = pretend.host.layout.home(ALICE), pretend.propose(agent_nix="{ }\n")
    pretend.changes = {"layout": replace(pretend.host.layout, shows_homes=False)}
    step, apart = ProposedPlaced(ALICE), pretend.state / "configs" / "alice" / "config"
    assert not pretend.holds(ProposedSeeded(ALICE))

    pretend.run(step)
    assert pretend.holds(ProposedSeeded(ALICE))
    assert pretend.git(apart, "rev-parse", "HEAD") == rev
    assert sorted(path.name for path in home.iterdir()) == ["claude", "state"]
    pretend.run(HomeReady(ALICE))
    assert stat.S_IMODE(pretend.state.joinpath("configs").stat().st_mode) == 0o700

    pretend.changes = {}
    pretend.run(ProposedSeeded(ALICE))
    assert pretend.git(home / "config", "rev-parse", "HEAD") == rev
    assert not apart.exists()


def test_two_proposed_repos_of_one_agent_are_left_to_an_operator(pretend: Pretend) -> None:
    step = pretend.after(ProposedSeeded)
    pretend.changes = {"layout": replace(pretend.host.layout, shows_homes=False)}
    other = pretend.state / "configs" / "alice" / "config"
    other.mkdir(parents=True)
    (other / "notes").write_text("mine")
    with pytest.raises(Refused) as caught:
        pretend.run(step)
    assert caught.value.code == "in-the-way"
    assert (other / "notes").read_text() == "mine"
    assert (pretend.proposed() / ".git").is_dir()


def test_a_purge_takes_the_repo_wherever_it_lies(pretend: Pretend) -> None:
    pretend.spawn()
    pretend.changes = {"layout": replace(pretend.host.layout, shows_homes=False)}
    pretend.run(ProposedPlaced(ALICE))
    apart = pretend.state / "configs" / "alice"
    assert apart.exists()
    pretend.changes = {}
    pretend.run(Erased(ALICE))
    assert not apart.exists()
    assert not pretend.host.layout.home(ALICE).exists()


def test_a_proposed_repo_that_is_there_costs_one_program(pretend: Pretend) -> None:
    step = pretend.after(ProposedSeeded)
    assert pretend.cost(step) == 1


def test_a_remote_that_drifted_is_put_right_and_the_managers_lines_are_kept(
    pretend: Pretend,
) -> None:
    step = pretend.after(ProposedSeeded)
    repo = pretend.proposed()
    pretend.git(repo, "remote", "set-url", "applied", "https://evil.example/x")
    pretend.git(repo, "config", "alias.st", "status")
    assert pretend.run(step).applied == ["ProposedSeeded"]
    assert pretend.git(repo, "remote", "get-url", "applied") == REMOTE
    assert pretend.git(repo, "config", "alias.st") == "status"


def test_a_remote_that_is_gone_is_made_again(pretend: Pretend) -> None:
    step = pretend.after(ProposedSeeded)
    pretend.git(pretend.proposed(), "remote", "remove", "applied")
    pretend.run(step)
    assert pretend.git(pretend.proposed(), "remote", "get-url", "applied") == REMOTE


def test_two_remotes_of_one_name_are_put_right(pretend: Pretend) -> None:
    step = pretend.after(ProposedSeeded)
    pretend.git(pretend.proposed(), "remote", "set-url", "--add", "applied", "https://evil/x")
    pretend.run(step)
    assert pretend.git(pretend.proposed(), "config", "--get-all", "remote.applied.url") == REMOTE


def test_seeding_a_proposed_repo_twice_changes_nothing(pretend: Pretend) -> None:
    step = pretend.after(ProposedSeeded)
    before = pretend.refs(pretend.proposed())
    step.apply(pretend.world())
    assert pretend.refs(pretend.proposed()) == before
    assert pretend.holds(step)


def test_what_the_manager_committed_is_never_written_over(pretend: Pretend) -> None:
    step = pretend.after(ProposedSeeded)
    rev = pretend.propose(agent_nix="{ }\n")
    pretend.git(pretend.proposed(), "remote", "remove", "applied")
    pretend.run(step)
    assert pretend.refs(pretend.proposed())[MAIN] == rev


def test_a_locked_config_in_proposed_is_waited_for_and_never_removed(pretend: Pretend) -> None:
    step = pretend.after(ProposedSeeded)
    pretend.git(pretend.proposed(), "remote", "remove", "applied")
    lock = pretend.proposed() / ".git" / "config.lock"
    lock.touch()
    with pytest.raises(Transient, match="locked") as caught:
        pretend.run(step)
    assert caught.value.code == "git-locked"
    assert "config.lock" in caught.value.hint
    assert lock.exists()


def test_a_config_that_is_a_link_to_a_secret_is_not_followed(pretend: Pretend) -> None:
    step = pretend.after(ProposedSeeded)
    secret = pretend.folder / "secret"
    secret.write_text("[secret]\n\tkey = 1\n")
    config = pretend.proposed() / ".git" / "config"
    config.unlink()
    config.symlink_to(secret)
    for act in (step.check, step.apply):
        with pytest.raises(Refused) as caught:
            act(pretend.world())
        assert caught.value.code == "in-the-way"
    assert secret.read_text() == "[secret]\n\tkey = 1\n"


def test_a_config_that_runs_programs_runs_none(pretend: Pretend) -> None:
    step = pretend.after(ProposedSeeded)
    trap = pretend.folder / "trap"
    pretend.git(pretend.proposed(), "remote", "remove", "applied")
    pretend.git(pretend.proposed(), "config", "core.fsmonitor", f"touch {trap}")
    pretend.git(pretend.proposed(), "config", "uploadpack.packObjectsHook", f"touch {trap}")
    pretend.run(step, AppliedSeeded(ALICE))
    assert not trap.exists()


def test_an_applied_repo_is_proposeds_main_tagged_once(pretend: Pretend) -> None:
    step = pretend.before(AppliedSeeded)
    assert pretend.finds(step) == Differs("alice has no applied repo")
    pretend.run(step)
    main = pretend.refs(pretend.proposed())[MAIN]
    assert pretend.refs(pretend.applied()) == {MAIN: main, "refs/tags/deployed/0": main}
    assert pretend.is_clean(pretend.applied())


def test_an_applied_repo_that_is_there_costs_no_program(pretend: Pretend) -> None:
    step = pretend.after(AppliedSeeded)
    assert pretend.cost(step) == 0


def test_an_applied_repo_does_not_follow_what_the_manager_commits_later(pretend: Pretend) -> None:
    step = pretend.after(AppliedSeeded)
    before = pretend.refs(pretend.applied())
    pretend.propose(agent_nix="{ }\n")
    assert pretend.run(step).held == ["AppliedSeeded"]
    assert pretend.refs(pretend.applied()) == before


def test_an_applied_repo_without_its_first_tag_is_refused_with_what_to_do(
    pretend: Pretend,
) -> None:
    step = pretend.after(AppliedSeeded)
    pretend.git(pretend.applied(), "tag", "--delete", "deployed/0")
    with pytest.raises(Refused, match="deployed/0") as caught:
        pretend.run(step)
    assert caught.value.code == "foreign-repo"
    assert "deployed/0" in caught.value.hint


def test_seeding_an_applied_repo_twice_changes_nothing(pretend: Pretend) -> None:
    step = pretend.after(AppliedSeeded)
    before = pretend.refs(pretend.applied())
    step.apply(pretend.world())
    assert pretend.refs(pretend.applied()) == before
    assert pretend.holds(step)


def test_a_proposed_repo_without_main_is_refused(pretend: Pretend) -> None:
    step = pretend.before(AppliedSeeded)
    pretend.git(pretend.proposed(), "branch", "--move", "main", "other")
    with pytest.raises(Refused, match="no such branch") as caught:
        pretend.run(step)
    assert caught.value.code == "no-such-ref"
    assert not pretend.applied().exists()


def test_packed_refs_are_refs_too(pretend: Pretend) -> None:
    step = pretend.after(AppliedSeeded)
    pretend.git(pretend.applied(), "pack-refs", "--all")
    assert pretend.holds(step)


def test_a_half_made_applied_repo_in_scratch_is_in_nobodys_way(pretend: Pretend) -> None:
    step = pretend.before(AppliedSeeded)
    left = pretend.host.layout.scratch / ALICE / "applied"
    pretend.git(pretend.folder, "init", "--quiet", left)
    (left / ".git" / "index.lock").touch()
    pretend.run(step)
    assert not (pretend.applied() / ".git" / "index.lock").exists()
