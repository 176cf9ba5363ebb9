"""A job's end and the next claim of its lock, for all hands of a worker that are at it at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from hive.domain.worker import LEASE
from hive.errors import HiveError
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.store import claims
from hive.store.claims import Turn, Turned

LANES: Final = 2
"""Transactions at once: while one waits for the disk, the other has the processor."""
MOST: Final = 16
"""Turns in one transaction, which keeps their rows from others until it is over."""

log = logging.getLogger("hive.turns")


class Turns:
    """Of one worker. While one of its hands writes, those that come wait; then one writes for all.

    A commit, and the way to a server and back, cost as much for many jobs as for one.
    """

    def __init__(self, host: Host, heart: Heart, goes_on: Callable[[], bool]) -> None:
        self.goes_on = goes_on
        """Whether the worker takes anything new."""
        self._host, self._heart = host, heart
        self._change = threading.Lock()
        self._free = LANES
        self._waiting: list[_Hand] = []

    def over(self, turn: Turn) -> Turned:
        """The job as it ended, and the next one. Raises what a transaction of its own would."""
        hand = self._joined(turn)
        if hand.writes_for:
            try:
                self._write_for(hand.writes_for)
            finally:
                self._pass_on()
        if hand.turned is None:
            (hand.turned,) = self._written([turn])
        return hand.turned

    def _joined(self, turn: Turn) -> _Hand:
        """It writes, has been written for, or has to see to itself."""
        hand = _Hand(turn)
        with self._change:
            if self._free:
                self._free -= 1
                hand.writes_for = [hand]
                return hand
            self._waiting.append(hand)
        hand.is_called.acquire()
        return hand

    def _write_for(self, hands: list[_Hand]) -> None:
        """What goes wrong with one undoes all: then each goes by itself, to its own trouble."""
        try:
            turned = self._written([hand.turn for hand in hands])
            for hand, one in zip(hands, turned, strict=True):
                hand.turned = one
        except HiveError as error:
            if len(hands) == 1:
                raise
            log.info("turns.apart count=%d because=%s", len(hands), error.message)
        finally:
            for hand in hands[1:]:  # the first is who writes
                hand.is_called.release()

    def _pass_on(self) -> None:
        with self._change:
            hands, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            self._free += not hands
        if hands:
            hands[0].writes_for = hands
            hands[0].is_called.release()

    def _written(self, turns: Sequence[Turn]) -> list[Turned]:
        host = self._host
        with host.database.write() as session:
            self._heart.register(session)
            now = host.clock.now()
            return claims.turn_over(
                session, turns, worker=host.worker, now=now, leased_until=now + LEASE
            )


class _Hand:
    """One that has finished a job."""

    __slots__ = ("is_called", "turn", "turned", "writes_for")

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.turned: Turned | None = None
        self.writes_for: list[_Hand] = []
        self.is_called = threading.Lock()
        """Taken, until somebody calls it: once, and dearer things than a lock are not needed."""
        self.is_called.acquire()
