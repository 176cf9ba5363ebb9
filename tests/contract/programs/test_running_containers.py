from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
from pathlib import Path

import pytest

from hive.sim.places import address_of
from hive.sim.stop import stop_all
from tests.contract.programs.hosts import Host, killed, until


@pytest.fixture
def running(host: Host) -> Host:
    host.created()
    host.run("nixos-container", "start", "h-alice")
    return host


def test_a_started_container_is_active_and_says_who_it_is(running: Host) -> None:
    shown = running.show("h-alice")
    system = Path(running.places.profile("h-alice")).resolve()

    assert (shown["ActiveState"], shown["SubState"], shown["Result"]) == (
        "active", "running", "success",
    )  # fmt: skip
    answer = running.ask()
    assert (answer.agent, answer.system) == ("alice", str(system))
    assert "alice" in answer.body


def test_the_leader_is_the_child_of_the_main_process(running: Host) -> None:
    main = running.show("h-alice")["MainPID"]
    children = Path(running.places.process(int(main))) / "task" / main / "children"

    leader = running.leader()

    assert children.read_text().split() == [leader.name]
    system = Path(running.places.profile("h-alice")).resolve()
    assert (leader / "root/run/current-system").readlink() == system


def test_it_keeps_the_environment_that_it_was_started_with(running: Host) -> None:
    main = Path(running.places.process(int(running.show("h-alice")["MainPID"])))
    with running.conf().open("a") as conf:
        conf.write("PRIVATE_USERS=pick\n")

    started_with = (main / "environ").read_text().split("\0")

    assert "PRIVATE_NETWORK=1" in started_with
    assert "PRIVATE_USERS=pick" not in started_with


@pytest.mark.parametrize(
    ("line", "inside", "count"),
    [("", "0 0", "4294967295"), ("PRIVATE_USERS=pick\n", "0", "65536")],
)
def test_the_uid_map_tells_a_privileged_container(
    host: Host, line: str, inside: str, count: str
) -> None:
    host.created()
    with host.conf().open("a") as conf:
        conf.write(line)

    host.run("nixos-container", "start", "h-alice")

    words = (host.leader() / "uid_map").read_text().split()
    assert " ".join(words).startswith(inside)
    assert words[2] == count
    assert (words[1] == "0") == (line == "")


def test_the_callers_pipes_and_locks_are_free_after_the_start(host: Host, tmp_path: Path) -> None:
    host.created()
    ours, theirs = os.pipe()
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.set_inheritable(lock, True)
    program = shutil.which("nixos-container", path=host.environment["PATH"])
    assert program
    streams = [(os.POSIX_SPAWN_DUP2, theirs, number) for number in (1, 2)]

    pid = os.posix_spawn(
        program, [program, "start", "h-alice"], dict(host.environment), file_actions=streams
    )
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(theirs)
    os.close(lock)

    assert select.select([ours], [], [], 5)[0]
    assert os.read(ours, 1) == b""
    os.close(ours)
    again = os.open(tmp_path / "lock", os.O_RDWR)
    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(again)


def test_stop_leaves_nothing_and_start_gets_the_port_back(running: Host) -> None:
    leader = running.leader()

    running.run("nixos-container", "stop", "h-alice")
    assert running.show("h-alice")["MainPID"] == "0"
    assert not leader.exists()
    assert running.is_silent()

    running.run("nixos-container", "start", "h-alice")
    assert running.ask().agent == "alice"


def test_starting_what_runs_changes_nothing(running: Host) -> None:
    before = running.show("h-alice")["MainPID"]

    running.run("systemctl", "start", "container@h-alice.service")

    assert running.show("h-alice")["MainPID"] == before


def test_restart_is_another_process(running: Host) -> None:
    before = running.show("h-alice")["MainPID"]

    running.run("systemctl", "restart", "container@h-alice.service")

    assert running.show("h-alice")["MainPID"] not in (before, "0")


def test_a_reload_switches_the_running_container(running: Host) -> None:
    before = running.show("h-alice")["MainPID"]
    new = running.system("new", COLOUR="green")
    running.set_profile(new)

    running.run("systemctl", "reload", "container@h-alice")

    assert running.show("h-alice")["MainPID"] == before
    assert running.ask().system == str(new)
    assert "green" in running.ask().body


