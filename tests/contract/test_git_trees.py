"""Fetched trees: shown to the letter, whatever they say of themselves, and never outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hive.adapters.git import MAIN
from hive.domain.names import Rev
from tests.contract.git_samples import GIT, a_repo, by_hand, fetch, grown, main_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return a_repo(tmp_path / "agents" / "alice" / "config")


@pytest.fixture
def applied(tmp_path: Path) -> Path:
    to = tmp_path / "applied"
    GIT.init(to)
    return to


def taken(applied: Path, source: Path) -> Rev:
    """As hive does it: fetched, its tree reset, looked at."""
    fetch(applied, source, f"{MAIN}:{MAIN}")
    GIT.reset_tree(applied)
    assert GIT.is_clean(applied)
    return main_of(applied)


ODD = [
    "-rf",
    "--upload-pack=touch x",
    "a\nb",
    " ",
    "\t",
    "é",
    "\\",
    '"',
    "-",
    "HEAD",
    "refs/heads/x",
]


def test_files_of_any_name_are_taken_as_they_are(source: Path, applied: Path) -> None:
    for name in ODD:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    by_hand(source, "add", "-A")
    by_hand(source, "commit", "-qm", "odd")
    taken(applied, source)
    assert {(applied / name).read_text() for name in ODD} == set(ODD)


ENCODED = {
    "crlf": ("* text eol=crlf\n", b"a\r\nb\n"),
    "lf": ("* text eol=lf\n", b"a\r\nb\r\n"),
    "ident": ("* ident\n", b"$Id$ $Id: x $\n"),
    "encoding": ("*.txt working-tree-encoding=UTF-16\n", b"\xff\xfe\xff"),
    "no encoding": ("*.txt working-tree-encoding\n", b"a\n"),
}


@pytest.mark.parametrize(("attributes", "raw"), ENCODED.values(), ids=ENCODED)
def test_a_tree_is_shown_to_the_letter_whatever_its_attributes(
    source: Path, applied: Path, attributes: str, raw: bytes
) -> None:
    text = raw.decode(errors="surrogateescape")
    grown(source, "attributes", {"a.txt": text, ".gitattributes": attributes})
    taken(applied, source)
    assert (applied / "a.txt").read_bytes() == raw
    os.utime(applied / "a.txt")
    assert GIT.is_clean(applied)


def test_a_link_in_a_tree_leads_no_write_out_of_it(
    source: Path, applied: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (source / "link").symlink_to(outside)
    (source / "deep").symlink_to("link")
    by_hand(source, "add", ".")
    by_hand(source, "commit", "-qm", "links")
    taken(applied, source)
    grown(source, "files", {"link/file": "x", "deep/file": "x"})
    taken(applied, source)
    grown(source, "fewer", {"link": "a file"})
    taken(applied, source)
    assert list(outside.iterdir()) == []
    assert outside.is_dir()
