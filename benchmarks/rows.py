"""What every benchmark prints: rows of measure, system, value and unit; a table, or JSON."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`measure` begins with a fixed word; `system` is `hive`, or a peer in lower case."""

    measure: str
    system: str
    value: float
    unit: str


def seconds(measure: str, system: str, runs: Sequence[float]) -> Row:
    """The median of the runs."""
    return Row(measure, system, round(statistics.median(runs), 4), "s")


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print(f"{platform.platform()}, Python {platform.python_version()}, one run")
    width = max(len(row.measure) for row in rows)
    for row in rows:
        print(f"{row.measure:<{width}}  {row.system:<8} {row.value:>12g} {row.unit}")
