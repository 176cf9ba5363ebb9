"""systemd's words: what one `show` says of many units, and the commands of the few acts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from hive.adapters.systemd import PROPERTIES, START, WIDEST, Systemd, Unit
from hive.domain.agent import AgentSettings
from hive.domain.limits import Limits
from hive.domain.names import ContainerName
from hive.errors import ProgramMissing, Transient
from hive.testing import FakeShell

GOLDEN = Path(__file__).parents[2] / "golden"
NAMES = ("h-alice", "h-bob", "hm1nd", "h-none")
ALICE, BOB, MANAGER, NONE = (ContainerName(name) for name in NAMES)
SHOWN = (GOLDEN / "systemctl-show-containers.txt").read_text()


def asked(*containers: ContainerName) -> str:
    units = " ".join(container.unit for container in containers)
    return f"systemctl show -p {','.join(PROPERTIES)} {units}"


def units(shown: str, *containers: ContainerName) -> dict[ContainerName, Unit]:
    return Systemd(FakeShell().on(asked(*containers), out=shown)).units(containers)


def test_many_units_are_shown_by_one_program() -> None:
    found = units(SHOWN, ALICE, BOB, MANAGER, NONE)
    states = {name: found[name].state for name in (ALICE, BOB, MANAGER, NONE)}
    assert list(states.values()) == ["active", "failed", "activating", "inactive"]
    assert found[ALICE].main_pid == 4211
    assert (found[ALICE].is_active, found[ALICE].is_failed, found[ALICE].is_moving) == (1, 0, 0)
    assert (found[BOB].is_active, found[BOB].is_failed, found[BOB].needs_reload) == (0, 1, 1)
    assert found[MANAGER].is_moving
    assert not found[NONE].is_loaded
    assert found[NONE].main_pid is None


def test_the_order_of_the_answer_does_not_matter() -> None:
    other_way = "\n\n".join(reversed(SHOWN.strip().split("\n\n")))
    assert units(other_way, ALICE, BOB, MANAGER, NONE) == units(SHOWN, ALICE, BOB, MANAGER, NONE)
    assert units(SHOWN, BOB, ALICE) == units(SHOWN, ALICE, BOB)


def test_limits_are_read_as_systemd_shows_them() -> None:
    found = units(SHOWN, ALICE, BOB, MANAGER, NONE)
    assert found[ALICE].limits(AgentSettings()) == Limits.of(AgentSettings())
    assert found[BOB].limits(AgentSettings()) == Limits(None, None, None)
    assert found[ALICE].limits(AgentSettings(tasks_max=1)).tasks == 4915
    larger = AgentSettings(memory_max=4 << 30, cpu_quota=150)
    assert found[MANAGER].limits(larger) == Limits.of(larger)


@pytest.mark.parametrize("version", ["252", "257"])
def test_what_a_real_systemd_said_is_understood(version: str) -> None:
    """Recorded in the lab: up, failed with a drop-in that was not read, coming up, never made."""
    said = (GOLDEN / f"systemctl-show-systemd-{version}.txt").read_text()
    found = units(said, ALICE, BOB, MANAGER, NONE)
    states = {name: found[name].state for name in (ALICE, BOB, MANAGER, NONE)}
    assert list(states.values()) == ["active", "failed", "activating", "inactive"]
    assert [unit.is_moving for unit in found.values()] == [False, False, True, False]
    assert [unit.needs_reload for unit in found.values()] == [False, True, False, False]
    assert [unit.main_pid is None for unit in found.values()] == [False, True, False, True]
    assert found[ALICE].limits(AgentSettings()) == Limits.of(AgentSettings())
    assert found[BOB].limits(AgentSettings()) == Limits(None, None, None)
    assert found[MANAGER].limits(AgentSettings(tasks_max=1)) == Limits(4 << 30, 1_500_000, None)


def test_units_that_nobody_knows_are_an_answer() -> None:
    a, b = ContainerName("h-a"), ContainerName("h-b")
    found = units((GOLDEN / "systemctl-show-unknown.txt").read_text(), a, b)
    assert [found[name].state for name in (a, b)] == ["inactive", "inactive"]
    assert [found[name].main_pid for name in (a, b)] == [None, None]


@pytest.mark.parametrize("shown", ["", "\n", "Id=container@h-other.service\nActiveState=active\n"])
def test_a_unit_that_is_not_in_the_answer_is_inactive(shown: str) -> None:
    found = units(shown, ALICE)[ALICE]
    assert found == Unit({})
    assert (found.state, found.main_pid, found.is_loaded) == ("inactive", None, False)
    assert not (found.is_active or found.is_moving or found.is_failed or found.needs_reload)


@pytest.mark.parametrize("text", ["", "0", "[not set]", "-1"])
def test_what_is_no_process_has_no_number(text: str) -> None:
    assert Unit({"MainPID": text}).main_pid is None


def test_a_value_may_hold_an_equals_sign() -> None:
    found = units(f"Id={ALICE.unit}\nResult=a=b\n", ALICE)[ALICE]
    assert found.properties["Result"] == "a=b"


def test_no_units_ask_nobody() -> None:
    assert Systemd(FakeShell()).units([]) == {}


ACTS: dict[str, Callable[[Systemd], None]] = {
    "systemctl daemon-reload": lambda systemd: systemd.daemon_reload(),
    "systemctl start container@h-alice.service": lambda systemd: systemd.start(ALICE),
    "systemctl stop container@h-alice.service": lambda systemd: systemd.stop(ALICE),
    "systemctl reload container@h-alice.service": lambda systemd: systemd.reload(ALICE),
    "systemctl reset-failed container@h-alice.service": lambda systemd: systemd.reset_failed(ALICE),
}


@pytest.mark.parametrize(("command", "act"), ACTS.items(), ids=ACTS)
def test_an_act_is_one_command(command: str, act: Callable[[Systemd], None]) -> None:
    shell = FakeShell().on(command)
    act(Systemd(shell))
    assert shell.ran == [command]
    if act.__code__.co_names[0] in ("start", "stop", "reload"):
        assert shell.asked[0].within == START > timedelta(minutes=10)


def test_an_act_that_fails_may_be_tried_again() -> None:
    command = "systemctl start container@h-alice.service"
    journal = "journalctl --no-pager --output=cat --lines=20 --unit=container@h-alice.service"
    shell = FakeShell().on(command, exit_code=1, err="Job for container@h-alice.service failed.")
    shell.on(journal, out="Starting it...\nFailed to stat /state\nFailed to start it.\n")
    with pytest.raises(Transient, match="h-alice does not start: Failed to stat /state") as failed:
        Systemd(shell).start(ALICE)
    assert failed.value.code == "start-failed"
    shell.on(journal, exit_code=1, err="no journal")
    with pytest.raises(Transient, match="Job for container@h-alice"):
        Systemd(shell).start(ALICE)


def test_a_machine_without_systemd_does_not_answer() -> None:
    command = "systemctl show -p Version"
    assert Systemd(FakeShell().on(command, out="Version=252\n")).answers()
    silent = FakeShell().on(command, exit_code=1, err="System has not been booted with systemd")
    assert not Systemd(silent).answers()
    with pytest.raises(ProgramMissing):
        Systemd(FakeShell().on(command).without("systemctl")).answers()


def test_a_unit_that_is_no_container_is_shown_by_its_name() -> None:
    words = f"systemctl show -p {','.join(PROPERTIES)} x.service"
    systemd = Systemd(FakeShell().on(words, out="Id=x.service\nActiveState=active\n"))
    assert systemd.service("x.service").is_active
    assert not Systemd(FakeShell().on(words)).service("x.service").is_active


def test_the_last_words_of_a_journal_have_an_end() -> None:
    journal = "journalctl --no-pager --output=cat --lines=10 --unit=container@h-alice.service"
    shell = FakeShell().on(journal, out=f"{'x' * 48_000}\nover\n")
    assert Systemd(shell).last_words(ALICE, lines=10) == f"{'x' * WIDEST}…\nover"
