from __future__ import annotations

import pytest

from hive.sim import text
from hive.sim.text import Wrong


@pytest.mark.parametrize(
    "source",
    [
        "{ }",
        '{ a = "}"; }',
        "{ } # }",
        "{ /* } throw */ a = 1; }",
        "{ a = ''\n  } throw ''${x} '''\n''; }",
        '{ a = "\\"} throw"; }',
        "{ a = [ (1) { } ]; }",
        "{ a = ./throw.nix; throws = 1; }",
        '{ a = "${b { }}"; }',
    ],
)
def test_what_is_in_comments_and_strings_is_set_aside(source: str) -> None:
    text.check_syntax(source)
    text.check_throws(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{ a = [ 1;", "syntax error, unexpected ';'"),
        ("{ a = (1", "syntax error, unexpected end of file"),
        ('{ a = "open; }', "syntax error, unexpected end of file"),
        ("{ } }", "syntax error, unexpected '}', expecting end of file"),
        ("{ ( } )", "syntax error, unexpected '}'"),
    ],
)
def test_brackets_that_do_not_pair_are_wrong(source: str, words: str) -> None:
    with pytest.raises(Wrong) as raised:
        text.check_syntax(source)

    assert raised.value.words == words


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('{ a = throw "no"; }', "no"),
        ("assert false; { }", "assertion 'false' failed"),
        ('{ a = abort "x"; }', "evaluation aborted with the following error message: 'x'"),
    ],
)
def test_a_throw_and_an_assertion_are_raised(source: str, words: str) -> None:
    with pytest.raises(Wrong) as raised:
        text.check_throws(source)

    assert raised.value.words == words


def test_attributes_are_read_through_heads_and_dots() -> None:
    read = text.attributes(
        '{ config, ... }: args: { a.b = "1"; a = { c = "2"; }; "d e".f = "3"; g = x: { }; }'
    )

    assert read == {"a": {"b": "1", "c": "2"}, "d e": {"f": "3"}, "g": None}
    assert text.strings(read, "a") == {"b": "1", "c": "2"}
    assert text.strings(read, "no", "where") == {}


def test_a_position_is_line_and_column() -> None:
    assert text.where("ab\ncd", 4) == "2:2"
