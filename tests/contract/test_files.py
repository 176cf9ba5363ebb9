"""Files and folders of hive's own: whole or not at all, and what is in the way is said."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hive.adapters.files import Files
from hive.adapters.shell import LocalShell
from hive.errors import HiveError, Refused, Transient
from tests.contract import ground

FILES = Files()
small_disk = ground.small_disk
ROOT = Path(__file__).parents[2]

# A write starts six calls that the kernel could be killed in: open, mode, sync, rename, and the
# folder's open and sync.
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

for name in ("open", "fchmod", "fsync", "replace"):
    setattr(os, name, counted(getattr(os, name)))
Files().write(Path(sys.argv[1]), "new")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below" / "conf"


@pytest.fixture
def wide_umask() -> Iterator[None]:
    """One that would take every right from others."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def refused(act: Callable[[], object]) -> HiveError:
    with pytest.raises(HiveError) as raised:
        act()
    assert raised.value.hint
    assert "None" not in raised.value.message
    return raised.value


@pytest.mark.parametrize("text", ["", "a", "a\nb", "a\r\nb\r", "é\u2028", "\0", "x" * 10**6])
def test_what_is_written_is_read(path: Path, text: str) -> None:
    FILES.write(path, text)
    assert FILES.read(path) == text
    assert FILES.entries(path.parent) == ("conf",)


