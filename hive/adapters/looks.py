"""One look answers all who asked before it began, so that many jobs at once do not look each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
OFTEN: Final = timedelta(milliseconds=50)
"""How often who waits for a look that another makes asks whether it may go on."""


class _Round(Generic[K, V]):
    def __init__(self) -> None:
        self.asked: set[K] = set()
        self.is_over = False
        self.found: Mapping[K, V] | None = None
        """None while it is not over, and where who made the look did not come to its end."""


class Looks(Generic[K, V]):
    """Of all jobs of one process. An answer is never older than the question.

    One look is under way at a time. Who asks meanwhile is answered by the next, which the first
    of them makes for all.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._next: _Round[K, V] = _Round()
        self._is_looking = False

    def ask(
        self,
        about: K,
        look: Callable[[Collection[K]], Mapping[K, V]],
        may_go_on: Callable[[], object] = bool,
    ) -> V:
        """What a look from now on finds; `may_go_on` raises where the asker is called off.

        Raises what the asker's own look raises. Where another's fails, it is asked anew.
        """
        while True:
            mine = self._joined(about, may_go_on)
            if not mine.is_over:
                return self._led(mine, look)[about]
            if mine.found is not None:
                return mine.found[about]

    def _joined(self, about: K, may_go_on: Callable[[], object]) -> _Round[K, V]:
        """A round that is over; or is the asker's to lead, and takes on nobody any more."""
        with self._change:
            mine = self._next
            mine.asked.add(about)
            while self._is_looking and not mine.is_over:
                self._change.wait(OFTEN.total_seconds())
                may_go_on()
            if not mine.is_over:
                self._next, self._is_looking = _Round(), True
            return mine

    def _led(
        self, mine: _Round[K, V], look: Callable[[Collection[K]], Mapping[K, V]]
    ) -> Mapping[K, V]:
        try:
            found = look(mine.asked)
            mine.found = found
            return found
        finally:
            with self._change:
                mine.is_over, self._is_looking = True, False
                self._change.notify_all()
