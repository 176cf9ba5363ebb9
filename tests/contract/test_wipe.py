"""Wiping a folder that someone else has written: all of it, and nothing beyond it."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hive.adapters import seals, wipe
from hive.adapters.beneath import Beneath
from hive.adapters.files import Files
from hive.adapters.shell import LocalShell
from hive.errors import CommandFailed, HiveError, ProgramMissing, Refused, Transient
from tests.contract import ground

SHELL = LocalShell({"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])})
BIND = 4096
DETACH = 2

Wipe = Callable[[Path], None]
WIPES: dict[str, Wipe] = {
    "beneath": lambda at: Beneath(at.parents[1]).wipe(f"{at.parent.name}/{at.name}"),
    "files": lambda at: Files().wipe(at),
}


@pytest.fixture(params=list(WIPES.values()), ids=list(WIPES))
def wiping(request: pytest.FixtureRequest) -> Wipe:
    found: Wipe = request.param
    return found


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "file").write_text("mine")
    yield folder
    assert (folder / "file").read_text() == "mine"
    assert os.listdir(folder) == ["file"]  # noqa: PTH208


@pytest.fixture
def home(tmp_path: Path, kept: Path) -> Path:
    """The folder that is wiped; its parent has nothing else."""
    home = tmp_path / "agents" / "alice"
    home.mkdir(parents=True)
    return home


def descend(at: Path, levels: int, name: str = "x") -> int:
    """A descriptor of the folder that many levels down, made on the way."""
    handle = os.open(at, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=handle)
        below = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    return handle


def odd_names(at: Path, kept: Path) -> None:
    for name in (b"a\nb", b"-rf", b"\xff\xfe", b" ", b"*", b"\\", "é".encode()):
        (at / os.fsdecode(name)).write_text("")
        (at / os.fsdecode(b"in " + name)).mkdir()
        (at / os.fsdecode(b"in " + name) / os.fsdecode(name)).write_text("")


def links(at: Path, kept: Path) -> None:
    (at / "folder").symlink_to(kept)
    (at / "file").symlink_to(kept / "file")
    (at / "nowhere").symlink_to("nowhere")
    (at / "circle").symlink_to("circle")
    (at / "up").symlink_to("..")
    (at / "hard").hardlink_to(kept / "file")


def odd_kinds(at: Path, kept: Path) -> None:
    os.mkfifo(at / "pipe")
    ground.make_device(at / "device")
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(at)  # the path of a socket must be short
        listener.bind("socket")
        os.chdir(before)


def closed(at: Path, kept: Path) -> None:
    (at / "a" / "b").mkdir(parents=True)
    (at / "a" / "b" / "file").write_text("")
    for folder in (at / "a" / "b" / "file", at / "a" / "b", at / "a", at):
        folder.chmod(0)


def deep(at: Path, kept: Path) -> None:
    os.close(descend(at, 10_000))


def deep_and_long(at: Path, kept: Path) -> None:
    handle = descend(at, 100, "x" * 255)
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.symlink(kept, "link", dir_fd=handle)
    os.close(handle)


def deep_and_wide(at: Path, kept: Path) -> None:
    folder = at
    for level in range(3 * wipe.DEEP):
        for name in ("a", "b"):
            (folder / name / f"{level}").mkdir(parents=True)
            (folder / f"file-{name}").write_text("")
        folder = folder / "a"


def many(at: Path, kept: Path) -> None:
    for n in range(1500):
        (at / str(n)).write_text("")


HOMES = (odd_names, links, odd_kinds, closed, deep, deep_and_long, deep_and_wide, many)


@pytest.mark.parametrize("make", HOMES)
def test_whatever_is_in_a_folder_is_removed_and_nothing_else(
    home: Path, kept: Path, wiping: Wipe, make: Callable[[Path, Path], None]
) -> None:
    make(home, kept)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    wiping(home)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
    assert list(home.parent.iterdir()) == []


def test_few_descriptors_are_enough(home: Path) -> None:
    deep(home, home)
    program = (
        "import resource, sys; from pathlib import Path; from hive.adapters.files import Files;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)); Files().wipe(Path(sys.argv[1]))"
    )
    SHELL.run(sys.executable, "-c", program, home)
    assert not home.exists()


def test_absent_is_fine(home: Path, wiping: Wipe) -> None:
    home.rmdir()
    wiping(home)
    wiping(home / "none" / "none")


def a_file(at: Path, kept: Path) -> None:
    at.write_text("")


def a_link(at: Path, kept: Path) -> None:
    at.symlink_to(kept)


@pytest.mark.parametrize("make", [a_file, a_link])
def test_what_is_no_folder_is_in_the_way(
    home: Path, kept: Path, wiping: Wipe, make: Callable[[Path, Path], None]
) -> None:
    home.rmdir()
    make(home, kept)
    assert code(wiping, home) == "in-the-way"
    assert os.path.lexists(home)


@pytest.mark.parametrize("path", ["link", "link/file", "link/folder"])
def test_what_lies_behind_a_link_is_not_wiped(home: Path, kept: Path, path: str) -> None:
    (home / "link").symlink_to(kept)
    with pytest.raises(Refused) as raised:
        Beneath(home.parent).wipe(f"alice/{path}")
    assert raised.value.code == "in-the-way"


@pytest.mark.parametrize("path", ["../kept", ".", "", "..", "/", "alice/.."])
def test_no_path_leads_out(home: Path, path: str) -> None:
    with pytest.raises(HiveError) as raised:
        Beneath(home.parent).wipe(path)
    assert raised.value.code == "outside-root"


def code(wiping: Wipe, at: Path) -> str:
    with pytest.raises(HiveError) as raised:
        wiping(at)
    assert raised.value.hint
    assert "None" not in raised.value.message
    return raised.value.code


# Mounts.


def mounted(source: Path | None, at: Path) -> None:
    words = ("--bind", source) if source else ("-t", "tmpfs", "hive-test")
    try:
        SHELL.run("mount", *words, at)
    except (CommandFailed, ProgramMissing) as error:
        pytest.skip(f"nothing can be mounted here: {error.message}")


@pytest.fixture
def point(home: Path) -> Iterator[Path]:
    point = home / "a b" / "back\\slash\n" / "point"
    point.parent.mkdir(parents=True)
    yield point
    SHELL.run("umount", point, accept=(0, 1, 32))  # 1: who is not root, and has mounted nothing


@pytest.mark.parametrize("kind", ["another disk", "the same disk", "a file", "itself"])
def test_a_mount_is_refused_by_name_before_anything_is_removed(
    home: Path, point: Path, kept: Path, wiping: Wipe, kind: str
) -> None:
    for n in range(10):
        (home / f"file-{n}").write_text("")
    at = home / "own" if kind == "itself" else point
    if kind == "a file":
        point.write_text("")
        mounted(kept / "file", point)
    else:
        at.mkdir()
        mounted(kept if kind != "another disk" else None, at)
    before = sorted(home.rglob("*"))
    try:
        with pytest.raises(Refused) as raised:
            wiping(at if kind == "itself" else home)
    finally:
        assert sorted(home.rglob("*")) == before
        SHELL.run("umount", at)
    assert raised.value.code == "mount-inside"
    assert str(at) in raised.value.message
    assert "unmount" in raised.value.hint
    wiping(home)
    assert not home.exists()


def test_a_mount_deeper_than_paths_can_say_is_refused(
    home: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    monkeypatch.chdir(home)
    handle = descend(home, 40, "y" * 200)
    os.mkdir("point", dir_fd=handle)
    os.fchdir(handle)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(os.fsencode(kept), b"point", None, BIND, None):
        pytest.skip("nothing can be mounted here")
    try:
        assert code(WIPES["files"], home) == "mount-inside"
    finally:
        libc.umount2(b"point", DETACH)
        os.close(handle)
    monkeypatch.undo()
    WIPES["files"](home)
    assert not home.exists()


def test_a_mount_that_comes_after_the_look_is_not_entered(
    home: Path, point: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point.mkdir()
    mounted(kept, point)
    monkeypatch.setattr(wipe, "_expect_no_mount", lambda *_: None)
    assert code(WIPES["files"], home) in ("mount-inside", "file-system")


# Seals.


def sealed(at: Path, flag: str) -> None:
    try:
        SHELL.run("chattr", flag, at)
    except (CommandFailed, ProgramMissing) as error:
        pytest.skip(f"nothing can be sealed here: {error.message}")


@pytest.mark.parametrize("flag", ["+i", "+a", "+ia"])
def test_what_is_immutable_or_append_only_is_removed_too(
    home: Path, wiping: Wipe, flag: str
) -> None:
    (home / "folder" / "empty").mkdir(parents=True)
    (home / "folder" / "file").write_text("")
    os.mkfifo(home / "folder" / "pipe")
    for path in ("folder/file", "folder/empty", "folder", "."):
        sealed(home / path, flag)
    wiping(home)
    assert not home.exists()


def test_a_seal_deep_down_is_cleared_too(home: Path, wiping: Wipe) -> None:
    bottom = home.joinpath(*"x" * (2 * wipe.DEEP))
    bottom.mkdir(parents=True)
    (bottom / "file").write_text("")
    for path in (bottom / "file", bottom, *list(bottom.parents)[: 2 * wipe.DEEP]):
        sealed(path, "+i")
    wiping(home)
    assert not home.exists()


def test_the_seal_of_the_folder_around_is_not_cleared(home: Path, wiping: Wipe) -> None:
    (home / "file").write_text("")
    sealed(home.parent, "+i")
    try:
        assert code(wiping, home) == "not-permitted"
        assert home.exists()
    finally:
        SHELL.run("chattr", "-i", home.parent)
    wiping(home)
    assert not home.exists()


def test_a_seal_that_cannot_be_cleared_is_refused_by_name(
    home: Path, wiping: Wipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("")
    sealed(home / "file", "+i")
    real, never = seals.SET_FLAGS, 0
    monkeypatch.setattr(seals, "SET_FLAGS", never)
    with pytest.raises(Refused, match="file") as raised:
        wiping(home)
    assert raised.value.code == "immutable"
    assert "chattr" in raised.value.hint
    monkeypatch.setattr(seals, "SET_FLAGS", real)
    wiping(home)


# Meanwhile.


def test_a_link_swapped_in_at_that_very_moment_leads_nowhere(
    home: Path, kept: Path, wiping: Wipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner waits for just the call that would enter the folder."""
    (home / "folder" / "x").mkdir(parents=True)
    real = wipe._opened

    def swapped(name: str, parent: int) -> int:
        with suppress(OSError):
            (home / "folder").rename(home / "aside")
            (home / "folder").symlink_to(kept)
        return real(name, parent)

    monkeypatch.setattr(wipe, "_opened", swapped)
    wiping(home)
    assert not home.exists()


