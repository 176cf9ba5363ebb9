"""Another hand's tree, on real git: what is adopted of it, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from hive.adapters.git import Git
from hive.adapters.shell import Ran, Shell
from hive.adapters.streams import RefMove
from hive.adapters.systemd import PROPERTIES, Systemd
from hive.domain.job import JobId
from hive.errors import Refused
from hive.jobs.adopt import Adopt
from hive.steps.adopted import BEFORE, SIDE, AppliedAdopted, MetaAdopted
from hive.steps.daemon import UNIT, OldDaemonGone
from hive.steps.leftovers import clear_leftovers
from hive.steps.step import Differs, Holds, Step
from hive.testing import FakeShell
from tests.old_tree import OLD_JOB, age
from tests.pretend import ALICE, MAIN, Pretend

JOB = JobId(99)
META, APPLIED = MetaAdopted(JOB), AppliedAdopted(ALICE, JOB)


@pytest.fixture
def old(pretend: Pretend) -> Pretend:
    """Where hyperhive has run alice."""
    pretend.spawn()
    age(pretend.state)
    return pretend


def subjects(pretend: Pretend) -> list[str]:
    return pretend.git(pretend.meta, "log", "--format=%s", "main").split("\n")


# Meta


def test_meta_is_hives_own_text_with_the_agents_where_the_lock_was(old: Pretend) -> None:
    rev, before = old.refs(old.applied())[MAIN], old.refs(old.meta)[MAIN]
    found = old.finds(META)
    assert isinstance(found, Differs)
    assert f"alice at {rev[:12]} on base-" in found.because
    assert old.run(META).applied == ["MetaAdopted"]
    assert subjects(old)[:2] == [f"deploy alice deployed/{OLD_JOB} {rev[:12]}", "adopt 99"]
    assert old.git(old.meta, "rev-parse", "main~2") == before, "what was before is below"
    assert f"alice?rev={rev}" in old.git(old.meta, "show", "main:flake.nix")
    assert rev in old.git(old.meta, "show", "main:flake.lock")
    assert old.is_clean(old.meta)
    assert set(old.refs(old.meta)) == {MAIN}


def test_adopting_twice_commits_nothing_more(old: Pretend) -> None:
    old.run(META)
    refs = old.refs(old.meta)
    META.apply(old.world())
    assert old.refs(old.meta) == refs
    assert old.run(META).held == ["MetaAdopted"]


class Killed(Exception):
    pass


class Killing(Git):
    """Dies in the place of moving a ref."""

    @override
    def move(self, repo: Path, *moves: RefMove) -> None:
        raise Killed


def test_killed_before_main_moves_nothing_has_changed_and_the_next_converges(old: Pretend) -> None:
    before = old.git(old.meta, "rev-parse", "main")
    git = old.world().git
    old.changes["git"] = Killing(git.shell, git.program)
    with pytest.raises(Killed):
        old.run(META)
    old.changes.clear()
    assert old.refs(old.meta)[MAIN] == before
    assert SIDE in old.refs(old.meta)
    assert isinstance(old.finds(META), Differs)
    old.run(META)
    assert subjects(old)[1:] == ["adopt 99", "deploy alice"]
    assert SIDE not in old.refs(old.meta)


def test_a_tree_of_meta_that_a_died_apply_left_is_mains_again(old: Pretend) -> None:
    (old.meta / "flake.lock").write_text("{ half of it")
    old.run(META)
    assert old.is_clean(old.meta)


def test_a_file_of_nobody_in_meta_is_named_and_kept(old: Pretend) -> None:
    (old.meta / "notes").write_text("mine")
    with pytest.raises(Refused) as caught:
        old.run(META)
    assert caught.value.code == "in-the-way"
    assert (old.meta / "notes").read_text() == "mine"
    (old.meta / "notes").unlink()
    assert old.run(META).held == ["MetaAdopted"]


def test_hives_own_meta_holds_as_it_is(pretend: Pretend) -> None:
    assert isinstance(pretend.finds(META), Holds)
    pretend.spawn()
    assert isinstance(pretend.finds(META), Holds)
    assert isinstance(pretend.finds(APPLIED), Holds)


# Applied


def test_a_repo_that_predates_the_tags_is_tagged_and_the_plan_says_where(old: Pretend) -> None:
    repo = old.applied()
    for tag in old.git(repo, "tag", "--list").split():
        old.git(repo, "tag", "--delete", tag)
    rev = old.refs(repo)[MAIN]
    found = old.finds(APPLIED)
    assert isinstance(found, Differs)
    assert f"wants deployed/0 on {rev[:12]}" in found.because
    old.run(APPLIED, META)
    assert old.refs(repo) == {MAIN: rev, "refs/tags/deployed/0": rev}
    assert subjects(old)[0] == f"deploy alice deployed/0 {rev[:12]}"


def test_a_main_that_ran_ahead_of_the_lock_is_put_back_and_kept_by_a_name(old: Pretend) -> None:
    deployed = old.refs(old.applied())[MAIN]
    ahead = old.deploy_next(agent_nix="{ }\n")
    found = old.finds(APPLIED)
    assert isinstance(found, Differs)
    assert f"before-adopt on {ahead[:12]}, main on {deployed[:12]}" in found.because
    old.run(APPLIED)
    refs = old.refs(old.applied())
    assert (refs[MAIN], refs[BEFORE]) == (deployed, ahead)
    assert old.is_clean(old.applied())
    assert old.run(APPLIED).held == ["AppliedAdopted"]


def test_a_commit_that_was_never_tagged_gets_the_number_of_the_job(old: Pretend) -> None:
    repo = old.applied()
    first = old.git(repo, "rev-parse", "main")
    other = old.git(repo, "commit-tree", "main^{tree}", "-m", "other")
    for tag in old.git(repo, "tag", "--list").split():
        old.git(repo, "tag", "--force", tag, other)
    old.run(APPLIED)
    assert old.refs(repo)[f"refs/tags/deployed/{JOB}"] == first


def test_a_commit_that_is_gone_is_refused(old: Pretend) -> None:
    rev = old.refs(old.applied())[MAIN]
    lock = old.meta / "flake.lock"
    lock.write_text(lock.read_text().replace(rev, "d" * 40))
    old.git(old.meta, "commit", "--quiet", "--all", "--message", "by hand")
    assert isinstance(old.finds(APPLIED), Differs)
    with pytest.raises(Refused, match="d" * 40) as caught:
        old.run(APPLIED)
    assert caught.value.code == "foreign-repo"


# Killed anywhere


@dataclass
class Dying:
    """A real shell whose worker dies in the place of starting its `at`th program."""

    real: Shell
    at: int
    started: int = 0

    def run(self, *argv: str | Path, **more: Any) -> Ran:  # noqa: ANN401 - as the door has it
        self.started += 1
        if self.started == self.at:
            raise Killed
        return self.real.run(*argv, **more)

    def find(self, program: str) -> Path | None:
        return self.real.find(program)

    def become(self, *argv: str) -> None:
        self.real.become(*argv)


def adopting(pretend: Pretend) -> tuple[Step, ...]:
    settings = pretend.host.defaults
    return Adopt(pretend.host.node, JOB, (ALICE,), (), settings).plan()


def dies(pretend: Pretend, at: int) -> bool:
    """Whether an adoption that dies there does so, and has not come to its end."""
    world = pretend.world()
    shell = Dying(world.git.shell, at)
    parts: dict[str, Any] = {"git": world.git, "nix": world.nix, "systemd": world.systemd}
    pretend.changes = {name: replace(part, shell=shell) for name, part in parts.items()}
    try:
        pretend.run(*adopting(pretend))
    except Killed:
        return True
    finally:
        pretend.changes = {}
    return False


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_before_any_program_the_next_one_finishes_it(old: Pretend, every: int) -> None:
    rev, kept = old.refs(old.applied())[MAIN], old.folder / "kept"
    old.deploy_next(agent_nix="{ }\n")  # so that there is something to do in applied, too
    repos = {"meta": old.meta, "applied": old.applied()}
    for name, repo in repos.items():
        shutil.copytree(repo, kept / name, symlinks=True)
    at = 1
    while dies(old, at):
        clear_leftovers(old.world(), None)
        old.run(*adopting(old))
        assert all(old.holds(step) for step in adopting(old)), at
        assert subjects(old) == [
            f"deploy alice deployed/{OLD_JOB} {rev[:12]}", "adopt 99", "deploy alice",
        ], at  # fmt: skip
        assert set(old.refs(old.meta)) == {MAIN}, at
        assert old.refs(old.applied())[MAIN] == rev, at
        for name, repo in repos.items():
            shutil.rmtree(repo)
            shutil.copytree(kept / name, repo, symlinks=True)
        at += every
    assert at > 10, "it starts that many programs"


# The old daemon


@pytest.mark.parametrize(
    ("state", "is_gone"),
    [("inactive", True), ("failed", True), ("active", False), ("activating", False)],
)
def test_the_old_daemon_is_gone_when_its_unit_is_down(
    pretend: Pretend, state: str, is_gone: bool
) -> None:
    asked = f"systemctl show -p {','.join(PROPERTIES)} {UNIT}"
    said = f"Id={UNIT}\nLoadState=loaded\nActiveState={state}\n"
    pretend.changes["systemd"] = Systemd(FakeShell().on(asked, out=said))
    assert isinstance(pretend.finds(OldDaemonGone()), Holds) is is_gone
    if not is_gone:
        with pytest.raises(Refused) as caught:
            pretend.run(OldDaemonGone())
        assert caught.value.code == "old-daemon"
