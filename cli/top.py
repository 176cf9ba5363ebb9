"""The fleet live in a terminal, which is as it was when this is over."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli import status as words
from cli.fleet import node_cells
from cli.plain import plain
from hive.errors import HiveError

if TYPE_CHECKING:
    from cli.hive import Hive
    from hive.client.answers import AgentStatus, Node, Status

    Key = tuple[str, str]
    """A node and an agent of it."""

COLUMNS: Final = {
    "AGENT": 0, "NODE": 110, "STATE": 0, "JOB": 0, "MEMORY": 60, "CPU": 60, "LAST EVENT": 90,
    "NOTE": 0,
}  # fmt: skip
"""What is shown, and from which width of the terminal on."""
SHRINK: Final = frozenset({"JOB", "LAST EVENT", "NOTE"})
"""Columns that are cut where the terminal is too narrow for all."""
AROUND: Final = 5
"""Lines of the screen that tell of no agent."""
LEAVING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RESIZED: Final = signal.SIGWINCH


def watch(hive: Hive, *, every: timedelta) -> int:
    """Until somebody leaves; the exit. Whoever cannot look at all gets no screen."""
    picture, console = _Picture(hive), Console()
    with _keys() as keys, console.screen() as screen:
        while True:
            screen.update(picture.drawn(console.width, console.height))
            code = keys.left(within=every)
            if code is not None:
                return code
            picture.look()


class _Picture:
    """What was seen last, and what lies between it and the look before."""

    def __init__(self, hive: Hive) -> None:
        self._hive, self._now, self._looked = hive, hive.status(), time.monotonic()
        self._load: dict[Key, float] = {}
        self._trouble: HiveError | None = None

    def look(self) -> None:
        """What cannot be seen now is seen at the next look; until then it says so."""
        try:
            now, looked = self._hive.status(), time.monotonic()
            self._load = load(self._now, now, seconds=looked - self._looked)
            self._now, self._looked, self._trouble = now, looked, None
        except HiveError as error:
            self._trouble = error

    def drawn(self, width: int, height: int) -> RenderableType:
        return Group(self._title(), self._nodes(), Text(""), self._agents(width, height))

    def _title(self) -> Text:
        if self._trouble is not None:
            said = f"hive cannot look [{self._trouble.code}]: {self._trouble.message}"
            return _line(said, style="bold red")
        at = datetime.fromisoformat(self._now["at"]).astimezone().strftime("%H:%M:%S")
        return _line(f"hive {at}  jobs: {words.counted(self._now)}  (q leaves)", style="bold")

    def _nodes(self) -> Text:
        said = _line("nodes: ")
        for at, node in enumerate(self._now["nodes"]):
            name, state, _ = node_cells(node)
            said.append(", " if at else "")
            said.append(plain(f"{name} {state}"), style="bold yellow" if _is_off(node) else "")
        return said

    def _agents(self, width: int, height: int) -> RenderableType:
        """Those that need somebody first, then those at work; as many as fit."""
        ordered = sorted(self._now["agents"], key=_rank)
        fit = max(1, height - AROUND)
        table = Table(box=None, pad_edge=False, expand=False, header_style="dim")
        names = [name for name, least in COLUMNS.items() if width >= least]
        for name in names:
            table.add_column(name, no_wrap=name not in SHRINK, overflow="ellipsis")
        for one in ordered[:fit]:
            cells = self._cells(one)
            table.add_row(*(_line(cells[name]) for name in names), style=_style(one))
        rest = len(ordered) - fit
        return Group(table, _line(f"… and {rest} more", style="dim")) if rest > 0 else table

    def _cells(self, one: AgentStatus) -> dict[str, str]:
        percent = self._load.get(_key(one))
        return {
            "AGENT": one["name"],
            "NODE": one["node"],
            "STATE": words.state_of(one),
            "JOB": words.job_of(one),
            "MEMORY": words.size(one["memory"]),
            "CPU": "-" if percent is None else f"{percent:.0f} %",
            "LAST EVENT": words.event_of(one, datetime.fromisoformat(self._now["at"])),
            "NOTE": words.note_of(one),
        }


def _line(text: str, style: str = "") -> Text:
    return Text(plain(text), style=style, no_wrap=True, overflow="ellipsis")


def _rank(one: AgentStatus) -> tuple[bool, bool, Key]:
    return not one["attention"], one["job"] is None, _key(one)


def _style(one: AgentStatus) -> str:
    if one["attention"]:
        return "bold red" if one["failed_at"] else "bold yellow"
    return "cyan" if one["job"] else ""


def _is_off(node: Node) -> bool:
    return node["silent"] or node["paused_at"] is not None


def load(before: Status, now: Status, *, seconds: float) -> dict[Key, float]:
    """Percent of one CPU that each agent computed between two looks, where that is known.

    Nothing of one that was started in between: its count began anew.
    """
    was = {_key(one): one["cpu_seconds"] for one in before["agents"]}
    used = {_key(one): _more(was.get(_key(one)), one["cpu_seconds"]) for one in now["agents"]}
    return {key: 100 * more / seconds for key, more in used.items() if more is not None}


def _more(before: float | None, now: float | None) -> float | None:
    return None if before is None or now is None or now < before else now - before


def _key(one: AgentStatus) -> Key:
    return one["node"], one["name"]


@dataclass(frozen=True, slots=True)
class _Keys:
    """What is typed, a key at a time, and the signals that came."""

    typed: int
    told: int

    def left(self, *, within: timedelta) -> int | None:
        """The exit, once somebody leaves within this time; None where it is over, or resized."""
        until = time.monotonic() + within.total_seconds()
        while (rest := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self.typed, self.told], [], [], rest)
            if self.told in ready:
                number = os.read(self.told, 1)[0]
                return None if number == RESIZED else 128 + number
            if self.typed in ready and self._is_leave():
                return 0
        return None

    def _is_leave(self) -> bool:
        """Also where the terminal has gone."""
        typed = os.read(self.typed, 64)
        return not typed or b"q" in typed.lower()


@contextmanager
def _keys() -> Iterator[_Keys]:
    """The terminal gives each key at once and shows none; after this it is as it was.

    A signal is heard at the next wait, so that none can come between the screen and its end.
    """
    typed = sys.stdin.fileno()
    before = termios.tcgetattr(typed)
    told, tell = os.pipe()
    kept = {number: signal.getsignal(number) for number in (*LEAVING, RESIZED, signal.SIGTSTP)}
    try:
        for number in (*LEAVING, RESIZED):
            signal.signal(number, lambda got, _: os.write(tell, bytes([got])))
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # or a shell would get half a screen
        tty.setcbreak(typed)
        yield _Keys(typed, told)
    finally:
        with suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(typed, termios.TCSADRAIN, before)
        for number, handler in kept.items():
            signal.signal(number, handler)
        os.close(told)
        os.close(tell)
