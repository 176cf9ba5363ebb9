"""What an operator looks into by hand: the program that a command becomes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import Tell
from hive.adapters.world import World
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.errors import NotFound, ProgramMissing, Refused
from hive.queue.host import Host
from hive.service import terminal
from hive.store import agents
from hive.testing import FakeShell
from tests.databases import migrated
from tests.pretend import ALICE, BOB, a_pretend_host

MANAGER = AgentName("hm1nd")


@dataclass
class Desk:
    """A host whose programs are not started, and what this process would be by now."""

    host: Host
    shell: FakeShell


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Alice and the manager are there; bob was destroyed."""
    shell = FakeShell().on("nixos-container list")
    with a_pretend_host(tmp_path) as pretend:
        host = pretend.host
        migrated(host.database)
        wanted = {ALICE: Desired.STOPPED, MANAGER: Desired.RUNNING, BOB: Desired.DESTROYED}
        with host.database.write() as session:
            for name, desired in wanted.items():
                row = Agent(host.node, name, port_of(name), desired, AgentSettings())
                agents.put(session, row, now=host.clock.now())

        def world(tell: Tell, locks: Locks, halt: Halt) -> World:
            real = host.world(tell, locks, halt)
            return replace(real, containers=replace(real.containers, shell=shell))

        yield Desk(replace(host, world=world), shell)


def test_the_journal_is_that_of_the_containers_unit_also_of_one_that_is_stopped(desk: Desk) -> None:
    terminal.journal(desk.host, ALICE, follow=False, lines=20)
    assert desk.shell.became == (
        "journalctl", "--no-pager", "--unit=container@h-alice.service", "--lines=20",
    )  # fmt: skip


def test_a_journal_that_is_followed_goes_on(desk: Desk) -> None:
    terminal.journal(desk.host, MANAGER, follow=True, lines=1)
    assert desk.shell.became[2:] == ("--unit=container@hm1nd.service", "--lines=1", "--follow")


def test_a_shell_is_opened_inside_for_root(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    terminal.shell(desk.host, ALICE)
    assert desk.shell.became == ("machinectl", "shell", "h-alice")


def test_a_shell_is_for_nobody_else(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Refused) as refused:
        terminal.shell(desk.host, ALICE)
    assert refused.value.code == "not-permitted"
    assert desk.shell.became == ()


def test_an_agent_that_is_not_there_is_refused_before_anything(desk: Desk) -> None:
    with pytest.raises(NotFound):
        terminal.journal(desk.host, AgentName("nobody"), follow=False, lines=1)
    with pytest.raises(Refused) as refused:
        terminal.journal(desk.host, BOB, follow=False, lines=1)
    assert refused.value.code == "agent-destroyed"
    assert desk.shell.became == ()


def test_a_program_that_is_missing_is_said(desk: Desk) -> None:
    desk.shell.without("journalctl")
    with pytest.raises(ProgramMissing, match="journalctl"):
        terminal.journal(desk.host, ALICE, follow=False, lines=1)


def test_a_machine_without_containers_has_nothing_to_look_into(desk: Desk) -> None:
    desk.shell.without("nixos-container")
    with pytest.raises(Refused) as refused:
        terminal.journal(desk.host, ALICE, follow=False, lines=1)
    assert refused.value.code == "no-nixos"
