"""What reaches an operator's terminal."""

from __future__ import annotations

import pytest

from cli.plain import plain


def test_words_in_any_script_are_left_alone() -> None:
    text = "h-alice läuft\t(„ja“) 日本 🐝\nnext"
    assert plain(text) == text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b]0;mine\x07", r"\x1b]0;mine\x07"),
        ("a\rb", r"a\x0db"),
        ("\x9b31m", r"\x9b31m"),
        ("safe\u202eexe", r"safe\u202eexe"),
        ("\0", r"\x00"),
        ("\x7f", r"\x7f"),
    ],
)
def test_no_control_character_reaches_a_terminal(written: str, shown: str) -> None:
    assert plain(written) == shown
