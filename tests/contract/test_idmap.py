"""An idmapped mount is really tried, and nothing of it stays."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive.adapters.idmap import Refuses, Untried, Works, idmapped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has idmapped mounts")

SELF = Path("/proc/self")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="trying takes root")


def left_behind() -> tuple[str, frozenset[str], frozenset[str]]:
    """This process's mounts, children and descriptors."""
    children = (SELF / "task" / str(os.getpid()) / "children").read_text().split()
    descriptors = frozenset(str(link) for link in (SELF / "fd").iterdir())
    return (SELF / "mountinfo").read_text(), frozenset(children), descriptors


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = left_behind()
    yield
    assert left_behind() == before


@as_root
def test_a_folder_is_tried_for_real_and_the_answer_is_plain(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("unharmed")
    mapping = idmapped(tmp_path)
    assert isinstance(mapping, Works) or mapping.because
    assert idmapped(tmp_path) == mapping
    assert (tmp_path / "mine").read_text() == "unharmed"
    assert (tmp_path / "mine").stat().st_uid == 0


@as_root
def test_a_file_system_that_cannot_is_told_from_one_that_can(tmp_path: Path) -> None:
    """No kernel maps the ids of `/proc`."""
    mapping = idmapped(Path("/proc"))
    if isinstance(idmapped(tmp_path), Works):
        assert mapping == Refuses("Invalid argument")
    assert not isinstance(mapping, Works)


@as_root
def test_what_is_not_there_was_not_tried(tmp_path: Path) -> None:
    assert isinstance(idmapped(tmp_path / "absent"), Untried)


def test_without_root_it_is_not_tried(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        assert idmapped(tmp_path) == Untried("it takes root")
        return
    os.seteuid(65534)
    try:
        assert idmapped(tmp_path) == Untried("it takes root")
    finally:
        os.seteuid(0)
