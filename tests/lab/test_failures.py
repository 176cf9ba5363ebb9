"""What a spawn on a real host does when a system does not come up, or does not take a reload."""

from __future__ import annotations

import pytest

from tests.lab.conftest import Lab


def test_a_system_that_does_not_come_up_is_left_for_the_one_before(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    before = lab.system("alice")
    lab.script("systemctl stop container@h-alice")
    lab.change("alice", HIVE_SIM_START="fails")

    ran = lab.hive("spawn", "alice", accept=(1,))

    assert "[start-failed]" in ran.tail
    assert lab.state("alice") == "active"
    assert lab.system("alice") == before


@pytest.mark.soak
def test_a_system_that_hangs_at_its_start_is_left_for_the_one_before(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    before = lab.system("alice")
    lab.script("systemctl stop container@h-alice")
    lab.container_units("TimeoutStartSec=3")
    lab.change("alice", HIVE_SIM_START="hangs")

    lab.hive("spawn", "alice", accept=(1,))

    assert lab.state("alice") == "active"
    assert lab.system("alice") == before


@pytest.mark.soak
def test_a_first_system_that_hangs_at_its_start_is_stopped_and_stands_in_nobodys_way(
    lab: Lab,
) -> None:
    """There is nothing to go back to, and systemd would start it for ever."""
    lab.container_units("TimeoutStartSec=3\nRestart=on-failure\nRestartSec=1")
    lab.hive("spawn", "alice", "--detach")
    lab.hive("job", "run", "1")
    lab.hive("destroy", "alice", "--yes")
    lab.change("alice", HIVE_SIM_START="hangs")

    lab.hive("spawn", "alice", accept=(1,))
    assert lab.state("alice") in ("inactive", "failed")

    lab.script("rm /run/systemd/system/container@.service.d/lab.conf; systemctl daemon-reload")
    lab.change("alice", GREETING="mended")
    lab.hive("spawn", "alice")
    assert lab.state("alice") == "active"


def test_a_reload_that_fails_is_undone(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    before, leader = lab.system("alice"), lab.leader("alice")
    lab.change("alice", HIVE_SIM_RELOAD="fails")

    ran = lab.hive("spawn", "alice", accept=(1,))

    assert "[reload-failed]" in ran.tail
    assert lab.system("alice") == before
    assert lab.leader("alice") == leader
    assert not lab.sees("agent", "show", "alice")["failed_at"]


@pytest.mark.soak
def test_what_failed_does_not_stand_in_the_way_of_what_is_mended(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    lab.script("systemctl stop container@h-alice")
    lab.change("alice", HIVE_SIM_START="fails")
    lab.hive("spawn", "alice", accept=(1,))

    lab.change("alice", GREETING="mended")
    lab.hive("spawn", "alice")

    assert '"GREETING":"mended"' in lab.script(f"cat {lab.system('alice')}/agent.json")


def test_without_user_namespaces_an_agent_is_not_run_at_all(lab: Lab) -> None:
    """An older nixos-container does not know PRIVATE_USERS, and its start script ignores it."""
    start = "unset PRIVATE_USERS; exec /usr/lib/hive-lab/container-start"
    lab.container_units(f'ExecStart=\nExecStart=/bin/bash -c "{start}"')

    lab.hive("spawn", "alice", accept=(1,))

    assert lab.state("alice") != "active"
    assert not lab.sees("agent", "show", "alice")["running"]
