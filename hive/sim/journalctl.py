"""The stand-in for `journalctl -u container@N`: plain, or a JSON object a line."""

from __future__ import annotations

import json
import sys
import time

from hive.sim import journal, processes
from hive.sim.systemctl import container_of, full

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hive.sim.places import Places

_WITH_VALUE = {"-u": "unit", "--unit": "unit", "-o": "output", "--output": "output",
               "-n": "lines", "--lines": "lines", "--since": "since", "-S": "since"}  # fmt: skip


def main(arguments: list[str], places: Places) -> int:
    asked = _parsed(arguments)
    if "--version" in arguments:
        print("systemd 252 (hive sim)")
        return 0
    unit = full(asked.get("unit", ""))
    container = container_of(unit) or ""
    shown = 0
    while True:
        found = list(journal.entries(places, container))
        _print(found[shown:] if shown else _last(found, asked), unit, asked.get("output", "short"))
        shown = len(found)
        if not {"-f", "--follow"} & set(arguments):
            return 0
        sys.stdout.flush()
        processes.wait_a_little()


def _parsed(arguments: list[str]) -> dict[str, str]:
    asked: dict[str, str] = {}
    rest = iter(arguments)
    for word in rest:
        key, equals, value = word.partition("=")
        if key not in _WITH_VALUE and word[:2] in _WITH_VALUE:
            key, value, equals = word[:2], word[2:], "="
        if key in _WITH_VALUE:
            asked[_WITH_VALUE[key]] = value if equals else next(rest, "")
    return asked


def _last(found: list[tuple[int, str, str]], asked: dict[str, str]) -> list[tuple[int, str, str]]:
    lines = asked.get("lines", "all")
    if not found and asked.get("output", "short") == "short":
        print("-- No entries --")
    return found[max(0, len(found) - int(lines)) :] if lines.isdigit() else found


def _print(found: list[tuple[int, str, str]], unit: str, output: str) -> None:
    for at, by, message in found:
        if output == "json":
            fields = {"MESSAGE": message, "__REALTIME_TIMESTAMP": str(at), "_SYSTEMD_UNIT": unit,
                      "SYSLOG_IDENTIFIER": by, "PRIORITY": "6"}  # fmt: skip
            print(json.dumps(fields))
        elif output == "cat":
            print(message)
        else:
            when = time.strftime("%b %d %H:%M:%S", time.localtime(at / 1_000_000))
            print(f"{when} hive-sim {by}[1]: {message}")
