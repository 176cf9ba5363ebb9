"""Ground that tests stand on: a disk that fills up, and hostile things to find on the way."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive.adapters.shell import LocalShell
from hive.errors import CommandFailed, ProgramMissing

SHELL = LocalShell({"PATH": os.environ["PATH"]})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of two megabytes; only root can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        SHELL.run("mount", "-t", "tmpfs", "-o", "size=2m", "hive-test", disk)
    except (CommandFailed, ProgramMissing) as error:
        pytest.skip(f"no small disk can be made here: {error.message}")
    yield disk
    SHELL.run("umount", "--lazy", disk)


def make_device(path: Path) -> None:
    """`/dev/zero` by another name: a reader that trusted it would never end."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root can make a device")