@pytest.mark.parametrize("raw", [b"\xff", b"A=1\n\xfe\xfd\r\n"])
def test_bytes_that_are_no_text_survive_a_reading_and_a_writing(path: Path, raw: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(raw)
    FILES.write(path, FILES.read(path) or "")
    assert path.read_bytes() == raw


@pytest.mark.usefixtures("wide_umask")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_a_file_has_its_mode_whatever_the_umask(path: Path, mode: int) -> None:
    FILES.write(path, "a", mode=mode)
    FILES.write(path, "b", mode=mode)
    assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize("call", range(1, 7))
def test_a_write_that_is_killed_anywhere_leaves_the_old_text_or_the_new(
    path: Path, call: int
) -> None:
    FILES.write(path, "old")
    shell = LocalShell({"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)})
    ran = shell.run(sys.executable, "-c", KILLED, path, str(call), accept=(-9,))
    assert ran.exit_code == -9
    assert FILES.read(path) == ("old" if call <= 4 else "new")
    FILES.write(path, "next")
    assert FILES.read(path) == "next"
    assert FILES.entries(path.parent) == ("conf",)


def test_a_write_over_a_link_replaces_the_link(path: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    path.parent.mkdir()
    path.symlink_to(outside)
    (path.parent / ".conf.new").symlink_to(outside)
    FILES.write(path, "new")
    assert not path.is_symlink()
    assert outside.read_text() == "mine"


def test_a_write_that_fails_leaves_nothing_beside(path: Path) -> None:
    path.mkdir(parents=True)
    assert refused(lambda: FILES.write(path, "text")).code == "in-the-way"
    assert FILES.entries(path.parent) == ("conf",)


def test_what_is_in_the_making_is_written_too(path: Path) -> None:
    for text in ("one", "a\nb\n", "é"):
        FILES.jot(path, text)
        assert FILES.read(path) == text
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_what_is_absent_is_an_answer(tmp_path: Path, path: Path) -> None:
    (tmp_path / "file").write_text("")
    for absent in (path, tmp_path / "file" / "below"):
        assert FILES.read(absent) is None
        assert FILES.link(absent) is None
        assert not FILES.exists(absent)
        assert not FILES.is_folder(absent)
        assert FILES.entries(absent) == ()
    FILES.remove(path)
    FILES.wipe(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="the kernel shows a zombie's environ to root alone")
def test_a_process_that_ends_while_it_is_read_is_absent() -> None:
    """The files of a zombie are there, and reading them says that there is no such process."""
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    found = FILES.read(Path(f"/proc/{child}/environ"))
    os.waitpid(child, 0)
    assert not found


@pytest.mark.usefixtures("wide_umask")
def test_a_folder_has_its_mode_whatever_the_umask_and_whoever_made_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    FILES.make_folder(folder, mode=0o755)
    assert FILES.is_folder(folder, mode=0o755)
    FILES.make_folder(folder, mode=0o700)
    assert FILES.is_folder(folder, mode=0o700)
    assert not FILES.is_folder(folder, mode=0o755)


def test_a_link_to_a_folder_is_no_folder(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert not FILES.is_folder(link)
    assert refused(lambda: FILES.make_folder(link, mode=0o700)).code == "in-the-way"


def test_a_link_is_told_as_it_stands(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    assert FILES.link(link) == Path("nowhere")
    assert FILES.exists(link)
    assert FILES.link(tmp_path) is None


def test_a_folder_is_moved_to_where_nothing_or_an_empty_folder_is(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "inside").mkdir(parents=True)
    FILES.move(tmp_path / "one", tmp_path / "new" / "place")
    assert FILES.entries(tmp_path / "new" / "place") == ("inside",)
    to = tmp_path / "new" / "place"
    assert refused(lambda: FILES.move(tmp_path / "two", to)).code == "in-the-way"
    (to / "inside").rmdir()
    FILES.move(tmp_path / "two", to)
    assert not FILES.exists(tmp_path / "two")


def test_wiping_follows_no_link(tmp_path: Path) -> None:
    kept, wiped = tmp_path / "kept", tmp_path / "wiped"
    for folder in (kept, wiped):
        folder.mkdir()
    (kept / "file").write_text("mine")
    (wiped / "link").symlink_to(kept)
    (wiped / "sealed").mkdir(mode=0o500)
    FILES.wipe(wiped)
    assert FILES.entries(tmp_path) == ("kept",)
    assert FILES.entries(kept) == ("file",)


def test_a_link_is_not_wiped_nor_what_it_points_at(tmp_path: Path) -> None:
    kept, link = tmp_path / "kept", tmp_path / "link"
    kept.mkdir()
    link.symlink_to(kept)
    assert refused(lambda: FILES.wipe(link)).code == "in-the-way"
    assert FILES.entries(tmp_path) == ("kept", "link")


IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "reading a folder": lambda at: FILES.read(at.parent),
    "writing below a file": lambda at: FILES.write(at / "x", ""),
    "a folder below a file": lambda at: FILES.make_folder(at / "x", mode=0o700),
    "a folder where a file is": lambda at: FILES.make_folder(at, mode=0o700),
    "wiping a file": lambda at: FILES.wipe(at),
    "removing a folder": lambda at: FILES.remove(at.parent),
    "moving onto a file": lambda at: FILES.move(at.parent / "folder", at),
    "a link in a circle": lambda at: FILES.read(at.parent / "circle"),
}


@pytest.mark.parametrize("act", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_what_is_in_the_way_is_refused_by_name(path: Path, act: Callable[[Path], object]) -> None:
    FILES.write(path, "text")
    (path.parent / "circle").symlink_to("circle")
    (path.parent / "folder").mkdir()
    error = refused(lambda: act(path))
    assert isinstance(error, Refused)
    assert error.code == "in-the-way"
    assert str(path.parent) in error.message


def test_a_full_disk_is_trouble_that_passes(small_disk: Path) -> None:
    path = small_disk / "conf"
    FILES.write(path, "old")
    error = refused(lambda: FILES.write(path, "x" * 10**7))
    assert isinstance(error, Transient)
    assert error.code == "disk-full"
    assert str(path) in error.message
    assert FILES.read(path) == "old"
    assert FILES.entries(small_disk) == ("conf",)


def test_a_folder_of_someone_else_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    assert refused(lambda: FILES.write(tmp_path / "conf", "")).code == "not-permitted"


def test_whether_a_folder_takes_files_is_asked_and_nothing_is_made(tmp_path: Path) -> None:
    assert FILES.may_write(tmp_path)
    assert not FILES.may_write(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
