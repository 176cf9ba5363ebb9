"""Nix's own log: what is told of it, how far it is, and that nothing in it can harm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.adapters.nixlog import NixLog, Progress, Told

GOLDEN = Path(__file__).parents[2] / "golden"
DRV = "/nix/store/g43infmc7baqswg2yspn5j1ahwn4sp3w-libfoo-1.2.3.drv"
OUT = "/nix/store/g43infmc7baqswg2yspn5j1ahwn4sp3w-libfoo-1.2.3"


def event(**fields: object) -> str:
    return f"@nix {json.dumps(fields)}"


def start(number: int, kind: int, *fields: object) -> str:
    return event(action="start", id=number, level=3, text="", type=kind, fields=list(fields))


def result(number: int, kind: int, *fields: object) -> str:
    return event(action="result", id=number, type=kind, fields=list(fields))


def stop(number: int) -> str:
    return event(action="stop", id=number)


def message(text: str, **also: object) -> str:
    return event(action="msg", msg=text, **also)


def heard(*lines: str) -> Progress:
    log = NixLog()
    for line in lines:
        log.hear(line)
    return log.progress


def told(lines: list[str]) -> list[str]:
    log = NixLog()
    return [said for line in lines for said in log.hear(line)]


def golden(name: str) -> list[str]:
    return (GOLDEN / f"nix-build-{name}.txt").read_text().splitlines()


# What is told


def test_a_line_that_is_no_event_is_told_as_it_is() -> None:
    assert told(["fatal: unable to access \x1b[1m'x'", "", "@nixx"]) == [
        "fatal: unable to access \x1b[1m'x'", "", "@nixx",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ["@nix ", "@nix {", "@nix []", "@nix null", "@nix 1", '@nix {"action":"new","id":1}',
     '@nix {"action":"start"}', '@nix {"action":"start","id":"x","type":105}',
     '@nix {"action":"result","id":1,"type":101}', '@nix {"action":"result","id":1,"type":999,'
     '"fields":["x"]}', '@nix {"action":"msg"}', '@nix {"action":"msg","msg":1,"level":0}',
     "@nix " + "[" * 100_000, "@nix " + "1" * 10_000],
)  # fmt: skip
def test_what_is_broken_or_not_known_is_passed_over(line: str) -> None:
    assert told([line]) == []
    assert heard(line) == Progress()


@pytest.mark.parametrize(("level", "is_told"), [(0, True), (1, True), (2, True), (3, True),
                                                (4, False), (7, False), (None, True)])  # fmt: skip
def test_messages_are_told_but_for_chatter(level: int | None, is_told: bool) -> None:
    assert told([message("word", level=level)]) == (["word"] if is_told else [])


def test_a_message_is_told_in_lines_and_without_colours() -> None:
    said = "\x1b[31;1merror:\x1b[0m\n       … while \x1b[35;1mx\x1b[0m\n\n       error: the word\n"
    assert told([message(said, level=0)]) == [
        "error:", "       … while x", "", "       error: the word",
    ]  # fmt: skip


def test_a_build_log_line_bears_the_short_name_of_its_derivation() -> None:
    lines = [start(1, 105, DRV, "", 1, 1), result(1, 101, "\x1b[32mgreen\x1b[0m"),
             result(1, 107, "hook"), result(2, 101, "whose?"), stop(1),
             result(1, 101, "late")]  # fmt: skip
    assert told(lines) == ["libfoo> green", "libfoo> hook", "whose?", "late"]


def test_a_recorded_build_is_told_plainly() -> None:
    assert told(golden("fetched")) == [
        "libfoo> configure",
        "nixos-system-alice> one",
        "nixos-system-alice> two",
        "nixos-system-alice> green",
    ]


def test_a_recorded_failure_is_told_plainly() -> None:
    said = told(golden("failed"))
    assert said[0] == "broken> trying"
    assert [line.partition("'")[0] for line in said[1:]] == [
        "error: builder for ",
        "error: 1 dependencies of derivation ",
    ]
    assert said[1].endswith("-broken-1.0.drv' failed with exit code 3")


# How far it is


def test_builds_are_counted_and_named() -> None:
    lines = [start(0, 104), result(0, 105, 1, 5, 2, 0),
             start(1, 105, DRV, "", 1, 1), start(2, 105, DRV.replace("libfoo", "bar"))]  # fmt: skip
    found = heard(*lines)
    assert found == Progress(("libfoo-1.2.3", "bar-1.2.3"), done=1, expected=5, running=2)
    assert str(found) == "building 3 of 5: libfoo-1.2.3, bar-1.2.3"
    assert heard(*lines, stop(1), stop(2)).building == ()
    assert heard(*lines, stop(0)).done == 1


def test_many_builds_are_named_in_part() -> None:
    found = Progress(tuple("abcdef"), done=2, expected=9)
    assert str(found) == "building 8 of 9: a, b, c, d and 2 more"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Progress(("a",)), "building 1 of 1: a"),
        (Progress(("a",), done=2, expected=2), "building 2 of 2: a"),
        (Progress(("a",), done=1, expected=2, failed=1), "building 2 of 2: a (1 failed)"),
        (
            Progress(("a",), expected=2, failed=1, bytes_done=5_000_000),
            "building 1 of 2: a (1 failed, 5.0 of 5.0 MB fetched)",
        ),
        (Progress(done=3, expected=3, bytes_done=5), ""),
    ],
)
def test_progress_is_said_in_a_few_words(found: Progress, said: str) -> None:
    assert str(found) == said


def test_what_is_fetched_is_said_in_megabytes() -> None:
    lines = [start(9, 102), result(9, 106, 101, 40_000_000), result(9, 106, 100, 99_000_000),
             start(1, 108, OUT, "https://cache"), start(2, 100, OUT), start(3, 101, "https://x"),
             result(3, 105, 12_300_000, 40_000_000, 0, 0)]  # fmt: skip
    found = heard(*lines)
    assert (found.bytes_done, found.bytes_expected) == (12_300_000, 40_000_000)
    assert str(found) == "fetching libfoo-1.2.3 (12.3 of 40.0 MB fetched)"
    ended = heard(*lines, stop(3), stop(2), stop(1))
    assert (ended.bytes_done, str(ended)) == (12_300_000, "")


def test_a_cache_that_is_a_folder_counts_what_it_copies() -> None:
    found = heard(start(2, 100, OUT), result(2, 105, 5, 10, 0, 0))
    assert (found.bytes_done, found.bytes_expected) == (5, 10)


@pytest.mark.parametrize("odd", [-1, 1.5, "1", None, [], 1 << 64, 10**400])
def test_a_number_that_is_none_counts_for_nothing(odd: object) -> None:
    found = heard(start(0, 104), result(0, 105, odd, 2, 1, 0), start(3, 101, "x"),
                  result(3, 106, 101, odd))  # fmt: skip
    assert (found.done, found.expected, found.bytes_expected) == (0, 2, 0)
    assert str(found) == ""


def test_a_recorded_build_is_followed_to_its_end() -> None:
    log = NixLog()
    seen = []
    for line in golden("fetched"):
        log.hear(line)
        seen.append(log.progress)
    names = dict.fromkeys(name for one in seen for name in one.building)
    assert list(names) == ["libfoo-1.2.3", "nixos-system-alice-23.05"]
    assert {name for one in seen for name in one.fetching} == {"big-data-1.0"}
    assert max(one.bytes_done for one in seen) >= 6_000_112
    assert (seen[-1].done, seen[-1].running, seen[-1].failed, seen[-1].building) == (2, 0, 0, ())


def test_a_recorded_failure_is_counted() -> None:
    assert heard(*golden("failed")).failed == 1


# Between the lines of the log


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_progress_is_told_when_it_changed_and_once_a_second_at_most() -> None:
    clock = Clock()
    reader = Told(clock)
    assert list(reader.read(start(0, 104))) == []
    assert list(reader.read(start(1, 105, DRV))) == ["building 1 of 1: libfoo-1.2.3"]
    assert list(reader.read(result(0, 105, 0, 3, 1, 0))) == []
    assert list(reader.read(result(1, 101, "one"))) == ["libfoo> one"]
    assert list(reader.idle()) == []
    clock.now += 1
    assert list(reader.idle()) == ["building 1 of 3: libfoo-1.2.3"]
    clock.now += 1
    assert list(reader.idle()) == []
    assert list(reader.read(result(0, 105, 0, 3, 1, 0))) == []
    assert list(reader.read(result(1, 101, "two"))) == ["libfoo> two"]
    assert list(reader.read(stop(1))) == []


def test_a_count_that_lags_behind_is_waited_for_but_not_for_long() -> None:
    clock = Clock()
    reader = Told(clock)
    assert list(reader.read(start(0, 104))) == []
    assert list(reader.read(result(0, 105, 0, 2, 0, 0))) == []
    assert list(reader.read(start(1, 105, DRV))) == []
    assert list(reader.read(result(0, 105, 0, 2, 1, 0))) == ["building 1 of 2: libfoo-1.2.3"]
    clock.now += 1
    assert list(reader.read(result(0, 105, 1, 2, 0, 0))) == []
    assert list(reader.idle()) == ["building 2 of 2: libfoo-1.2.3"]


def test_a_log_line_comes_before_the_progress_that_follows_it() -> None:
    clock = Clock()
    reader = Told(clock)
    list(reader.read(start(1, 105, DRV)))
    list(reader.read(start(2, 105, DRV.replace("libfoo", "bar"))))
    clock.now += 1
    assert list(reader.read(result(1, 101, "one"))) == [
        "libfoo> one", "building 2 of 2: libfoo-1.2.3, bar-1.2.3",
    ]  # fmt: skip


# Whatever it holds

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([0, 1, 100, 101, 104, 105, 106, 107, 108, DRV]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)  # fmt: skip
EVENTS = st.fixed_dictionaries(
    {"action": st.sampled_from(["start", "stop", "result", "msg"]) | VALUES},
    optional={
        "id": st.integers(0, 3) | VALUES,
        "type": st.sampled_from([100, 101, 104, 105, 106, 107, 108]) | VALUES,
        "fields": st.lists(VALUES, max_size=5) | VALUES,
        "level": st.integers(0, 8) | VALUES,
        "msg": st.text() | VALUES,
    },
).map(lambda fields: f"@nix {json.dumps(fields)}")
LINES = EVENTS | st.text() | st.text().map(lambda text: f"@nix {text}")


@given(st.lists(LINES, max_size=12))
def test_no_line_can_make_it_raise(lines: list[str]) -> None:
    reader, log = Told(), NixLog()
    for line in lines:
        said = list(reader.read(line))
        log.hear(line)
        assert all(isinstance(one, str) and "\n" not in one.removeprefix(line) for one in said)
        found = log.progress
        assert str(found) is not None
        assert min(found.done, found.expected, found.running, found.failed) >= 0
    assert isinstance(list(reader.idle()), list)