def test_a_reload_that_fails_has_switched_already(running: Host) -> None:
    broken = running.system("broken", HIVE_SIM_RELOAD="fails")
    running.set_profile(broken)

    ran = running.fails("systemctl", "reload", "container@h-alice")

    assert ran.exit_code == 1
    assert "Job for container@h-alice.service failed" in ran.tail
    assert running.state("h-alice") == "active"
    assert running.ask().system == str(broken)


def test_a_reload_of_what_does_not_run_is_refused(host: Host) -> None:
    host.created()

    ran = host.fails("systemctl", "reload", "container@h-alice")

    assert "is not active, cannot reload" in ran.tail


def test_a_container_whose_main_process_was_killed_has_failed(running: Host) -> None:
    leader = running.leader()

    os.kill(int(running.show("h-alice")["MainPID"]), signal.SIGKILL)

    until(lambda: running.state("h-alice") == "failed")
    assert running.show("h-alice")["Result"] == "signal"
    assert not leader.exists()
    assert running.is_silent()
    running.run("systemctl", "start", "container@h-alice")
    assert running.ask().agent == "alice"


def test_a_container_whose_leader_was_killed_has_failed(running: Host) -> None:
    os.kill(int(running.leader().name), signal.SIGKILL)

    until(lambda: running.state("h-alice") == "failed")
    assert running.show("h-alice")["ExecMainStatus"] == "9"


def test_a_container_leaves_by_itself_when_its_folder_is_gone(running: Host) -> None:
    address = running.address

    shutil.rmtree(running.root)

    until(running.is_silent)
    assert address_of(running.root) == address
    assert not running.root.exists()


def test_a_container_leaves_by_itself_when_its_root_is_gone(running: Host) -> None:
    shutil.rmtree(running.places.container_root("h-alice"))

    until(running.is_silent)
    until(lambda: running.state("h-alice") == "inactive")


def test_stop_all_ends_every_container(running: Host) -> None:
    running.created("h-bob")

    assert stop_all(running.root) == ("h-alice",)
    assert stop_all(running.root) == ()
    assert running.is_silent()


@pytest.mark.parametrize("after", [0.0, 0.01, 0.03, 0.05, 0.08, 0.12])
def test_a_start_that_was_killed_is_finished_by_the_next(host: Host, after: float) -> None:
    from threading import Event

    host.created()
    pid = host.begin("systemctl", "start", "container@h-alice")
    Event().wait(after)
    killed(pid)

    host.run("systemctl", "start", "container@h-alice")

    assert host.state("h-alice") == "active"
    assert host.ask().agent == "alice"


@pytest.mark.parametrize("after", [0.0, 0.01, 0.03, 0.05])
def test_a_stop_that_was_killed_is_finished_by_the_next(running: Host, after: float) -> None:
    from threading import Event

    pid = running.begin("systemctl", "stop", "container@h-alice")
    Event().wait(after)
    killed(pid)

    running.run("systemctl", "stop", "container@h-alice")

    assert running.state("h-alice") == "inactive"
    assert running.is_silent()


def test_killing_a_start_does_not_cancel_it(host: Host) -> None:
    host.created(HIVE_SIM_START="hangs")
    pid = host.begin("systemctl", "start", "container@h-alice")
    until(lambda: host.state("h-alice") == "activating")

    killed(pid)

    shown = host.show("h-alice")
    assert (shown["ActiveState"], shown["Job"]) == ("activating", "1")
    new = host.system("new")
    ran = host.run("nixos-container", "update", "h-alice", "--system-path", new)
    assert "reloading" not in ran.tail
    host.run("systemctl", "stop", "container@h-alice")
    assert host.state("h-alice") == "inactive"


def test_two_hosts_answer_on_addresses_of_their_own(host: Host, tmp_path: Path) -> None:
    other = Host.made(tmp_path / "other")
    try:
        for each in (host, other):
            each.created()
            each.run("nixos-container", "start", "h-alice")
        assert host.ask().system != other.ask().system
    finally:
        stop_all(other.root)
