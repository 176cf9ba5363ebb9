"""A job's end and the next claim of its lock, for all hands of a worker that are at it at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Self, TypedDict

from hive.domain.job import Job
from hive.domain.worker import LEASE
from hive.errors import HiveError
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.store import turns
from hive.store.line import Line
from hive.store.turns import Turn, Turned

LANES: Final = 2
"""Transactions at once: while one waits for the disk, the other has the processor."""
MOST: Final = 16
"""Turns in one transaction, which keeps their rows from others until it is over."""

log = logging.getLogger("hive.turns")


class Turns:
    """Of one worker. While one of its hands writes, those that come wait; then one writes for all.

    A commit, and the way to a server and back, cost as much for many jobs as for one. Its block
    ends when the worker has put down its jobs.
    """

    def __init__(self, host: Host, heart: Heart, goes_on: Callable[[], bool]) -> None:
        self.goes_on = goes_on
        """Whether the worker takes anything new."""
        self._host, self._heart = host, heart
        self._change = threading.Lock()
        self._lanes = [Line(host.database) for _ in range(LANES)]
        """Those that are free."""
        self._waiting: list[_Hand] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            for lane in self._lanes:
                lane.close()

    def over(self, turn: Turn) -> Job | None:
        """The job has ended; the next one of its lock. Raises what a transaction of its own would.

        It may be None where there is a next one, which is to be claimed as any other.
        """
        hand = self._joined(turn)
        if hand.lane is not None:
            try:
                self._write_for(hand.writes_for, hand.lane)
            finally:
                self._pass_on(hand.lane)
        if hand.turned is None:
            self._write([hand], None)
        assert hand.turned is not None
        return hand.turned.following

    def _joined(self, turn: Turn) -> _Hand:
        """It writes, has been written for, or has to see to itself."""
        hand = _Hand(turn)
        with self._change:
            if self._lanes:
                hand.lane, hand.writes_for = self._lanes.pop(), [hand]
                return hand
            self._waiting.append(hand)
        hand.is_called.acquire()
        return hand

    def _write_for(self, hands: list[_Hand], lane: Line) -> None:
        """What goes wrong with one may undo all: then each goes by itself, to its own trouble."""
        try:
            self._write(hands, lane)
        except HiveError as error:
            if len(hands) == 1:
                raise
            log.info("turns.apart count=%d because=%s", len(hands), error.message)
        finally:
            for hand in hands[1:]:  # the first is who writes
                hand.is_called.release()

    def _pass_on(self, lane: Line) -> None:
        with self._change:
            hands, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            if not hands:
                self._lanes.append(lane)
        if hands:
            hands[0].lane, hands[0].writes_for = lane, hands
            hands[0].is_called.release()

    def _write(self, hands: Sequence[_Hand], lane: Line | None) -> None:
        if lane is not None and self._host.database.has_lines:
            self._in_one_word([hand for hand in hands if hand.turn.is_quiet], lane)
        self._in_a_transaction([hand for hand in hands if hand.turned is None])

    def _in_one_word(self, hands: Sequence[_Hand], lane: Line) -> None:
        """Who has claimed these jobs is registered."""
        if hands:
            given = [hand.turn for hand in hands]
            _note(hands, turns.turn_over_at_once(lane, given, **self._who()))

    def _in_a_transaction(self, hands: Sequence[_Hand]) -> None:
        if hands:
            with self._host.database.write() as session:
                self._heart.register(session)
                given = [hand.turn for hand in hands]
                turned = turns.turn_over(session, given, **self._who())
            _note(hands, turned)

    def _who(self) -> _Who:
        now = self._host.clock.now()
        return {"worker": self._host.worker, "now": now, "leased_until": now + LEASE}


def _note(hands: Sequence[_Hand], turned: Sequence[Turned | None]) -> None:
    for hand, one in zip(hands, turned, strict=True):
        hand.turned = one


class _Who(TypedDict):
    """Claims, and until when."""

    worker: str
    now: datetime
    leased_until: datetime


class _Hand:
    """One that has finished a job."""

    __slots__ = ("is_called", "lane", "turn", "turned", "writes_for")

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.turned: Turned | None = None
        self.lane: Line | None = None
        """By which it `writes_for` these; None while another one writes for it."""
        self.writes_for: list[_Hand] = []
        self.is_called = threading.Lock()
        """Taken, until somebody calls it: once, and dearer things than a lock are not needed."""
        self.is_called.acquire()
