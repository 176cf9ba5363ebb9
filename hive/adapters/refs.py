"""Refs and locks as git's files backend lays them, read without a program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hive.domain.names import Rev


def refs(home: Path, under: str) -> dict[str, Rev]:
    """Every ref that is `under` or lies below it; a loose one stands before a packed one."""
    loose = dict(_loose(home, under))  # first: a pack in between only doubles a ref
    return dict(_packed(home, under)) | loose


def corpses(home: Path) -> Iterator[Path]:
    """What a git that is at work, or was killed, keeps others out with, or has half made."""
    names = _names(home)
    yield from (home / name for name in names if name.endswith(".lock"))
    if "packed-refs.new" in names:
        yield home / "packed-refs.new"
    if not names:  # there is no repo, as before an agent's first job
        return
    yield from (file for file in _below(home / "refs") if file.name.endswith(".lock"))
    yield from (file for file in _below(home / "objects") if file.name.startswith("tmp_"))


def clear_reports(home: Path) -> None:
    """fast-import leaves one wherever it fails."""
    for report in home.glob("fast_import_crash_*"):
        report.unlink(missing_ok=True)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []


def _below(folder: Path) -> Iterator[Path]:
    """Every file; what git deletes meanwhile is passed over."""
    for here, _, names in os.walk(folder):
        yield from (Path(here, name) for name in names)


def _loose(home: Path, under: str) -> Iterator[tuple[str, Rev]]:
    for file in (home / under, *_below(home / under)):
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            text = file.read_text(errors="replace").strip()
            if Rev.pattern.fullmatch(text) and not file.name.endswith(".lock"):
                yield str(file.relative_to(home)), Rev(text)


def _packed(home: Path, under: str) -> Iterator[tuple[str, Rev]]:
    packed = home / "packed-refs"
    if not packed.is_file():
        return
    for line in packed.read_text(errors="replace").splitlines():
        rev, _, name = line.partition(" ")
        is_under = name == under or name.startswith(f"{under.rstrip('/')}/")
        if is_under and Rev.pattern.fullmatch(rev):
            yield name, Rev(rev)
