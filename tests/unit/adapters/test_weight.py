"""What a repo would weigh unpacked, by what git says of its objects."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hive.adapters import weight
from hive.adapters.weight import Objects, Stored
from hive.errors import Refused

BLOB = "b" * 40


def entry(name: bytes, one: str) -> bytes:
    return b"100644 " + name + b"\0" + bytes.fromhex(one)


def said(*trees: tuple[str, bytes]) -> bytes:
    """By `cat-file --batch`."""
    return b"".join(b"%s tree %d\n%s\n" % (name.encode(), len(raw), raw) for name, raw in trees)


def code(raw: bytes, found: Objects) -> str:
    with pytest.raises(Refused) as raised:
        weight.expect_showable(raw, found)
    return raised.value.code


def test_what_git_says_is_read_and_what_it_misses_is_not_there() -> None:
    raw = f"{BLOB} blob 12\n{'c' * 40} missing\n".encode()
    assert weight.objects(raw) == {BLOB: Stored("blob", 12)}
    assert weight.objects(b"") == {}


def test_an_empty_repo_is_light() -> None:
    weight.expect_light({})
    assert weight.heavy_trees({}) == []
    weight.expect_showable(b"", {})


@pytest.mark.parametrize(
    "found",
    [
        {BLOB: Stored("blob", weight.OBJECT + 1)},
        {
            f"{n}": Stored("blob", weight.OBJECT)
            for n in range(weight.UNPACKED // weight.OBJECT + 1)
        },
        {f"{n}": Stored("tree", weight.OBJECT) for n in range(weight.TREES // weight.OBJECT + 1)},
    ],
)
def test_what_is_too_large_is_refused(found: Objects) -> None:
    with pytest.raises(Refused) as raised:
        weight.expect_light(found)
    assert raised.value.code == "too-large"


def test_the_trees_of_a_small_repo_need_not_be_read() -> None:
    small = {f"{n}": Stored("tree", 100) for n in range(3)}
    assert weight.heavy_trees(small) == []
    assert weight.heavy_trees({f"{n}": Stored("tree", 100) for n in range(30)}) != []
    assert weight.heavy_trees(small | {BLOB: Stored("blob", weight.OBJECT)}) != []


def test_a_tree_counts_as_often_as_it_is_held() -> None:
    levels = [f"{n:040x}" for n in range(4)]
    trees = [(levels[0], entry(b"f", BLOB) * 100)]
    trees += [(up, entry(b"d", down) * 100) for down, up in pairwise(levels)]
    found = {BLOB: Stored("blob", 1)}
    weight.expect_showable(said(*trees[:2]), found)
    assert code(said(*trees), found) == "too-large"
    assert code(said(*trees[::-1]), found) == "too-large"


def test_names_count_too() -> None:
    inner, outer = "1" * 40, "2" * 40
    trees = said(
        (inner, entry(b"f", BLOB) * 10_000), (outer, entry(b"x" * (weight.SHOWN // 10_000), inner))
    )
    assert code(trees, {BLOB: Stored("blob", 0)}) == "too-large"


def test_folders_in_each_other_are_counted() -> None:
    names = [f"{n:040x}" for n in range(weight.DEEP + 1)]
    chain = [(up, entry(b"d", down)) for down, up in pairwise(names)]
    weight.expect_showable(said((names[0], entry(b"f", BLOB)), *chain[: weight.DEEP - 1]), {})
    assert code(said((names[0], entry(b"f", BLOB)), *chain), {}) == "too-large"


@pytest.mark.parametrize("through", [[], ["2" * 40], ["2" * 40, "3" * 40]])
def test_a_tree_that_holds_itself_is_refused(through: list[str]) -> None:
    circle = ["1" * 40, *through]
    pairs = zip(circle, [*circle[1:], circle[0]], strict=True)
    assert code(said(*((up, entry(b"d", down)) for up, down in pairs)), {}) == "unsafe-repo"


@pytest.mark.parametrize("raw", [b"", b"x", b"100644", b"100644 a", b"100644 a\0", b"\0" * 50])
def test_a_tree_that_is_none_is_left_to_git(raw: bytes) -> None:
    weight.expect_showable(said(("1" * 40, raw)), {})
