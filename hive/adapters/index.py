"""Whether a tree shows its commit, as git's index says and as the files lie there: without git.

What is not sure from that is `Unknown`, and git's to say: this never says no.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hive.adapters import refs
from hive.adapters.loose import Unknown
from hive.domain.names import Rev

MOST: Final = 1_000
"""Files of a tree: with more of them git is quicker."""
LARGEST: Final = 1 << 20  #: bytes of a file that is read here
_HEAD: Final = struct.Struct(">4sII")
_ENTRY: Final = struct.Struct(">4I4x5I20sH")
"""When it was changed and written, but not the device, which git does not compare either."""
_PART: Final = struct.Struct(">4sI")
SECOND: Final = 1_000_000_000
_SUM: Final = 20  #: bytes at the end, over all before
_LENGTH: Final = 0x0FFF
_PLAIN: Final = b"TREE"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file as it was when git wrote it, or looked at it last."""

    seen: tuple[int, ...]
    name: str  #: of its content


@dataclass(frozen=True, slots=True)
class _Index:
    written: int  #: nanoseconds
    tree: str
    entries: dict[bytes, _Entry]


def expect_clean(repo: Path, tree_of: Callable[[Rev], str]) -> None:
    """The index and the tree show what HEAD names, and nothing else; `Unknown` unless it is sure.

    Like git it takes a file for unchanged that was not touched since it was looked at; and like git
    it reads one that may have been changed in the moment in which the index was written.
    """
    home = repo / ".git"
    try:
        index = _read(home / "index")
        if index.tree != tree_of(_head(home)):
            raise Unknown
        left = set(index.entries)
        for path, found in _below(os.fsencode(repo)):
            _expect_same(path, found, index)
            left.discard(found)
    except (OSError, ValueError, KeyError, struct.error):
        raise Unknown from None
    if left:
        raise Unknown


def _head(home: Path) -> Rev:
    name = (home / "HEAD").read_text().removeprefix("ref: ").strip()
    return refs.refs(home, name)[name]


def _read(file: Path) -> _Index:
    written, raw = file.stat().st_mtime_ns, file.read_bytes()
    if hashlib.sha1(raw[:-_SUM], usedforsecurity=False).digest() != raw[-_SUM:]:
        raise Unknown
    kind, version, count = _HEAD.unpack_from(raw)
    if kind != b"DIRC" or version != 2 or count > MOST:
        raise Unknown
    entries, at = {}, _HEAD.size
    for _ in range(count):
        *seen, name, flags = _ENTRY.unpack_from(raw, at)
        path = raw[at + _ENTRY.size : raw.index(b"\0", at + _ENTRY.size)]
        if flags & ~_LENGTH:  # in the midst of a merge, or not to be looked at
            raise Unknown
        entries[path] = _Entry(tuple(seen), name.hex())
        at += (_ENTRY.size + len(path) + 8) & ~7
    return _Index(written, _tree(raw[at:-_SUM], count), entries)


def _tree(parts: bytes, count: int) -> str:
    """The tree that the index is, where git has noted that; every other part may mean more."""
    kind, size = _PART.unpack_from(parts)
    covers, _, rest = parts[_PART.size :].removeprefix(b"\0").partition(b" ")
    if kind != _PLAIN or size != len(parts) - _PART.size or int(covers) != count:
        raise Unknown
    return rest.partition(b"\n")[2][:20].hex()


def _below(folder: bytes, under: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """Each file where it is, and as the index calls it."""
    with os.scandir(folder) as found:
        for one in found:
            if not one.is_dir(follow_symlinks=False):
                yield one.path, under + one.name
            elif under or one.name != b".git":
                yield from _below(one.path, under + one.name + b"/")


def _expect_same(path: bytes, name: bytes, index: _Index) -> None:
    entry, now = index.entries[name], os.lstat(path)
    if entry.seen != _seen(now):
        raise Unknown
    if now.st_mtime_ns >= index.written and entry.name != _content(path, now):
        raise Unknown


def _seen(now: os.stat_result) -> tuple[int, ...]:
    """As an index has it, in 32 bits each; of a mode only what git keeps."""
    times = (*divmod(now.st_ctime_ns, SECOND), *divmod(now.st_mtime_ns, SECOND))
    seen = (*times, now.st_ino, _mode(now.st_mode), now.st_uid, now.st_gid, now.st_size)
    return tuple(one & 0xFFFF_FFFF for one in seen)


def _mode(mode: int) -> int:
    if stat.S_ISREG(mode):
        return stat.S_IFREG | (0o755 if mode & stat.S_IXUSR else 0o644)
    return stat.S_IFMT(mode)


def _content(path: bytes, now: os.stat_result) -> str:
    """The name that git gives it; hive's trees are shown to the letter."""
    if now.st_size > LARGEST:
        raise Unknown
    file = Path(os.fsdecode(path))
    raw = os.fsencode(file.readlink()) if stat.S_ISLNK(now.st_mode) else file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()
