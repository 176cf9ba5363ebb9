"""What a repo would weigh unpacked, found out before it is: a few bytes can unpack to any number.

Sizes are those that the objects' heads claim. git refuses an object that is larger than its head
says, so who lies there gains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Final

from hive.errors import Refused

OBJECT: Final = 1 << 26
"""Bytes of one object."""
UNPACKED = 1 << 32
"""Bytes of all objects."""
TREE: Final = 1 << 23
"""Bytes of one tree: hive takes it apart."""
TREES = 1 << 26
"""Bytes of all trees."""
SHOWN = 1 << 30
"""Bytes of the files of one commit, and of their paths."""
SHOWN_FILES = 100_000
DEEP: Final = 100
"""Folders in each other in one commit: git goes down by recursion."""
SMALLEST: Final = 24
"""Bytes of an entry of a tree, at least."""

FORMAT: Final = "%(objectname) %(objecttype) %(objectsize)"
"""What `objects` reads, for `cat-file --batch-check`."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One object, by its head."""

    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a tree is when it is written out."""

    files: int = 0
    size: int = 0
    depth: int = 0


Objects = Mapping[str, Stored]


def too_large(message: str) -> Refused:
    hint = "an agent's repo holds text: take what is large out of its history"
    return Refused(message, code="too-large", hint=hint)


def objects(raw: bytes) -> dict[str, Stored]:
    """Every object of a repo; what git could not read is not there."""
    words = (line.split(" ") for line in raw.decode("ascii", "replace").splitlines())
    return {line[0]: Stored(line[1], int(line[2])) for line in words if len(line) == 3}


def expect_light(found: Objects) -> None:
    """Raises `Refused` where one object, or all together, would be too large."""
    for name, one in found.items():
        if one.size > (TREE if one.kind == "tree" else OBJECT):
            raise too_large(f"the {one.kind} {name} has {one.size} bytes")
    if sum(one.size for one in found.values()) > UNPACKED:
        raise too_large(f"the objects have more than {UNPACKED} bytes")
    if sum(one.size for one in found.values() if one.kind == "tree") > TREES:
        raise too_large(f"the folders alone have more than {TREES} bytes")


def heavy_trees(found: Objects) -> list[str]:
    """The trees to read for `expect_showable`: none where the smallest repos spare us that."""
    trees = {name: one.size for name, one in found.items() if one.kind == "tree"}
    most = prod(max(1, size // SMALLEST) for size in trees.values()) if len(trees) < DEEP else None
    size = max((one.size for one in found.values()), default=0) + sum(trees.values())
    spare = most is not None and most <= SHOWN_FILES and most * size <= SHOWN
    return [] if spare else list(trees)


def expect_showable(raw: bytes, found: Objects) -> None:
    """Raises `Refused` where a tree, which may hold another one many times, would grow too large.

    `raw` is what `cat-file --batch` says of the trees.
    """
    trees = dict(_contents(raw))
    shown: dict[str, Shown] = {}
    for name in trees:
        _show(name, trees, found, shown)


def _show(name: str, trees: Mapping[str, bytes], found: Objects, shown: dict[str, Shown]) -> None:
    """From the bottom up, without recursion: how deep it goes is not up to us."""
    way, entered = [name], set[str]()
    while way:
        here = way[-1]
        if here in shown:
            way.pop()
            continue
        entries = list(_entries(trees[here]))
        below = {one for _, one in entries if one in trees and one not in shown}
        if below and here not in entered:
            entered.add(here)
            way += below
        elif below:
            raise _unsafe_tree(here)
        else:
            shown[here] = _sum(here, entries, found, shown)


def _sum(
    name: str, entries: list[tuple[int, str]], found: Objects, shown: Mapping[str, Shown]
) -> Shown:
    files = size = depth = 0
    for length, one in entries:
        below = shown.get(one)
        if below is None:
            stored = found.get(one)
            below = Shown(1, stored.size if stored else 0)
        files += below.files
        size += below.size + below.files * length
        depth = max(depth, below.depth)
    if files > SHOWN_FILES or size > SHOWN or depth >= DEEP:
        limits = f"{SHOWN_FILES} files, {SHOWN} bytes or {DEEP} folders in each other"
        raise too_large(f"the tree {name} shows more than {limits}")
    return Shown(files, size, depth + 1)


def _contents(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Answers of `cat-file --batch`: kind, size and bytes."""
    at = 0
    while at < len(raw):
        end = raw.index(b"\n", at)
        words = raw[at:end].split(b" ")
        at = end + 1
        if len(words) == 3:
            size = int(words[2])
            yield words[0].decode(), raw[at : at + size]
            at += size + 1


def _entries(tree: bytes) -> Iterator[tuple[int, str]]:
    """The length of each entry's name and the object it names; up to where it makes no sense."""
    at = 0
    while at < len(tree):
        end = tree.find(b"\0", at)
        if end < 0:
            return
        name = tree.find(b" ", at, end)
        yield end - name, tree[end + 1 : end + 21].hex()
        at = end + 21


def _unsafe_tree(name: str) -> Refused:
    hint = "look who made it so; `git fsck` says more"
    return Refused(f"the tree {name} holds itself", code="unsafe-repo", hint=hint)
