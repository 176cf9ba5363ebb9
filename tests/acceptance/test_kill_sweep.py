"""A sweep that is killed at any program of its own, or of what it enqueued; then swept again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from hive.sim.stop import stop_all
from tests.acceptance.killing import Phase, Victim
from tests.acceptance.test_kill_verbs import memory

ENDED: Final = {"succeeded", "failed", "cancelled"}


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    """alice runs, and a manager."""
    with TemporaryDirectory(dir=memory(), prefix="hive-kill-") as made:
        victim = Victim(Path(made))
        try:
            for words in (["spawn", "alice"], ["sweep"]):
                ended = victim.run(words)
                assert ended.code == 0, ended.err
            yield victim
        finally:
            stop_all(victim.state / "sim")


def sees(victim: Victim, *words: str) -> list[dict[str, object]]:
    ended = victim.run([*words, "--json"])
    assert ended.code == 0, ended.err
    found: list[dict[str, object]] = json.loads(ended.out)
    return found


def crash(victim: Victim) -> None:
    run = json.loads((victim.state / "sim/units/h-alice/run.json").read_text())
    os.kill(run["main"], signal.SIGKILL)


def is_up(victim: Victim) -> bool:
    return any(one["name"] == "alice" and one["running"] for one in sees(victim, "agents"))


@pytest.mark.parametrize("phase", [Phase.BEFORE, Phase.ORPHANED, Phase.AFTER])
def test_killed_at_any_program_a_sweep_converges(victim: Victim, phase: Phase) -> None:
    crash(victim)
    quiet = victim.run(["sweep"])
    assert quiet.code == 0, quiet.err
    points = victim.count("own")
    assert points > 3, "the look, and the start that it asked for"
    for number in range(1, points + 1):
        crash(victim)
        first = victim.run(["sweep"], ("own", number, phase))
        assert first.code == -9, f"nothing was killed at {number}"
        again = victim.run(["sweep"])
        assert "Traceback" not in again.err
        if not is_up(victim):  # the start is queued again, behind the sweep that found it so
            victim.run(["sweep"])
        assert is_up(victim), f"at {number}: {again.err}"
    left = [job for job in sees(victim, "jobs") if job["state"] not in ENDED]
    assert left == []
