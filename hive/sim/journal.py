"""What units say: a line each, JSON from the sim itself and bare text from what a container ran."""

from __future__ import annotations

import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from hive.sim.places import Places


def note(places: Places, container: str, message: str, *, by: str = "systemd") -> None:
    """One line more; one write, so that two writers never mix their lines."""
    if not os.path.isdir(places.root):  # a host that was wiped is not made again by a last word
        return
    os.makedirs(places.journal, exist_ok=True)
    line = json.dumps({"at": time.time_ns() // 1000, "by": by, "message": message})
    file = os.open(
        places.journal_of(container), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
    )
    try:
        os.write(file, line.encode() + b"\n")
    finally:
        os.close(file)


def entries(places: Places, container: str) -> Iterator[tuple[int, str, str]]:
    """Microseconds since 1970, who said it, what; bare text bears the time of the line before."""
    at = 0
    try:
        with open(places.journal_of(container), encoding="utf-8", errors="replace") as file:
            for line in file:
                said = _structured(line)
                at = said[0] if said else at
                yield said or (at, "systemd-nspawn", line.rstrip("\n"))
    except FileNotFoundError:
        return


def _structured(line: str) -> tuple[int, str, str] | None:
    try:
        said = json.loads(line)
        return int(said["at"]), str(said["by"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        return None
