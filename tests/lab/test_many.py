"""Twenty agents on a real host, from a reboot to the last. It takes minutes, and prints them.

Once with systems that are up in a tenth of a second, as the lab's small ones are, which shows what
hive's own work costs; once with systems that take as long to boot as a small NixOS.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Final

import pytest

from hive.adapters.clock import wait_until
from tests.lab.conftest import CLOCK, HIVE, Lab

pytestmark = pytest.mark.soak

MANY: Final = 20
BOOTS: Final = (0, 3)
"""Seconds that a system takes to boot."""
SOON: Final = timedelta(minutes=10)
OFTEN: Final = timedelta(milliseconds=200)
DOWN: Final = "systemctl stop 'container@*'"
#: As many at once as hive starts.
STARTED: Final = "xargs --max-procs 4 --max-args 1 systemctl start"
TAKES: Final = "for root in /var/lib/nixos-containers/*; do echo {boot} >$root/boot-seconds; done"


def active(lab: Lab) -> int:
    units = "systemctl list-units --no-legend --state=active 'container@*' | wc -l"
    return int(lab.script(units))


def test_twenty_agents_are_up_again_after_a_reboot(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["hm1nd", *(f"m{number}" for number in range(1, MANY))]  # or the sweep builds a manager
    for name in names:
        lab.hive("spawn", name)
    units = lab.script("systemctl list-units --no-legend --plain 'container@*' | cut -d' ' -f1")
    assert len(units.splitlines()) == MANY
    for boot in BOOTS:
        lab.script(TAKES.format(boot=boot))
        alone, took = by_hand(lab, units), after_a_reboot(lab)
        with capsys.disabled():
            said = f"{MANY} that boot in {boot} s: starts alone {alone:.1f} s"
            sys.stdout.write(f"\n{said}, after a reboot {took:.1f} s, {took / alone:.2f} x\n")


def by_hand(lab: Lab, units: str) -> float:
    """Seconds that the starts take alone."""
    lab.script(DOWN)
    begun = time.monotonic()
    lab.script(STARTED, stdin=units)
    took = time.monotonic() - begun
    assert active(lab) == MANY
    return took


def after_a_reboot(lab: Lab) -> float:
    """Seconds from a sweep to the last agent."""
    lab.reboot()
    assert active(lab) == 0
    lab.script(f"systemd-run --quiet --unit=hive-up --collect {HIVE} up --concurrency 6")
    try:
        served = wait_until(CLOCK, lambda: is_served(lab), within=SOON, every=OFTEN)
        assert served, "hive up does not answer"
        begun = time.monotonic()
        lab.hive("sweep")
        all_are = wait_until(CLOCK, lambda: active(lab) >= MANY, within=SOON, every=OFTEN)
        took = time.monotonic() - begun
        assert all_are, lab.hive("jobs").out
    finally:
        lab.script("systemctl stop hive-up")
    return took


def is_served(lab: Lab) -> bool:
    return bool(lab.script("test -S /run/hyperhive/host.sock && echo yes || true"))
