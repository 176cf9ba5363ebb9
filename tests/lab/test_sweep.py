"""A real host comes back to what is wanted: after a reboot, and after a container has died."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from hive.adapters.clock import wait_until
from hive.domain.crash import LIMIT
from tests.lab.conftest import CLOCK, HIVE, Lab

NAMES: Final = ("alice", "bob", "coder", "dora", "erin")
#: As the module of hive does it: `hive up`, and a sweep at boot.
UNITS: Final = f"""
cat >/etc/systemd/system/hive.service <<'END'
[Service]
ExecStart={HIVE} up
KillMode=mixed
[Install]
WantedBy=multi-user.target
END
cat >/etc/systemd/system/hive-sweep.service <<'END'
[Unit]
After=hive.service
[Service]
Type=oneshot
ExecStart={HIVE} sweep
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --quiet hive.service hive-sweep.service
systemctl start hive.service
"""
GONE: Final = """
systemctl disable --quiet --now hive.service hive-sweep.service
rm /etc/systemd/system/hive.service /etc/systemd/system/hive-sweep.service
systemctl daemon-reload
"""
SOON: Final = timedelta(minutes=3)
OFTEN: Final = timedelta(milliseconds=250)


@pytest.fixture
def serving(lab: Lab) -> Iterator[Lab]:
    """`hive up` runs there, and would after a reboot."""
    lab.script(UNITS)
    yield lab
    lab.script(GONE)


def running(lab: Lab) -> set[str]:
    return {agent["name"] for agent in lab.sees("agents") if agent["running"]}


def events(lab: Lab, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.sees_lines("events", "--kind", kind)
    return found


def until_run(lab: Lab, names: set[str]) -> None:
    came = wait_until(CLOCK, lambda: running(lab) == names, within=SOON, every=OFTEN)
    assert came, f"{running(lab)} run, and not {names}: {lab.hive('jobs').out}"


def test_after_a_reboot_what_is_wanted_running_runs(serving: Lab) -> None:
    for name in NAMES:
        serving.hive("spawn", name)
    serving.hive("stop", "erin")
    drop_in = "/run/systemd/system/container@h-alice.service.d"
    before = serving.system("alice")
    serving.reboot()
    until_run(serving, {*NAMES, "hm1nd"} - {"erin"})
    serving.hive("sweep", "--wait")
    assert serving.system("alice") == before
    assert serving.script(f"grep MemoryMax {drop_in}/*") == "MemoryMax=2147483648"
    assert events(serving, "agent.crashed") == [], "a reboot is no crash"
    assert serving.sees("plan", "sweep")["differ"] == []


def test_a_container_whose_init_is_killed_is_told_of_and_started_again(serving: Lab) -> None:
    serving.hive("spawn", "alice")
    killed = 0

    def is_noted() -> bool:
        """A run that was killed before anybody has seen it is not: then the next one is."""
        nonlocal killed
        if serving.state("alice") == "active" and not events(serving, "agent.crashed"):
            serving.script(f"kill -9 {serving.leader('alice')}")
            killed += 1
        return bool(events(serving, "agent.crashed"))

    assert wait_until(CLOCK, is_noted, within=SOON, every=timedelta(seconds=2)), killed
    assert killed < LIMIT
    crash = events(serving, "agent.crashed")[0]
    assert crash["agent"] == "alice"
    assert crash["data"]["result"] != "success"
    is_up = wait_until(CLOCK, lambda: serving.state("alice") == "active", within=SOON, every=OFTEN)
    assert is_up, serving.hive("jobs").out
