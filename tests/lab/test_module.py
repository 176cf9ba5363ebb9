"""The units of the NixOS module on a real systemd: what they forbid is nothing that hive needs.

Their `[Service]` is the module's own, as nix evaluates it; of a NixOS only the store is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest

from hive.adapters.clock import wait_until
from tests.lab.conftest import CLOCK, ENVIRONMENT, HIVE, OFTEN, WITHIN, Lab
from tests.nix_tree import ROOT, checked

UNITS = "/run/systemd/system"
#: As on NixOS, where builds are the daemon's. It is this test's own, and goes with it.
DAEMON = """
systemd-run --unit=lab-nix-daemon nix-daemon --option sandbox false --option build-users-group ''
until [ -S /nix/var/nix/daemon-socket/socket ]; do sleep 0.05; done
mkdir -p -m 700 /var/lib/nixos-containers
"""
ENDED = """
cd /run/systemd/system
systemctl stop 'hyperhive-*' lab-nix-daemon
systemctl reset-failed 2>/dev/null || true
rm -rf hyperhive-* /nix/var/nix/daemon-socket/socket
systemctl daemon-reload
"""
STAY = ("hyperhive-worker@1", "hyperhive-maintenance", "hyperhive-api")


@pytest.fixture
def prepared(lab: Lab) -> Iterator[Lab]:
    """A host with a nix daemon, and nothing left of our units when the test is over."""
    lab.script(DAEMON)
    yield lab
    lab.script(ENDED)


@pytest.fixture
def served(prepared: Lab, real_nix: dict[str, str]) -> Lab:
    """A host whose hive runs as the module has it run."""
    install(prepared, checked(real_nix, "units"))
    prepared.script("systemctl start hyperhive-migrate " + " ".join(STAY))
    return prepared


def install(lab: Lab, units: Mapping[str, str]) -> None:
    for name, service in units.items():
        lab.script(f"cat >{UNITS}/{name}.service", stdin=as_here(service))
    lab.script("systemctl daemon-reload")


def as_here(service: str) -> str:
    """With the lab's own hive and programs in place of those of a store."""
    ours, count = re.subn(r"^ExecStart=\S+", f"ExecStart={HIVE}", service, flags=re.MULTILINE)
    assert count == 1
    # `PrivateTmp` and `ProtectHome` may hide where this project lies.
    more = (f"Environment=PATH={ENVIRONMENT['PATH']}", f"BindReadOnlyPaths={ROOT}")
    return "[Service]\n" + ours + "\n".join(more) + "\n"


def main_pid(lab: Lab, unit: str) -> str:
    return lab.run("systemctl", "show", "--value", "-p", "MainPID", unit).out.strip()


def test_a_hardened_worker_takes_an_agent_through_its_life(served: Lab) -> None:
    lab = served
    lab.hive("spawn", "alice")
    (worker,) = (one for one in lab.sees("workers")["workers"] if one["role"] == "worker")
    assert str(worker["pid"]) == main_pid(lab, "hyperhive-worker@1")
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
    lab.script("systemctl restart " + " ".join(STAY))
    lab.script("systemctl stop 'hyperhive-*'")

    lab.script("test -d /run/hyperhive/agents/alice")
    assert lab.leader("alice") == leader
    lab.script("systemctl restart container@h-alice; systemctl start " + " ".join(STAY))
    assert lab.state("alice") == "active"


def test_a_sweep_starts_what_a_reboot_left_down(served: Lab) -> None:
    lab = served
    lab.hive("spawn", "alice")
    lab.script("systemctl stop container@h-alice")
    lab.script("systemctl start hyperhive-sweep")
    assert wait_until(CLOCK, lambda: lab.state("alice") == "active", within=WITHIN, every=OFTEN)


def has_tried(lab: Lab) -> bool:
    asked = ("systemctl", "show", "--value", "-p", "NRestarts", "hyperhive-worker@1")
    return int(lab.run(*asked).out) > 0


def test_a_secret_reaches_a_unit_and_no_environment(
    prepared: Lab, real_nix: dict[str, str]
) -> None:
    """The worker is there before the schema is, and before the secret: it comes up by itself."""
    lab = prepared
    install(lab, checked(real_nix, "unitsWithSecret"))
    lab.script("systemctl start --no-block hyperhive-worker@1")
    assert wait_until(CLOCK, lambda: has_tried(lab), within=WITHIN, every=OFTEN)
    url = "sqlite:////var/lib/hyperhive/secret.sqlite\n"
    lab.script("umask 077; cat >/srv/hive-database", stdin=url)
    lab.script("systemctl start hyperhive-migrate")

    def is_up() -> bool:
        asked = ("systemctl", "is-active", "hyperhive-worker@1")
        return lab.run(*asked, accept=(0, 3)).out.strip() == "active"

    assert wait_until(CLOCK, is_up, within=WITHIN, every=OFTEN)
    lab.script("test -s /var/lib/hyperhive/secret.sqlite")
    pid = main_pid(lab, "hyperhive-worker@1")
    environ = lab.script(f"tr '\\0' '\\n' </proc/{pid}/environ; tr '\\0' ' ' </proc/{pid}/cmdline")
    assert "HIVE_DATABASE_URL_FILE=/run/credentials/hyperhive-worker@1.service/database-url" in environ
    assert "secret.sqlite" not in environ