def test_what_takes_the_place_of_the_folder_is_told(home: Path, kept: Path, wiping: Wipe) -> None:
    """Its owner moves it away, and a link to where hive should go instead."""
    (home / "file").write_text("")
    real = os.unlink

    def swapping(name: str, *, dir_fd: int) -> None:
        real(name, dir_fd=dir_fd)
        home.rename(home.with_name("aside"))
        home.symlink_to(kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "unlink", swapping)
        assert code(wiping, home) == "in-use"
    assert home.is_symlink()


def test_a_folder_that_is_filled_without_end_is_left(
    home: Path, wiping: Wipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.unlink

    def undone(name: str, *, dir_fd: int) -> None:
        real(name, dir_fd=dir_fd)
        os.close(os.open(name, os.O_CREAT, dir_fd=dir_fd))

    (home / "file").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", undone)
        with pytest.raises(Transient) as raised:
            wiping(home)
    assert raised.value.code == "in-use"
    assert raised.value.hint


KILLED = """
import os, sys
from pathlib import Path
from hive.adapters.files import Files

calls = int(sys.argv[2])

def counted(real):
    def call(*args, **kwargs):
        global calls
        calls -= 1
        if calls == 0:
            os.kill(os.getpid(), 9)
        return real(*args, **kwargs)
    return call

for name in ("unlink", "rmdir", "rename"):
    setattr(os, name, counted(getattr(os, name)))
Files().wipe(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("call", [1, 2, 40, 70, 100, 150])
def test_a_wipe_that_was_killed_is_finished_by_the_next(
    home: Path, kept: Path, wiping: Wipe, call: int
) -> None:
    deep_and_wide(home, kept)
    SHELL.run(sys.executable, "-c", KILLED, home, str(call), accept=(-9,))
    assert home.exists()
    wiping(home)
    assert not home.exists()


def test_whoever_asks_may_stop_it_midway(home: Path) -> None:
    many(home, home)
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Beneath(home.parent).wipe("alice", check)
    assert 0 < len(list(home.iterdir())) < 1500
    Beneath(home.parent).wipe("alice")
    assert not home.exists()
