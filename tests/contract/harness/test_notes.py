"""Messages on the disk: once each, whatever became of who wrote them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest

from hive.client.answers import Message
from hive.harness import notes
from hive.harness.notes import NAME, OLDER, Notes, NotNoted
from tests.unit.client.samples import a_message


def a_note(number: int, text: str = "hello", sent_at: str = "2026-03-01T12:30:00Z") -> Message:
    return cast(Message, a_message(id=number, text=text, sent_at=sent_at))


def lines(folder: Path, name: str = NAME) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_a_message_is_noted_once_also_by_who_comes_later(tmp_path: Path) -> None:
    for _ in range(2):
        with Notes.opened(tmp_path) as book:
            news = [book.note(a_note(number)) for number in (1, 2, 1)]
    assert news == [False, False, False]
    assert [line["id"] for line in lines(tmp_path)] == [1, 2]
    assert set(lines(tmp_path)[0]) == set(notes.KEPT)


def test_a_number_that_a_new_database_gives_again_is_another_message(tmp_path: Path) -> None:
    with Notes.opened(tmp_path) as book:
        assert book.note(a_note(1, sent_at="2026"))
        assert book.note(a_note(1, sent_at="2027"))
        assert len(book) == 2


@pytest.mark.parametrize(
    "text", ["two\nlines", "\u2028", "nul\0", "\ud800", "ü", '"}', "x" * 65536]
)
def test_a_text_is_one_line_and_comes_back_to_the_letter(tmp_path: Path, text: str) -> None:
    with Notes.opened(tmp_path) as book:
        book.note(a_note(1, text))
    assert (tmp_path / NAME).read_bytes().count(b"\n") == 1
    with Notes.opened(tmp_path) as book:
        assert not book.note(a_note(1, text))
    assert lines(tmp_path)[0]["text"] == text


def test_half_a_line_of_who_was_killed_is_not_read_and_harms_no_other(tmp_path: Path) -> None:
    with Notes.opened(tmp_path) as book:
        book.note(a_note(1))
        book.note(a_note(2))
    whole = (tmp_path / NAME).read_bytes()
    first = len(whole.splitlines(keepends=True)[0])
    for cut in range(first, len(whole)):
        (tmp_path / NAME).write_bytes(whole[:cut])
        with Notes.opened(tmp_path) as book:
            was_there = not book.note(a_note(2))
            assert book.note(a_note(3))
        # All but the end of the line is all of it.
        assert was_there is (cut == len(whole) - 1)
        with Notes.opened(tmp_path) as book:
            assert [book.note(a_note(number)) for number in (1, 2, 3)] == [False] * 3


def test_what_somebody_else_wrote_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('hello\n[1]\n{"id": "x"}\n' + "[" * 100_000 + "\n\xff\n")
    with Notes.opened(tmp_path) as book:
        assert book.note(a_note(1))
    assert (tmp_path / NAME).read_text().startswith("hello\n")


def test_it_is_on_the_disk_before_it_is_said_to_be_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []

    def fsync(number: int) -> None:
        at = Path(f"/proc/self/fd/{number}").readlink()
        synced.append(b"the folder" if at.is_dir() else at.read_bytes())

    monkeypatch.setattr(os, "fsync", fsync)
    with Notes.opened(tmp_path) as book:
        assert synced == [b"", b"the folder"]
        book.note(a_note(1))
        assert synced[-1] == (tmp_path / NAME).read_bytes() != b""


def test_a_disk_that_takes_half_of_it_has_noted_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(number: int, data: memoryview) -> int:
        monkeypatch.setattr(os, "write", no_more)
        return real(number, data[: len(data) // 2])

    def no_more(number: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    with pytest.raises(NotNoted, match="No space left") as raised, Notes.opened(tmp_path) as book:
        monkeypatch.setattr(os, "write", full)
        book.note(a_note(1))
    assert raised.value.code == "not-noted"
    monkeypatch.setattr(os, "write", real)
    with Notes.opened(tmp_path) as book:
        assert book.note(a_note(1))
        assert not book.note(a_note(1))


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotNoted, match="No such file"), Notes.opened(tmp_path / "away"):
        pass


def test_notes_are_for_their_owner_alone(tmp_path: Path) -> None:
    with Notes.opened(tmp_path):
        assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_what_it_takes_on_the_disk_is_bounded_and_the_newest_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MOST", 2_000)
    with Notes.opened(tmp_path) as book:
        assert all(book.note(a_note(number)) for number in range(100))
        kept = len(book)
    assert {path.name for path in tmp_path.iterdir()} == {NAME, OLDER}
    assert all(path.stat().st_size <= 2_000 for path in tmp_path.iterdir())
    with Notes.opened(tmp_path) as book:
        assert len(book) == kept > 10
        assert not any(book.note(a_note(number)) for number in range(100 - kept, 100))
        assert book.note(a_note(0)), "this one is long forgotten"
    newest = [line["id"] for line in lines(tmp_path, OLDER) + lines(tmp_path)]
    assert newest[-1] == 0
    assert newest[:-1] == sorted(newest[:-1])


def test_killed_between_the_two_files_nothing_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Notes.opened(tmp_path) as book:
        book.note(a_note(1))
    (tmp_path / NAME).rename(tmp_path / OLDER)
    with Notes.opened(tmp_path) as book:
        assert not book.note(a_note(1))
        assert book.note(a_note(2))
