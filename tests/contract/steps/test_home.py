"""The folders of an agent, of which some are hostile ground."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive.adapters.seals import IMMUTABLE, flags_of
from hive.errors import Refused
from hive.steps.container import Limited
from hive.steps.home import HomeReady
from hive.steps.repos import ProposedSeeded
from hive.steps.running import Running
from hive.steps.step import Differs, Holds
from tests.pretend import ALICE, Pretend


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


def test_an_agent_gets_its_folders_and_the_private_ones_are_private(pretend: Pretend) -> None:
    step = pretend.before(HomeReady)
    assert isinstance(pretend.finds(step), Differs)
    pretend.run(step)
    layout = pretend.host.layout
    for private in (layout.agents, layout.applied_root, layout.runtime(ALICE)):
        assert mode(private) == 0o700, private
    assert mode(layout.home(ALICE) / "claude") == 0o700
    assert (layout.home(ALICE) / "state").is_dir()


def test_folders_that_are_there_cost_no_program(pretend: Pretend) -> None:
    step = pretend.after(HomeReady)
    assert pretend.cost(step) == 0


@pytest.mark.parametrize("which", ["agents", "applied", "run/agents/alice", "agents/alice/claude"])
def test_a_folder_that_others_may_enter_is_made_private_again(pretend: Pretend, which: str) -> None:
    step = pretend.after(HomeReady)
    folder = pretend.state / which
    folder.chmod(0o755)
    assert pretend.run(step).applied == ["HomeReady"]
    assert mode(folder) == 0o700


def test_making_the_folders_twice_keeps_what_is_in_them(pretend: Pretend) -> None:
    step = pretend.after(HomeReady)
    login = pretend.host.layout.home(ALICE) / "claude" / "login"
    login.write_text("a token")
    step.apply(pretend.world())
    assert login.read_text() == "a token"
    assert pretend.holds(step)


@pytest.mark.parametrize("name", ["claude", "state"])
def test_a_folder_that_is_a_link_is_refused_and_where_it_leads_is_untouched(
    pretend: Pretend, name: str
) -> None:
    step = pretend.before(HomeReady)
    target = pretend.folder / "target"
    target.mkdir(mode=0o755)
    (pretend.host.layout.home(ALICE) / name).symlink_to(target)
    with pytest.raises(Refused) as caught:
        pretend.run(step)
    assert caught.value.code == "in-the-way"
    assert mode(target) == 0o755
    assert list(target.iterdir()) == []


def test_a_file_where_a_folder_belongs_is_refused_and_kept(pretend: Pretend) -> None:
    step = pretend.before(HomeReady)
    notes = pretend.host.layout.home(ALICE) / "state"
    notes.write_text("notes")
    with pytest.raises(Refused) as caught:
        pretend.run(step)
    assert caught.value.code == "in-the-way"
    assert notes.read_text() == "notes"


def test_an_agents_home_that_is_a_link_is_refused(pretend: Pretend) -> None:
    step = pretend.before(HomeReady)
    home = pretend.host.layout.home(ALICE)
    elsewhere = home.rename(pretend.folder / "elsewhere")
    home.symlink_to(elsewhere)
    with pytest.raises(Refused):
        pretend.run(step)
    assert not (elsewhere / "claude").exists()


# What is bound stays what it is


def is_sealed(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY)
    try:
        return bool((flags_of(handle) or 0) & IMMUTABLE)
    finally:
        os.close(handle)


@pytest.fixture
def sealing(pretend: Pretend) -> Iterator[Pretend]:
    """A host that seals homes, as one with real containers does; nothing sealed is left."""
    home = pretend.host.layout.home(ALICE)
    home.mkdir(parents=True)
    if not pretend.world().agents().seal(ALICE):
        pytest.skip(f"nothing can be sealed in {home}: it takes root, and a file system with flags")
    with pretend.world().agents().unsealed(ALICE):
        home.rmdir()
    pretend.changes = {"seals": True}
    yield pretend
    pretend.world().agents().wipe(ALICE)


@pytest.mark.parametrize("name", ["claude", "state"])
def test_a_container_does_not_start_on_a_link_in_place_of_what_it_binds(
    pretend: Pretend, name: str
) -> None:
    step = pretend.before(Running)
    bound = pretend.host.layout.home(ALICE) / name
    bound.rename(bound.with_name("moved"))
    bound.symlink_to(pretend.folder)

    with pytest.raises(Refused) as caught:
        pretend.run(step)

    assert caught.value.code == "bind-astray"
    assert str(bound) in caught.value.message
    assert not pretend.world().systemd.unit(ALICE.container).is_active


def test_from_its_start_on_nobody_changes_what_an_agent_binds(sealing: Pretend) -> None:
    sealing.run(sealing.before(Running))
    home = sealing.host.layout.home(ALICE)
    assert is_sealed(home)
    for act in (
        lambda: (home / "state").rename(home / "moved"),
        lambda: home.rename(home.with_name("moved")),
        lambda: (home / "new").symlink_to("/etc"),
        lambda: (home / "claude").rmdir(),
    ):
        with pytest.raises(PermissionError):
            act()
    (home / "state" / "notes.md").write_text("what is inside is the agent's")


def test_what_hive_makes_in_a_sealed_home_leaves_it_sealed(sealing: Pretend) -> None:
    sealing.run(sealing.before(Running))
    home = sealing.host.layout.home(ALICE)
    with sealing.world().agents().unsealed(ALICE):
        (home / "state").rmdir()
        (home / "config").rename(sealing.folder / "config")

    sealing.run(ProposedSeeded(ALICE), HomeReady(ALICE))

    assert (home / "state").is_dir()
    assert (home / "config" / ".git").is_dir()
    assert is_sealed(home)


def test_a_home_that_cannot_be_sealed_is_looked_at_and_bound(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hive.adapters.beneath.flags_of", lambda _: None)
    pretend.changes = {"seals": True}
    step = pretend.after(Limited)
    assert isinstance(pretend.finds(step), Holds)
    pretend.run(pretend.step(Running))
    assert not is_sealed(pretend.host.layout.home(ALICE))
