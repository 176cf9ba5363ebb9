"""The units of the NixOS module on a real systemd: what they forbid is nothing that hive needs.

They are the module's own, as nix evaluates it; of a NixOS only the store is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest

from hive.adapters.clock import wait_until
from tests.lab.conftest import CLOCK, ENVIRONMENT, HIVE, OFTEN, WITHIN, Lab
from tests.nix_tree import ROOT, checked

UNITS = "/etc/systemd/system"
STAY = ("hyperhive-worker@1", "hyperhive-maintenance", "hyperhive-api")
#: As on NixOS, where builds are the daemon's, and folders are there before what writes to them.
PREPARED = """
cat >/etc/systemd/system/lab-nix-daemon.service <<'END'
[Service]
ExecStart=/usr/bin/nix-daemon --option sandbox false --option build-users-group ''
[Install]
WantedBy=multi-user.target
END
mkdir -p -m 700 /var/lib/nixos-containers
systemctl daemon-reload
systemctl enable --now lab-nix-daemon
until [ -S /nix/var/nix/daemon-socket/socket ]; do sleep 0.05; done
"""
ENDED = """
cd /etc/systemd/system
systemctl stop hyperhive-sweep.timer hyperhive.target 'hyperhive-*' lab-nix-daemon
systemctl disable hyperhive-sweep.timer hyperhive.target lab-nix-daemon
systemctl reset-failed 2>/dev/null || true
rm -rf hyperhive* lab-nix-daemon.service /nix/var/nix/daemon-socket/socket
systemctl daemon-reload
"""


@pytest.fixture
def prepared(lab: Lab) -> Iterator[Lab]:
    """A host with a nix daemon, and nothing left of our units when the test is over."""
    lab.script(PREPARED)
    yield lab
    lab.script(ENDED)


@pytest.fixture
def served(prepared: Lab, real_nix: dict[str, str]) -> Lab:
    """A host whose hive runs as the module has it run."""
    install(prepared, checked(real_nix, "units"))
    prepared.script("systemctl start hyperhive.target")
    for unit in STAY:
        assert is_soon_up(prepared, unit)
    return prepared


def install(lab: Lab, units: Mapping[str, str]) -> None:
    for name, text in units.items():
        lab.script(f"cat >{UNITS}/{name}", stdin=as_here(text))
    lab.script("systemctl daemon-reload")


def as_here(text: str) -> str:
    """With the lab's own hive and programs in place of those of a store."""
    # `PrivateTmp` and `ProtectHome` may hide where this project lies.
    here = f"[Service]\nEnvironment=PATH={ENVIRONMENT['PATH']}\nBindReadOnlyPaths={ROOT}\n"
    ours = re.sub(r"^ExecStart=\S+", f"ExecStart={HIVE}", text, flags=re.MULTILINE)
    return ours.replace("[Service]\n", here)


def shown(lab: Lab, unit: str, key: str) -> str:
    return lab.run("systemctl", "show", "--value", "-p", key, unit).out.strip()


def is_soon(lab: Lab, unit: str, state: str) -> bool:
    def is_so() -> bool:
        return shown(lab, unit, "ActiveState") == state

    return bool(wait_until(CLOCK, is_so, within=WITHIN, every=OFTEN))


def is_soon_up(lab: Lab, unit: str) -> bool:
    return is_soon(lab, unit, "active")


def test_a_hardened_worker_takes_an_agent_through_its_life(served: Lab) -> None:
    lab = served
    lab.hive("spawn", "alice")
    (worker,) = (one for one in lab.sees("workers")["workers"] if one["role"] == "worker")
    assert str(worker["pid"]) == shown(lab, "hyperhive-worker@1", "MainPID")
    assert not lab.sees("agent", "show", "alice")["privileged"]

    lab.change("alice", HIVE_LAB="changed")
    lab.hive("rebuild", "alice")
    assert lab.system("alice") == lab.sees("agent", "show", "alice")["system"]
    lab.hive("restart", "alice")
    lab.hive("stop", "alice")
    assert lab.state("alice") == "inactive"
    lab.hive("start", "alice")
    assert lab.state("alice") == "active"
    lab.hive("destroy", "alice", "--yes")
    lab.hive("purge", "alice", "--yes")
    assert lab.script("ls /etc/nixos-containers /var/lib/hyperhive/agents") == (
        "/etc/nixos-containers:\n\n/var/lib/hyperhive/agents:"
    )
    hers = [job for job in lab.sees("jobs") if job["agent"] == "alice"]
    assert {job["state"] for job in hers} == {"succeeded"}


def test_what_is_bound_outlives_every_unit_of_hives(served: Lab) -> None:
    lab = served
    lab.hive("spawn", "alice")
    leader = lab.leader("alice")
    lab.script("systemctl restart hyperhive.target; systemctl stop 'hyperhive-*'")

    lab.script("test -d /run/hyperhive/agents/alice")
    assert lab.leader("alice") == leader
    lab.script("systemctl restart container@h-alice")
    assert lab.state("alice") == "active"


def test_the_target_is_all_of_hive(served: Lab) -> None:
    lab = served
    pids = {unit: shown(lab, unit, "MainPID") for unit in STAY}
    lab.script("systemctl stop hyperhive.target")
    assert all(is_soon(lab, unit, "inactive") for unit in STAY)
    lab.script("systemctl start hyperhive.target")
    for unit in STAY:
        assert is_soon_up(lab, unit)
        assert shown(lab, unit, "MainPID") != pids[unit]


def test_after_a_reboot_agents_are_back_by_the_units_alone(served: Lab) -> None:
    lab = served
    lab.script("systemctl enable hyperhive.target hyperhive-sweep.timer")
    lab.hive("spawn", "alice")
    lab.hive("spawn", "bob")
    lab.hive("stop", "bob")
    lab.hive("schedule", "disable", "sweep")

    lab.reboot()
    assert is_soon_up(lab, "container@h-alice")
    assert shown(lab, "container@h-alice", "MemoryMax") == str(2 * 1024**3)
    assert lab.state("bob") == "inactive"
    assert [shown(lab, unit, "NRestarts") for unit in STAY] == ["0"] * len(STAY)


def test_a_secret_reaches_a_unit_and_no_environment(
    prepared: Lab, real_nix: dict[str, str]
) -> None:
    """The worker is there before the schema is, and before the secret: it comes up by itself."""
    lab = prepared
    install(lab, checked(real_nix, "unitsWithSecret"))
    worker = "hyperhive-worker@1"

    def has_tried() -> bool:
        return int(shown(lab, worker, "NRestarts")) > 5

    lab.script("rm -f /srv/hive-database; systemctl start --no-block hyperhive.target")
    assert wait_until(CLOCK, has_tried, within=WITHIN, every=OFTEN)
    url = "sqlite:////var/lib/hyperhive/secret.sqlite\n"
    lab.script("umask 077; cat >/srv/hive-database", stdin=url)

    assert is_soon_up(lab, worker)
    lab.script("test -s /var/lib/hyperhive/secret.sqlite")
    pid = shown(lab, worker, "MainPID")
    said = lab.script(f"tr '\\0' '\\n' <{f'/proc/{pid}/environ'}; cat /proc/{pid}/cmdline")
    credential = f"/run/credentials/{worker}.service/database-url"
    assert f"HIVE_DATABASE_URL_FILE={credential}" in said
    assert "secret.sqlite" not in said
