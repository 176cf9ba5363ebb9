"""The folders of an agent, of which some are hostile ground."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.errors import Refused
from hive.steps.home import HomeReady
from hive.steps.step import Differs
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
