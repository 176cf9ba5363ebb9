"""Twenty agents on a real host, from a reboot to the last. It takes minutes, and prints them."""

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
SOON: Final = timedelta(minutes=10)
OFTEN: Final = timedelta(milliseconds=100)
DOWN: Final = "systemctl stop 'container@*'"
#: As many at once as hive starts.
STARTED: Final = "xargs --max-procs 4 --max-args 1 systemctl start"


def active(lab: Lab) -> int:
    units = "systemctl list-units --no-legend --state=active 'container@*' | wc -l"
    return int(lab.script(units))


def test_twenty_agents_are_up_again_after_a_reboot(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"m{number}" for number in range(MANY)]
    for name in names:
        lab.hive("spawn", name)
    lab.script(DOWN)
    units = "\n".join(f"container@h-{name}.service" for name in names)
    begun = time.monotonic()
    lab.script(STARTED, stdin=units)
    alone = time.monotonic() - begun
    assert active(lab) == MANY
    lab.reboot()
    assert active(lab) == 0
    lab.script(f"systemd-run --quiet --unit=hive-up --collect {HIVE} up --concurrency 6")
    try:
        begun = time.monotonic()
        lab.hive("sweep")
        all_are = wait_until(CLOCK, lambda: active(lab) >= MANY, within=SOON, every=OFTEN)
        took = time.monotonic() - begun
        assert all_are, lab.hive("jobs").out
    finally:
        lab.script("systemctl stop hive-up")
    with capsys.disabled():
        sys.stdout.write(f"\n{MANY} starts alone {alone:.1f} s, after a reboot {took:.1f} s\n")
