"""What is so when an agent is gone, each sentence on a pretend host with real git."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from typing_extensions import override

from hive.adapters.git import Git
from hive.adapters.locks import Locks
from hive.adapters.shell import Stream
from hive.adapters.streams import RefMove
from hive.domain.job import JobId
from hive.errors import CommandFailed, Refused, Transient
from hive.steps.closure import Built
from hive.steps.deploy import Deployed
from hive.steps.gone import Erased, Forgotten, Undefined, Unrooted
from hive.steps.leftovers import clear_leftovers
from hive.steps.meta import CandidatePinned
from hive.steps.running import Running, Stopped
from hive.steps.step import Differs, Finding, Holds, Step
from tests.pretend import ALICE, BOB, MAIN, Pretend, tree

CANDIDATE = "refs/heads/candidate/alice"
JOB = JobId(9)
FORGOTTEN = Forgotten(ALICE, JOB)
STEPS: tuple[Step, ...] = (Undefined(ALICE), FORGOTTEN, Unrooted(ALICE), Erased(ALICE))


def log(pretend: Pretend) -> list[str]:
    """The subjects of meta's main, newest first."""
    return pretend.git(pretend.meta, "log", "--format=%s", "main").splitlines()


def container(pretend: Pretend) -> tuple[Path, ...]:
    layout, name = pretend.host.layout, ALICE.container
    return (
        layout.conf(name),
        layout.root(name),
        layout.profile(name).parent,
        layout.drop_in(name).parent,
        layout.runtime(ALICE),
    )


def left(pretend: Pretend) -> list[Path]:
    return [path for path in container(pretend) if path.exists()]


@pytest.mark.parametrize("step", STEPS)
def test_of_an_agent_that_never_was_everything_is_gone_already(
    pretend: Pretend, step: Step
) -> None:
    found = pretend.finds(step)
    assert isinstance(found, Holds)
    assert "alice" in found.because
    assert pretend.cost(step) == 0
    step.apply(pretend.world())
    assert pretend.holds(step)


def test_one_after_the_other_all_of_an_agent_goes_and_the_others_stay(pretend: Pretend) -> None:
    pretend.spawn(BOB, job=1)
    pretend.spawn(ALICE, job=2)
    gone = (Stopped(ALICE), *STEPS)
    assert pretend.run(*gone).applied == [
        "Stopped", "Undefined", "Forgotten", "Unrooted", "Erased",
    ]  # fmt: skip
    assert pretend.run(*gone).applied == []
    clear_leftovers(pretend.world(), ALICE)
    assert pretend.run(*pretend.steps(BOB, 1)).applied == []
    named = [path for path in tree(pretend.state) if "alice" in path and "/.git/" not in path]
    assert [path for path in named if not path.startswith(("sim/", "run/locks/"))] == []


# Undefined


def test_a_container_that_is_gone_has_no_conf_root_profile_limits_or_runtime(
    pretend: Pretend,
) -> None:
    pretend.spawn()
    pretend.run(Stopped(ALICE))
    step = Undefined(ALICE)
    assert len(left(pretend)) == 5
    assert isinstance(pretend.finds(step), Differs)
    assert pretend.run(step).applied == ["Undefined"]
    assert left(pretend) == []
    assert pretend.cost(step) == 0
    step.apply(pretend.world())
    assert left(pretend) == []


@pytest.mark.parametrize("at", range(5))
def test_whatever_is_left_of_a_container_is_named_and_goes(pretend: Pretend, at: int) -> None:
    pretend.spawn()
    pretend.run(Stopped(ALICE))
    kept = container(pretend)[at]
    away = pretend.folder / "away"
    kept.rename(away)
    pretend.run(Undefined(ALICE))
    kept.parent.mkdir(parents=True, exist_ok=True)
    away.rename(kept)
    assert pretend.finds(Undefined(ALICE)) == Differs(f"{kept} is there")
    pretend.run(Undefined(ALICE))
    assert left(pretend) == []


def test_limits_that_were_wiped_by_half_are_wiped(pretend: Pretend) -> None:
    pretend.spawn()
    pretend.run(Stopped(ALICE))
    folder = pretend.host.layout.drop_in(ALICE.container).parent
    pretend.run(Undefined(ALICE))
    folder.mkdir(parents=True)
    assert pretend.run(Undefined(ALICE)).applied == ["Undefined"]
    assert not folder.exists()


@pytest.mark.parametrize("program", ["nixos-container", "systemctl"])
def test_a_removal_that_was_cut_short_goes_on_from_there(pretend: Pretend, program: str) -> None:
    pretend.spawn()
    pretend.run(Stopped(ALICE))
    world = pretend.world()
    stand_in = pretend.state / "sim" / "bin" / program
    stand_in.unlink()
    stand_in.write_text("#!/bin/sh\nexit 1\n")
    stand_in.chmod(0o755)
    with pytest.raises(CommandFailed):
        Undefined(ALICE).apply(world)
    pretend.run(Undefined(ALICE))
    assert left(pretend) == []
    pretend.spawn(job=2)


