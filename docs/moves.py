"""The page of a job's states and moves, from the data that the code itself moves by."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hive.domain import job
from hive.domain.job import (
    APPROVE,
    DENY,
    ENDED,
    MOVES,
    ORPHAN,
    PARK,
    SUPERSEDE,
    WITHDRAW,
    JobState,
    Move,
)
from hive.steps.gate import Approved
from hive.store import verdicts

ROOT: Final = Path(__file__).parent.parent
CODE: Final = ("hive", "cli", "workers")
ASKERS: Final = ("hive/jobs", "hive/service")
WORDS: Final = {
    PARK: Approved.__name__,
    SUPERSEDE: "series",
    APPROVE: verdicts.approve.__name__,
    DENY: verdicts.deny.__name__,
    WITHDRAW: verdicts.withdraw.__name__,
    ORPHAN: verdicts.orphan.__name__,
}
"""Of a move that the store can make: what a recipe or the service must say to bring it about."""

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

The last column says which moves this version makes. The others are made by the store already, and
nothing asks for them yet: no kind of job has a gate or a series, and nobody can answer one.

| move | from | to | because | made now |
|---|---|---|---|---|
{moves}
"""


def states_page() -> str:
    made = _made_now()
    return PAGE.format(
        diagram="\n".join(f"    {line}" for line in _diagram()),
        states="\n".join(f"| `{one}` | {_kind(one)} | {said} |" for one, said in _said().items()),
        moves="\n".join(_row(move, move in made) for move in MOVES),
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


def _row(move: Move, is_made: bool) -> str:
    starts = ", ".join(f"`{one}`" for one in sorted(move.start, key=list(JobState).index))
    made = "yes" if is_made else "not yet"
    return f"| {move.name} | {starts} | `{move.end}` | {move.because} | {made} |"


def _made_now() -> frozenset[Move]:
    """The moves that some module takes in by name, and that somebody can bring about."""
    known = {name: value for name, value in vars(job).items() if isinstance(value, Move)}
    taken = {
        alias.name
        for tree in _trees(*CODE)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == job.__name__
        for alias in node.names
    }
    said = {name for tree in _trees(*ASKERS) for name in _names(tree)}
    made = frozenset(known[name] for name in taken if name in known)
    return made - {move for move, word in WORDS.items() if word not in said}


def _trees(*folders: str) -> Iterator[ast.Module]:
    return (ast.parse(path.read_text()) for one in folders for path in (ROOT / one).rglob("*.py"))


def _names(tree: ast.AST) -> Iterator[str]:
    """What is said by name: alone, behind a dot, or as a keyword of a call."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name
            case _:
                pass
