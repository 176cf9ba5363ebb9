"""Objects of a repo that lie loose, read as git lays them: a file each, and no program.

What is not read here (packed, or half there) is git's to read: then the answer is `Unknown`.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hive.domain.names import Rev

HEAD: Final = 64
"""Bytes, at most, in which an object says its kind and its size."""
LARGEST: Final = 1 << 26
FOLDER: Final = b"40000"
WALK: Final = 100
"""Commits that are gone back through, before git is asked to: it is quicker at many."""
_ID: Final = re.compile(r"[0-9a-f]{40}", re.ASCII)


class Unknown(Exception):
    """Git has to be asked."""


@dataclass(frozen=True, slots=True)
class Commit:
    tree: str
    parent: Rev | None
    """The first one."""
    subject: str
    """As git shows it: all lines up to the first empty one, in one."""


def commit(home: Path, rev: str) -> Commit:
    head, _, message = _object(home, rev, b"commit").partition(b"\n\n")
    said = [line.decode(errors="replace").partition(" ") for line in head.split(b"\n")]
    trees = [value for key, _, value in said if key == "tree"]
    parents = [value for key, _, value in said if key == "parent"]
    if not all(map(_ID.fullmatch, (*trees, *parents))) or not trees:
        raise Unknown
    first, _, _ = message.lstrip(b"\n").partition(b"\n\n")
    subject = " ".join(first.decode(errors="replace").strip("\n").split("\n"))
    return Commit(trees[0], Rev(parents[0]) if parents else None, subject)


def file(home: Path, rev: str, path: str) -> str | None:
    """What `path` holds in the commit; None where there is no such file."""
    *folders, name = path.split("/")
    tree = commit(home, rev).tree
    for folder in folders:
        mode, tree = _entries(home, tree).get(folder.encode(), (b"", ""))
        if mode != FOLDER:
            return None
    mode, blob = _entries(home, tree).get(name.encode(), (b"", ""))
    if not blob or mode == FOLDER:
        return None
    return _object(home, blob, b"blob").decode(errors="backslashreplace")


def history(home: Path, rev: Rev) -> Iterator[Commit]:
    """From `rev` back by first parents, to the first commit. Raises `Unknown` after `WALK`."""
    at: Rev | None = rev
    for _ in range(WALK):
        if at is None:
            return
        found = commit(home, at)
        yield found
        at = found.parent
    raise Unknown


def _entries(home: Path, tree: str) -> dict[bytes, tuple[bytes, str]]:
    """Mode and id of each name."""
    raw, found = _object(home, tree, b"tree"), {}
    while raw:
        head, _, rest = raw.partition(b"\0")
        mode, _, name = head.partition(b" ")
        found[name] = (mode, rest[:20].hex())
        raw = rest[20:]
    return found


def _object(home: Path, name: str, kind: bytes) -> bytes:
    if not _ID.fullmatch(name):
        raise Unknown
    try:
        body = _inflated((home / "objects" / name[:2] / name[2:]).read_bytes(), kind)
    except (OSError, ValueError, zlib.error):
        raise Unknown from None
    # Git would rather read a pack, so this may be another one that was put there.
    named = hashlib.sha1(b"%s %d\0" % (kind, len(body)) + body, usedforsecurity=False)
    if named.hexdigest() != name:
        raise Unknown
    return body


def _inflated(raw: bytes, kind: bytes) -> bytes:
    """As much as its head says, and not a byte more."""
    stream = zlib.decompressobj()
    head, _, body = stream.decompress(raw, HEAD).partition(b"\0")
    found, _, said = head.partition(b" ")
    size = int(said)
    if found != kind or not len(body) <= size <= LARGEST:
        raise Unknown
    body += stream.decompress(stream.unconsumed_tail, size - len(body) + 1)
    if len(body) != size or not stream.eof:
        raise Unknown
    return body
