"""Containers: whose confs there are, and what the running ones run, from a pretend `/proc`."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.adapters.containers import Containers
from hive.adapters.files import Files
from hive.domain.names import ContainerName
from hive.testing import FakeShell
from tests.unit.domain.samples import a_layout

ALICE = ContainerName("h-alice")
SYSTEM = "/nix/store/x-system"
MAPPED = "         0  524288       65536\n"
IDENTITY = "         0          0 4294967295\n"


@pytest.fixture
def containers(tmp_path: Path) -> Containers:
    layout = a_layout(
        conf_dir=tmp_path / "confs", container_state=tmp_path / "roots", proc=tmp_path / "proc"
    )
    return Containers(FakeShell(), Files(), layout)


def starts(containers: Containers, main: int = 7, leader: int = 8, uid_map: str = MAPPED) -> None:
    """As the kernel shows a unit's main process and the init that it started."""
    proc = containers.layout.proc
    children = proc / str(main) / "task" / str(main) / "children"
    children.parent.mkdir(parents=True)
    children.write_text(f"{leader} ")
    environ = 'PATH=/bin\0PRIVATE_USERS=pick\0EXTRA_NSPAWN_FLAGS=--bind=/a:/b --bind=/c:/d\0X="y"\0'
    (proc / str(main) / "environ").write_text(environ)
    run = proc / str(leader) / "root" / "run"
    run.mkdir(parents=True)
    (run / "current-system").symlink_to(SYSTEM)
    (proc / str(leader) / "uid_map").write_text(uid_map)


def test_only_confs_are_containers(containers: Containers) -> None:
    folder = containers.layout.conf_dir
    assert containers.names() == ()
    folder.mkdir()
    names = ("hm1nd.conf", "h-alice.conf", "web.conf", ".h-bob.conf.new", ".conf", "conf")
    for name in (*names, "h-bob.conf.bak", "has blank.conf", "TooLong-and-loud.conf", "é.conf"):
        (folder / name).write_text("")
    assert containers.names() == ("h-alice", "hm1nd", "web")


def test_a_conf_is_its_text_or_nothing(containers: Containers) -> None:
    assert containers.conf(ALICE) is None
    containers.define(ALICE, "A=1\n", {"PRIVATE_NETWORK": "0"})
    assert containers.conf(ALICE) == "A=1\nPRIVATE_NETWORK=0\n"
    assert containers.layout.root(ALICE).is_dir()
    containers.define(ALICE, containers.conf(ALICE) or "", {"PRIVATE_NETWORK": "0"})
    assert containers.conf(ALICE) == "A=1\nPRIVATE_NETWORK=0\n"


def test_a_root_that_is_there_keeps_its_mode(containers: Containers) -> None:
    root = containers.layout.root(ALICE)
    root.mkdir(parents=True, mode=0o700)
    containers.define(ALICE, "", {})
    assert root.stat().st_mode & 0o777 == 0o700


def test_a_container_is_created_with_a_system_that_hive_built(containers: Containers) -> None:
    command = f"nixos-container create h-alice --system-path {SYSTEM}"
    shell = FakeShell().on(command)
    assert Containers(shell, Files(), containers.layout).can_be_here()
    Containers(shell, Files(), containers.layout).create(ALICE, Path(SYSTEM))
    assert shell.ran == [command]
    assert not containers.can_be_here()


def test_what_runs_is_read_from_its_processes(containers: Containers) -> None:
    starts(containers)
    leader = containers.booted(7)
    assert leader is not None
    assert leader.system == Path(SYSTEM)
    assert not leader.is_privileged
    assert {**leader.started_with} == {
        "PATH": "/bin",
        "PRIVATE_USERS": "pick",
        "EXTRA_NSPAWN_FLAGS": "--bind=/a:/b --bind=/c:/d",
        "X": "y",
    }


@pytest.mark.parametrize(
    ("uid_map", "is_privileged"),
    [(MAPPED, False), (IDENTITY, True), ("0 0 65536\n", True), ("", True), ("0 1 1\n", False)],
)
def test_whose_root_is_the_hosts_is_privileged(
    containers: Containers, uid_map: str, is_privileged: bool
) -> None:
    starts(containers, uid_map=uid_map)
    leader = containers.booted(7)
    assert leader is not None
    assert leader.is_privileged is is_privileged


def test_the_first_child_is_the_leader(containers: Containers) -> None:
    starts(containers)
    (containers.layout.proc / "7" / "task" / "7" / "children").write_text("8 99 ")
    leader = containers.booted(7)
    assert leader is not None
    assert leader.system == Path(SYSTEM)


def test_without_a_process_nothing_is_booted(containers: Containers) -> None:
    assert containers.booted(None) is None
    assert containers.booted(7) is None
    starts(containers)
    (containers.layout.proc / "7" / "task" / "7" / "children").write_text("")
    assert containers.booted(7) is None


def test_what_cannot_be_seen_any_more_is_not_promised(containers: Containers) -> None:
    starts(containers)
    for gone in ("7/environ", "8/uid_map", "8/root/run/current-system"):
        (containers.layout.proc / gone).unlink()
    leader = containers.booted(7)
    assert leader is not None
    assert (leader.system, {**leader.started_with}) == (None, {})
    assert leader.is_privileged
