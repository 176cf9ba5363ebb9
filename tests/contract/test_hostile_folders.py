"""Hostile folders: whatever lies there, nothing outside of them is read, written or waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hive.adapters.beneath import LIMIT, Beneath
from hive.errors import HiveError
from tests.contract import ground

small_disk = ground.small_disk
SECRET = b"secret"
Act = Callable[[Beneath, str], object]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder that must be as it was when the test is over."""
    folder = tmp_path / "outside"
    (folder / "folder" / "deep").mkdir(parents=True)
    (folder / "file").write_bytes(SECRET)
    folder.chmod(0o750)
    before = tree(folder)
    yield folder
    assert tree(folder) == before


@pytest.fixture
def below(tmp_path: Path, outside: Path) -> Beneath:
    root = tmp_path / "agents"
    (root / "alice" / "state").mkdir(parents=True)
    return Beneath(root)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    found = {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }
    return found | {"": (folder.stat().st_mode, b"")}


def make_folder(at: Beneath, path: str) -> None:
    at.make_folder(path, mode=0o700)


def write(at: Beneath, path: str) -> None:
    at.write(path, b"hive")


def take_in(at: Beneath, path: str) -> None:
    source = at.root.parent / "scratch"
    (source / "mine").mkdir(parents=True)
    at.take_in(source, path)


LOOKS: list[Act] = [Beneath.read, Beneath.exists, Beneath.is_folder]
ACTS: list[Act] = [make_folder, write, take_in, Beneath.wipe]


def code(act: Act, at: Beneath, path: str) -> str:
    """Of the error of ours that it raises."""
    with pytest.raises(HiveError) as raised:
        act(at, path)
    assert raised.value.hint
    assert "None" not in raised.value.message
    return raised.value.code


@pytest.mark.parametrize("path", ["alice/link/file", "alice/link/folder/deep", "link/state/x"])
@pytest.mark.parametrize("look", LOOKS)
def test_what_lies_behind_a_link_is_not_there(
    below: Beneath, outside: Path, look: Act, path: str
) -> None:
    (below.root / "alice" / "link").symlink_to(outside)
    (below.root / "link").symlink_to("alice")
    assert not look(below, path)


@pytest.mark.parametrize("path", ["alice/link/file", "alice/link/folder/new", "link/state/x"])
@pytest.mark.parametrize("act", ACTS)
def test_nothing_is_done_behind_a_link(below: Beneath, outside: Path, act: Act, path: str) -> None:
    (below.root / "alice" / "link").symlink_to(outside)
    (below.root / "link").symlink_to("alice")
    assert code(act, below, path) == "in-the-way"
    assert not (below.root / "alice" / "state" / "x").exists()


@pytest.mark.parametrize("to", ["folder", "file", "nothing"])
def test_a_link_at_the_end_is_seen_and_not_followed(below: Beneath, outside: Path, to: str) -> None:
    (below.root / "alice" / "link").symlink_to(outside / to)
    assert below.exists("alice/link")
    assert not below.is_folder("alice/link")
    assert code(Beneath.read, below, "alice/link") == "in-the-way"
    assert code(make_folder, below, "alice/link") == "in-the-way"
    assert code(take_in, below, "alice/link") == "in-the-way"


def test_a_write_takes_the_place_of_a_link(below: Beneath, outside: Path) -> None:
    for name in ("link", ".link.hive-new"):
        (below.root / "alice" / name).symlink_to(outside / "file")
    below.write("alice/link", b"hive")
    assert below.read("alice/link") == b"hive"
    assert sorted(path.name for path in (below.root / "alice").iterdir()) == ["link", "state"]


def test_a_link_that_is_swapped_in_meanwhile_leads_nowhere(below: Beneath, outside: Path) -> None:
    """Between a look at a folder and the act in it, its owner puts a link there."""
    assert below.is_folder("alice/state")
    (below.root / "alice" / "state").rmdir()
    (below.root / "alice" / "state").symlink_to(outside)
    assert below.read("alice/state/file") is None
    assert code(write, below, "alice/state/file") == "in-the-way"
    assert code(make_folder, below, "alice/state") == "in-the-way"


@pytest.mark.parametrize("path", ["../outside/x", "alice/../../outside/folder", "..", ".", ""])
@pytest.mark.parametrize("act", [*LOOKS, *ACTS])
def test_no_path_leads_out(below: Beneath, act: Act, path: str) -> None:
    assert code(act, below, path) == "outside-root"


@pytest.mark.parametrize("act", [*LOOKS, *ACTS])
def test_an_absolute_path_leads_out_also_if_it_leads_in_again(below: Beneath, act: Act) -> None:
    assert code(act, below, str(below.root / "alice")) == "outside-root"


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize("make", [fifo, bound, ground.make_device, huge, Path.mkdir])
def test_what_has_no_end_or_is_no_file_is_refused_unread(
    below: Beneath, tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(below.root / "alice")  # the path of a socket must be short
    make(Path("odd"))
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - the folder's own descriptor counts too
    assert code(Beneath.read, below, "alice/odd") == "in-the-way"
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_a_file_of_just_the_limit_is_read(below: Beneath) -> None:
    below.write("alice/file", b"x" * LIMIT)
    assert below.read("alice/file") == b"x" * LIMIT
    below.write("alice/file", b"x" * (LIMIT + 1))
    assert code(Beneath.read, below, "alice/file") == "in-the-way"


@pytest.mark.parametrize("path", ["alice/none", "none/none", "alice/file/none"])
@pytest.mark.parametrize("look", LOOKS)
def test_what_is_absent_is_an_answer(below: Beneath, look: Act, path: str) -> None:
    below.write("alice/file", b"")
    assert not look(below, path)
    assert below.read("alice/file") == b""


@pytest.mark.usefixtures("umask")
def test_what_is_made_has_its_mode_whatever_the_umask(below: Beneath) -> None:
    below.make_folder("alice/claude", mode=0o755)
    assert below.is_folder("alice/claude", mode=0o755)
    below.make_folder("alice/claude", mode=0o700)
    assert below.is_folder("alice/claude", mode=0o700)
    below.write("alice/file", b"", mode=0o644)
    assert (below.root / "alice" / "file").stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize("act", [make_folder, take_in])
def test_a_file_is_in_the_way_of_a_folder(below: Beneath, act: Act) -> None:
    below.write("alice/file", b"mine")
    assert code(act, below, "alice/file") == "in-the-way"
    assert below.read("alice/file") == b"mine"


@pytest.mark.parametrize("name", ["file", ".file.hive-new"])
def test_a_folder_is_in_the_way_of_a_write(below: Beneath, name: str) -> None:
    (below.root / "alice" / name / "x").mkdir(parents=True)
    assert code(write, below, "alice/file") == "in-the-way"
    assert not (below.root / "alice" / ".file.hive-new").is_file()


def test_a_folder_is_taken_in_whole_and_not_onto_another(below: Beneath) -> None:
    take_in(below, "alice/config")
    assert below.is_folder("alice/config/mine")
    assert code(take_in, below, "alice/config") == "in-the-way"


def test_a_full_disk_leaves_the_old_file_and_nothing_beside(small_disk: Path) -> None:
    at = Beneath(small_disk)
    at.write("file", b"old")
    with pytest.raises(HiveError) as raised:
        at.write("file", b"x" * 10**7)
    assert raised.value.code == "disk-full"
    assert [path.name for path in small_disk.iterdir()] == ["file"]
    assert at.read("file") == b"old"
