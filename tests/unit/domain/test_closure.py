"""Closures: how a path is split, and what is said of two of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.closure import difference, named, signed, split

A, B, C = "a" * 32, "b" * 32, "c" * 32


def at(digits: str, name: str) -> str:
    return f"/nix/store/{digits}-{name}"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("nixos-system-alice-23.05", ("nixos-system-alice", "23.05")),
        ("openssl-3.0.11", ("openssl", "3.0.11")),
        ("openssl-3.0.11-dev", ("openssl", "3.0.11")),
        ("glibc-2.38-44-bin", ("glibc", "2.38-44")),
        ("foo-1.0-unstable", ("foo", "1.0-unstable")),
        ("foo-0-unstable-2024-01-02", ("foo", "0-unstable-2024-01-02")),
        ("source", ("source", "")),
        ("gtk+3", ("gtk+3", "")),
        ("x86-64-linux", ("x86", "64-linux")),
        ("unit-hive-agent.service", ("unit-hive-agent.service", "")),
        ("foo-dev", ("foo-dev", "")),
        ("-1", ("-1", "")),
    ],
)
def test_a_version_begins_at_the_first_dash_before_a_digit(
    name: str, parts: tuple[str, str]
) -> None:
    assert split(name) == parts


@pytest.mark.parametrize(
    "path", [at(A, "foo-1.2"), f"/elsewhere/{A}-foo-1.2", f"{A}-foo-1.2", "foo-1.2"]
)
def test_a_name_is_what_comes_after_the_hash_in_any_store(path: str) -> None:
    assert named(path) == "foo-1.2"


def test_a_package_is_added_removed_changed_or_rebuilt() -> None:
    before = {
        at(A, "openssl-3.0.9"): 1000,
        at(B, "gone-1"): 5,
        at(A, "glibc-2.38"): 100,
        at(C, "same-1"): 7,
    }
    after = {
        at(B, "openssl-3.0.11"): 13288,
        at(A, "new-2"): 2048,
        at(B, "glibc-2.38"): 100,
        at(C, "same-1"): 7,
    }
    found = difference(before, after)

    assert [one.name for one in found.added] == ["new"]
    assert [one.name for one in found.removed] == ["gone"]
    assert [(one.name, one.is_rebuilt) for one in found.changed] == [
        ("glibc", True),
        ("openssl", False),
    ]
    assert (found.size_before, found.size_after) == (1112, 15443)
    assert list(found.lines()) == [
        "glibc: 2.38 rebuilt",
        "gone: 1 removed, -5 bytes",
        "new: 2 added, +2.0 KiB",
        "openssl: 3.0.9 → 3.0.11, +12.0 KiB",
    ]
    assert str(found) == "1 added, 1 removed, 1 changed, 1 rebuilt; 15.1 KiB, +14.0 KiB"


def test_without_a_closure_before_everything_is_added() -> None:
    found = difference(None, {at(A, "foo-1"): 3})
    assert [str(one) for one in found.added] == ["foo: 1 added, +3 bytes"]
    assert (found.size_before, found.changed, found.removed) == (0, (), ())


def test_of_many_versions_only_those_that_differ_are_said() -> None:
    before = {at(A, "python-2.7"): 1, at(A, "python-3.9"): 1}
    more = {**before, at(A, "python-3.10"): 1}
    other = {at(A, "python-2.7"): 1, at(A, "python-3.11"): 1}
    assert list(difference(before, more).lines()) == ["python: 3.10 added, +1 bytes"]
    assert list(difference(more, before).lines()) == ["python: 3.10 removed, -1 bytes"]
    assert list(difference(more, other).lines()) == ["python: 3.9, 3.10 → 3.11, -1 bytes"]


def test_the_outputs_of_a_package_are_one_package() -> None:
    found = difference(
        {at(A, "openssl-3.0.9"): 10, at(B, "openssl-3.0.9-bin"): 5},
        {at(A, "openssl-3.0.9"): 10, at(C, "openssl-3.0.9-bin"): 6},
    )
    assert list(found.lines()) == ["openssl: 3.0.9 rebuilt, +1 bytes"]


def test_what_has_no_version_is_rebuilt() -> None:
    found = difference({at(A, "etc"): 1}, {at(B, "etc"): 1})
    assert list(found.lines()) == ["etc: rebuilt"]
    assert str(found) == "1 rebuilt; 1 bytes"


def test_what_got_a_version_says_so() -> None:
    found = difference({at(A, "etc"): 1}, {at(B, "etc-1"): 1})
    assert list(found.lines()) == ["etc: no version → 1"]


def test_the_json_has_stable_keys() -> None:
    found = difference({at(A, "foo-1"): 1}, {at(B, "foo-2"): 3})
    assert json.loads(json.dumps(found.as_json())) == {
        "added": [],
        "removed": [],
        "changed": [
            {
                "name": "foo",
                "before": ["1"],
                "after": ["2"],
                "bytes_before": 1,
                "bytes_after": 3,
                "rebuilt": False,
            }
        ],
        "size_before": 1,
        "size_after": 3,
    }


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "+0 bytes"), (-1023, "-1023 bytes"), (1024, "+1.0 KiB"), (3 << 30, "+3.0 GiB"),
     (1 << 70, "+1073741824.0 TiB")],
)  # fmt: skip
def test_sizes_are_said_in_the_unit_that_fits(size: int, said: str) -> None:
    assert signed(size) == said


NAMES = st.from_regex(r"[a-z0-9+._?=-]{1,12}", fullmatch=True)
CLOSURES = st.dictionaries(
    st.builds(at, st.sampled_from((A, B, C)), NAMES), st.integers(0, 1 << 40), max_size=8
)


@given(CLOSURES, CLOSURES)
def test_differences_add_up(before: dict[str, int], after: dict[str, int]) -> None:
    found = difference(before, after)
    packages = (*found.added, *found.removed, *found.changed)
    assert sum(one.growth for one in packages) == found.size_after - found.size_before
    assert len({one.name for one in packages}) == len(packages) == len(list(found.lines()))
    back = difference(after, before)
    assert [one.name for one in back.added] == [one.name for one in found.removed]
    assert difference(before, before).as_json()["changed"] == []
