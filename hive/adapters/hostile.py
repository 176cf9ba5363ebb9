"""A hostile repo, copied before git reads it: git itself never enters it.

git follows links, alternates and `gitdir:` files wherever they lead, and whoever writes a repo can
change it under git's hands. So hive copies what a fetch needs, and no more, into a repo of its own:
branches and objects, each reached without following a link and counted as it is read. The config,
the hooks, grafts, replaced objects and whatever makes git quicker stay behind. So does `shallow`: a
fetch from a shallow repo says that all is well, and brings no branch. Without it git misses the
rest of the history, and says so.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from hive.adapters.beneath import Beneath, mode_of, open_file, open_folder
from hive.adapters.files import ANY, told
from hive.adapters.weight import too_large
from hive.adapters.wipe import nothing
from hive.errors import Refused, Transient

LARGEST = 1 << 30
"""Bytes that are copied of a repo. What agents are made of is text."""
MANY = 200_000
"""Files and folders that are looked at in a repo."""
OBJECTS = 1_000_000
"""Objects of a repo, packed or not."""
DEEP: Final = 32
"""Folders in each other below `refs`."""
WITHIN: Final = timedelta(minutes=5)
CHUNK: Final = 1 << 20
LIST: Final = 1 << 25
"""Bytes of a file that lists something."""
LINE: Final = 1 << 10
"""Bytes of a file that names one commit."""

#: What git reads below `.git`; it must be a file, also where hive does not copy it.
FILES: Final = ("HEAD", "config", "config.worktree", "packed-refs", "shallow")
#: Where git goes on to, from below `.git`.
ELSEWHERE: Final = ("commondir", "objects/info/alternates", "objects/info/http-alternates")
HEADS: Final = "refs/heads"
ID: Final = re.compile(r"[0-9a-f]{40}", re.ASCII)
#: As `git check-ref-format` has it, or stricter.
HEAD_NAME: Final = re.compile(
    r"(?!.*(\.\.|@\{))"
    r"refs/heads(/(?!\.)(?![^/]*(\.lock|\.)(/|$))[^\x00-\x20\x7f~^:?*\[\\/]+)+",
    re.ASCII,
)
FAN: Final = re.compile(r"[0-9a-f]{2}", re.ASCII)
LOOSE: Final = re.compile(r"[0-9a-f]{38}", re.ASCII)
INDEX: Final = re.compile(r"pack-[0-9a-zA-Z]{1,64}\.idx", re.ASCII)
ENTRY: Final = 24
"""Bytes that an index has for each object, at least."""

#: For the programs that read the copy: git hands them no other config. One thread and no search
#: for deltas: what is fetched here comes from the same disk.
CONFIG: Final = """\
[core]
\trepositoryFormatVersion = 0
\tbare = true
\tbigFileThreshold = 4m
[pack]
\twindow = 0
\tthreads = 1
[uploadpack]
\tallowAnySHA1InWant = true
"""


@dataclass(frozen=True, slots=True)
class HostileRepo:
    """The repo in the folder `path` below `ground`, which its owner may change at any moment."""

    ground: Beneath
    path: str

    @property
    def home(self) -> Path:
        """For messages alone: to open it by name would be to follow links."""
        return self.ground.root / self.path / ".git"

    def copy(self, into: Path, check: Callable[[], None] = nothing) -> None:
        """What git needs of it, as a repo in the new folder `into`. `check` may stop it midway.

        Raises `Refused` where git would be led elsewhere, or would not come to an end.
        """
        with told(self.home), self._opened() as home:
            _Copy(self.home, into / ".git", check).all(home)

    def has_commit(self, rev: str) -> bool:
        """Whether a commit of this full id lies loose there; packed ones are not looked for.

        Of its object no more is read than what says of which kind it is.
        """
        with told(self.home), self._opened() as home, suppress(FileNotFoundError):
            looks = _Copy(self.home, self.home, nothing)
            looks.expect_ordinary(home)
            with looks.folder(home, "objects") as objects, looks.folder(objects, rev[:2]) as fan:
                return _is_commit(fan, rev[2:])
        return False

    @contextmanager
    def _opened(self) -> Iterator[int]:
        if not self.ground.exists(f"{self.path}/.git"):
            raise Refused(
                f"there is no repo in {self.home.parent}",
                code="no-such-ref",
                hint="make one there and commit to its `main`, then run it again",
            )
        with ExitStack() as stack:
            try:
                home = stack.enter_context(self.ground.folder(f"{self.path}/.git"))
            except NotADirectoryError:
                raise _unsafe(self.home, "is no folder") from None
            yield home


class _Copy:
    """One copy as it grows; it never grows beyond the limits."""

    def __init__(self, home: Path, to: Path, check: Callable[[], None]) -> None:
        self._home, self._to, self._check = home, to, check
        self._bytes = self._count = self._objects = 0
        self._until = time.monotonic() + WITHIN.total_seconds()

    def all(self, home: int) -> None:
        self.expect_ordinary(home)
        (self._to / "objects" / "pack").mkdir(parents=True)
        (self._to / "refs").mkdir()
        (self._to / "config").write_text(CONFIG)
        (self._to / "HEAD").write_text("ref: refs/heads/main\n")
        # Before the objects, of which there are only ever more.
        self._copy_heads(home)
        with suppress(FileNotFoundError), self.folder(home, "objects") as objects:
            self._copy_loose(objects)
            # After the loose ones, which vanish when they are packed.
            self._copy_packs(objects)

    def expect_ordinary(self, home: int) -> None:
        for name in ELSEWHERE:
            if self._mode(home, name) is not None:
                raise _unsafe(self._home / name, "names another repo")
        for name in FILES:
            mode = self._mode(home, name)
            if mode is not None and not stat.S_ISREG(mode):
                raise _unsafe(self._home / name, "is no file")

    def _mode(self, home: int, path: str) -> int | None:
        """Of what is at `path`, each folder on the way opened as itself; None where nothing is."""
        first, _, rest = path.partition("/")
        try:
            if not rest:
                return mode_of(first, home)
            with self.folder(home, first) as below:
                return self._mode(below, rest)
        except FileNotFoundError:
            return None

    # Branches.

    def _copy_heads(self, home: int) -> None:
        """All in one file, with nothing in it that is no branch."""
        said: dict[str, str] = {}
        for line in self._text(home, "packed-refs", LIST).split("\n"):
            what, _, name = line.partition(" ")
            said[name] = what
        with (
            suppress(FileNotFoundError),
            self.folder(home, "refs") as refs,
            self.folder(refs, "heads") as heads,
        ):
            self._read_heads(heads, HEADS, said)
        heads_of = {name: _followed(said, name) for name in said if HEAD_NAME.fullmatch(name)}
        lines = (f"{rev} {name}\n" for name, rev in sorted(heads_of.items()) if rev)
        (self._to / "packed-refs").write_bytes("".join(lines).encode(errors=ANY))

    def _read_heads(self, folder: int, at: str, said: dict[str, str]) -> None:
        if at.count("/") > DEEP:
            raise _unsafe(self._home / at, "lies too deep")
        for name, is_folder in self._entries(folder, at):
            with suppress(FileNotFoundError):
                if is_folder:
                    with self.folder(folder, name) as below:
                        self._read_heads(below, f"{at}/{name}", said)
                else:
                    said[f"{at}/{name}"] = self._text(folder, name, LINE, at).strip()

    # Objects.

    def _copy_loose(self, objects: int) -> None:
        for fan, _ in self._entries(objects, "objects"):
            if not FAN.fullmatch(fan):
                continue
            with self.folder(objects, fan) as folder:
                names = [name for name, _ in self._entries(folder, f"objects/{fan}")]
                self._copy_objects(folder, fan, [name for name in names if LOOSE.fullmatch(name)])

    def _copy_objects(self, folder: int, fan: str, names: list[str]) -> None:
        self._count_objects(len(names))
        if names:
            (self._to / "objects" / fan).mkdir(exist_ok=True)
        for name in names:
            with suppress(FileNotFoundError):  # it was packed meanwhile
                self._copy(folder, name, f"objects/{fan}")

    def _copy_packs(self, objects: int) -> None:
        with suppress(FileNotFoundError), self.folder(objects, "pack") as packs:
            names = {name for name, _ in self._entries(packs, "objects/pack")}
            for name in sorted(filter(INDEX.fullmatch, names)):
                pack = f"{name.removesuffix('.idx')}.pack"
                if pack in names:
                    self._copy_pack(packs, name, pack)

    def _copy_pack(self, packs: int, index: str, pack: str) -> None:
        try:
            self._count_objects(self._copy(packs, index, "objects/pack") // ENTRY)
            self._copy(packs, pack, "objects/pack")
        except FileNotFoundError:
            raise Transient(
                f"{self._home} was repacked while it was copied",
                code="in-use",
                hint="run it again",
            ) from None

    # One thing at a time.

    @contextmanager
    def folder(self, parent: int, name: str) -> Iterator[int]:
        try:
            handle = open_folder(name, parent)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise _unsafe(self._home, f"has something at {name} that is no folder") from None
            raise
        try:
            yield handle
        finally:
            os.close(handle)

    def _entries(self, folder: int, at: str) -> Iterator[tuple[str, bool]]:
        """Names, and whether they are folders; what is neither a file nor a folder is refused."""
        with os.scandir(folder) as entries:
            for entry in entries:
                self._count += 1
                self._expect_room()
                is_folder = entry.is_dir(follow_symlinks=False)
                if not is_folder and not entry.is_file(follow_symlinks=False):
                    raise _unsafe(self._home / at / entry.name, "is neither a file nor a folder")
                yield entry.name, is_folder

    def _copy(self, parent: int, name: str, at: str) -> int:
        """The bytes of a file that were copied; never linked: its owner could still write it."""
        size = 0
        with (self._to / at / name).open("xb") as copy:
            for chunk in self._chunks(parent, name, at):
                size += copy.write(chunk)
        return size

    def _text(self, parent: int, name: str, most: int, at: str = "") -> str:
        said = bytearray()
        with suppress(FileNotFoundError):
            for chunk in self._chunks(parent, name, at):
                said += chunk
                if len(said) > most:
                    raise too_large(f"{self._home / at / name} has more than {most} bytes")
        return said.decode(errors=ANY)

    def _chunks(self, parent: int, name: str, at: str) -> Iterator[bytes]:
        handle = open_file(name, parent)
        if handle is None:
            raise _unsafe(self._home / at / name, "is no file")
        try:
            size = os.fstat(handle).st_size
            self._expect_room(size)
            for chunk in iter(partial(os.read, handle, CHUNK), b""):
                self._bytes += len(chunk)
                self._expect_room()
                yield chunk
        finally:
            os.close(handle)

    def _count_objects(self, more: int) -> None:
        self._objects += more
        self._expect_room()

    def _expect_room(self, ahead: int = 0) -> None:
        self._check()
        if time.monotonic() > self._until:
            raise Transient(
                f"{self._home} was not copied after {WITHIN}",
                code="file-system",
                hint="look at the disk, then run it again",
            )
        if self._bytes + ahead > LARGEST or self._count > MANY or self._objects > OBJECTS:
            raise too_large(f"{self._home} has more than {LARGEST} bytes or {MANY} files")


def _is_commit(fan: int, name: str) -> bool:
    handle = open_file(name, fan)
    if handle is None:
        return False
    try:
        return zlib.decompressobj().decompress(os.read(handle, LINE), 8).startswith(b"commit ")
    except zlib.error:
        return False
    finally:
        os.close(handle)


def _followed(said: dict[str, str], name: str) -> str | None:
    """The commit that a branch names, by way of other branches at most."""
    for _ in range(5):  # as far as git goes
        what = said.get(name, "")
        if ID.fullmatch(what):
            return what
        name = what.removeprefix("ref:").strip()
    return None


def _unsafe(at: Path, because: str) -> Refused:
    return Refused(
        f"{at} {because}: hive fetches from ordinary repos alone",
        code="unsafe-repo",
        hint="look who made it so; `git clone --no-local` makes an ordinary copy",
    )
