"""The page of a job's states and moves, from the data that the code itself moves by."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final

from hive.domain.job import ENDED, MOVES, JobState, Move

PAGE: Final = """\
# A job's states

A job is a row. Its state changes by a move, and a move is one guarded UPDATE: it says from which
states it may start, and a worker's says also which attempt it has claimed. Where no row changes,
someone else moved first, and nothing else happens. The first state is `queued`, written by the
submit. Each move is told by an [event](glossary.md) `job.<move>`, in the same transaction. The
moves of workers are made in `hive/store/moves.py` and `hive/queue/ending.py`, those of people in
`hive/store/verdicts.py`; when, is told in
[architecture.md](architecture.md#one-job-from-top-to-bottom).

A cancel of a job that runs, or has run, is no move: it is written on the row, told as
`job.cancel-requested`, and the attempt that finds it makes one.

```mermaid
stateDiagram-v2
{diagram}
```

## States

| state | kind | who moves it out |
|---|---|---|
{states}

## Moves

| move | from | to | because |
|---|---|---|---|
{moves}
"""


def states_page() -> str:
    return PAGE.format(
        diagram="\n".join(f"    {line}" for line in _diagram()),
        states="\n".join(f"| `{one}` | {_kind(one)} | {said} |" for one, said in _said().items()),
        moves="\n".join(_row(move) for move in MOVES),
    )


def _diagram() -> Iterator[str]:
    """One arrow for each pair of states, with the names of its moves."""
    yield "[*] --> queued: submit"
    arrows: dict[tuple[JobState, JobState], list[str]] = {}
    for move in MOVES:
        for start in sorted(move.start, key=list(JobState).index):
            arrows.setdefault((start, move.end), []).append(move.name)
    for (start, end), names in arrows.items():
        yield f"{start} --> {end}: {', '.join(names)}"
    for state in JobState:
        if not any(state in move.start for move in MOVES):
            yield f"{state} --> [*]"


def _said() -> dict[JobState, str]:
    """What stands behind each state in the code."""
    lines = re.findall(r'^\s+(\w+) = "\w+"\s+#: (.+)$', inspect.getsource(JobState), re.MULTILINE)
    return {JobState[name]: said for name, said in lines}


def _kind(state: JobState) -> str:
    return "ended" if state in ENDED else "live"


def _row(move: Move) -> str:
    starts = ", ".join(f"`{one}`" for one in sorted(move.start, key=list(JobState).index))
    return f"| {move.name} | {starts} | `{move.end}` | {move.because} |"