def test_what_a_container_linked_to_is_not_followed(pretend: Pretend) -> None:
    pretend.spawn()
    pretend.run(Stopped(ALICE))
    precious = pretend.folder / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (pretend.host.layout.root(ALICE.container) / "link").symlink_to(precious)
    (pretend.host.layout.profile(ALICE.container).parent / "link").symlink_to(precious)
    pretend.run(Undefined(ALICE))
    assert (precious / "file").exists()


def test_a_unit_that_had_failed_is_forgotten_by_systemd(pretend: Pretend) -> None:
    pretend.before(Running)
    runtime = pretend.host.layout.runtime(ALICE)
    runtime.rename(runtime.with_name("away"))
    with pytest.raises(Transient, match="does not start"):
        pretend.world().systemd.start(ALICE.container)
    runtime.with_name("away").rename(runtime)
    assert pretend.world().systemd.unit(ALICE.container).is_failed
    pretend.run(Undefined(ALICE))
    assert not pretend.world().systemd.unit(ALICE.container).is_failed


# Forgotten


def test_meta_forgets_an_agent_by_one_commit_that_names_the_job(pretend: Pretend) -> None:
    pretend.spawn()
    assert pretend.finds(FORGOTTEN) == Differs("meta names alice")
    pretend.run(FORGOTTEN)
    assert log(pretend)[0] == "destroy alice 9"
    assert "alice" not in (pretend.meta / "flake.nix").read_text()
    assert "alice" not in (pretend.meta / "flake.lock").read_text()
    assert set(pretend.refs(pretend.meta)) == {MAIN}
    assert pretend.is_clean(pretend.meta)
    assert pretend.cost(FORGOTTEN) <= 2  # main's text, and the tree


def test_forgetting_twice_is_one_commit(pretend: Pretend) -> None:
    pretend.spawn()
    pretend.run(FORGOTTEN)
    before = pretend.refs(pretend.meta)
    FORGOTTEN.apply(pretend.world())
    pretend.run(Forgotten(ALICE, JobId(10)))
    assert pretend.refs(pretend.meta) == before


def test_the_others_closures_and_their_base_stay_as_they_are(pretend: Pretend) -> None:
    pretend.spawn()
    pretend.spawn(BOB, job=2)
    pretend.run(FORGOTTEN)
    assert pretend.run(*pretend.steps(BOB, 2)).applied == []
    assert (pretend.meta / "flake.nix").read_text().count("nixosConfigurations.agent-base") == 1


def test_a_candidate_of_an_agent_that_was_never_recorded_goes_without_a_commit(
    pretend: Pretend,
) -> None:
    pretend.after(CandidatePinned)
    assert pretend.finds(FORGOTTEN) == Differs("meta has a candidate of alice")
    pretend.run(FORGOTTEN)
    assert set(pretend.refs(pretend.meta)) == {MAIN}
    assert log(pretend) == ["init"]


def test_a_candidate_beside_the_record_goes_with_it(pretend: Pretend) -> None:
    pretend.spawn()
    pretend.deploy_next(agent_nix="{ }\n")
    pretend.run(pretend.step(CandidatePinned))
    assert CANDIDATE in pretend.refs(pretend.meta)
    pretend.run(FORGOTTEN)
    assert set(pretend.refs(pretend.meta)) == {MAIN}


def test_a_tree_of_meta_that_was_edited_is_put_right(pretend: Pretend) -> None:
    pretend.spawn()
    pretend.run(FORGOTTEN)
    (pretend.meta / "flake.nix").write_text("{ }\n")
    before = pretend.refs(pretend.meta)
    assert pretend.run(FORGOTTEN).applied == ["Forgotten"]
    assert pretend.is_clean(pretend.meta)
    assert pretend.refs(pretend.meta) == before


class Killed(BaseException):
    pass


class Mortal(Git):
    """A git that is killed when it comes to one of its sentences."""

    fatal = ""

    @override
    def move(self, repo: Path, *moves: RefMove) -> None:
        if self.fatal == "move":
            raise Killed
        super().move(repo, *moves)

    @override
    def reset_tree(self, repo: Path, ref: str = MAIN) -> None:
        if self.fatal == "reset_tree":
            raise Killed
        super().reset_tree(repo, ref)


@pytest.mark.parametrize("fatal", ["move", "reset_tree"])
def test_a_record_that_was_killed_half_way_is_finished(
    pretend: Pretend, fatal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend.spawn()
    pretend.spawn(BOB, job=2)
    world = pretend.world()
    monkeypatch.setattr(Mortal, "fatal", fatal)
    with pytest.raises(Killed):
        FORGOTTEN.apply(replace(world, git=Mortal(world.git.shell, world.git.program)))
    clear_leftovers(pretend.world(), ALICE)
    assert isinstance(pretend.finds(FORGOTTEN), Differs)
    pretend.run(FORGOTTEN)
    assert [line for line in log(pretend) if line.startswith("destroy")] == ["destroy alice 9"]
    assert set(pretend.refs(pretend.meta)) == {MAIN}
    assert pretend.is_clean(pretend.meta)
    assert pretend.run(*pretend.steps(BOB, 2)).applied == []


@dataclass
class Watched(Pretend):
    """bob's side: while it shows meta's new main in its tree, somebody else looks."""

    looks: list[Future[Finding]] = field(default_factory=list)
    threads: ThreadPoolExecutor = field(default_factory=ThreadPoolExecutor)

    @override
    def _hear(self, stream: Stream, line: str) -> None:
        super()._hear(stream, line)
        if stream is Stream.COMMAND and "read-tree" in line and str(self.meta) in line:
            world = replace(self, locks=Locks()).world()
            look = self.threads.submit(FORGOTTEN.check, world)
            self.looks.append(look)
            wait([look], timeout=3)  # it may have to wait for us


def test_what_is_forgotten_is_so_while_another_agent_is_being_recorded(pretend: Pretend) -> None:
    """Between another agent's commit and its tree meta is not clean; that is no difference."""
    pretend.spawn()
    pretend.run(FORGOTTEN)
    step = pretend.before(Deployed, BOB, 2)
    bob = Watched(pretend.folder, pretend.host)
    with bob.threads:
        bob.run(step)
    assert [type(look.result(timeout=60)) for look in bob.looks] == [Holds]


# Unrooted


def test_roots_go_and_the_closures_stay_for_the_collector(pretend: Pretend) -> None:
    pretend.after(Built)
    step = Unrooted(ALICE)
    folder = pretend.host.layout.gcroots / ALICE
    (system,) = (link.readlink() for link in folder.iterdir())
    assert pretend.finds(step) == Differs("alice has roots")
    assert pretend.run(step).applied == ["Unrooted"]
    assert pretend.cost(step) == 0
    step.apply(pretend.world())
    assert not folder.exists()
    assert system.exists()


def test_roots_that_were_wiped_by_half_are_wiped(pretend: Pretend) -> None:
    pretend.after(Built)
    for link in (pretend.host.layout.gcroots / ALICE).iterdir():
        link.unlink()
    assert pretend.run(Unrooted(ALICE)).applied == ["Unrooted"]


def test_the_roots_of_others_stay(pretend: Pretend) -> None:
    pretend.after(Built)
    pretend.after(Built, BOB, 2)
    pretend.run(Unrooted(ALICE))
    assert len(list((pretend.host.layout.gcroots / BOB).iterdir())) == 1


# Erased


def test_both_folders_go_and_twice_is_once(pretend: Pretend) -> None:
    pretend.spawn()
    step = Erased(ALICE)
    assert pretend.finds(step) == Differs(f"{pretend.host.layout.home(ALICE)} is there")
    assert pretend.run(step).applied == ["Erased"]
    assert not pretend.host.layout.home(ALICE).exists()
    assert not pretend.applied().exists()
    assert pretend.cost(step) == 0
    step.apply(pretend.world())
    assert pretend.holds(step)


def test_what_was_erased_by_half_is_erased(pretend: Pretend) -> None:
    pretend.spawn()
    step = Erased(ALICE)
    pretend.world().agents().wipe(ALICE)
    assert pretend.finds(step) == Differs(f"{pretend.applied()} is there")
    pretend.run(step)
    assert not pretend.applied().exists()


def precious_behind(pretend: Pretend, link: Path) -> Path:
    """A folder of someone else's, that a link names which stands where something was."""
    pretend.spawn()
    pretend.run(Stopped(ALICE))
    precious = pretend.folder / "precious"
    precious.mkdir()
    (precious / "file").touch()
    if link.exists():
        link.rename(pretend.folder / "away")
    link.symlink_to(precious)
    return precious / "file"


def test_a_link_is_removed_and_not_followed(pretend: Pretend) -> None:
    precious = precious_behind(pretend, pretend.state / "agents/alice/state/link")
    pretend.run(Erased(ALICE))
    assert precious.exists()


@pytest.mark.parametrize("at", ["agents/alice", "applied/alice"])
def test_a_link_in_the_place_of_a_folder_is_refused(pretend: Pretend, at: str) -> None:
    precious = precious_behind(pretend, pretend.state / at)
    with pytest.raises(Refused, match=at):
        pretend.run(Erased(ALICE))
    assert precious.exists()


def test_what_others_kept_stays(pretend: Pretend) -> None:
    pretend.spawn()
    pretend.spawn(BOB, job=2)
    pretend.run(Erased(ALICE))
    assert pretend.run(*pretend.steps(BOB, 2)).applied == []
