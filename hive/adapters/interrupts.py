"""Interrupts that do no harm: a handler is called at once, what it raises is raised at the end.

A KeyboardInterrupt between two lines of `sh` or of `threading` may leave a lock taken for ever, or
a program that nobody knows of; in a weak reference's callback Python drops it (seen).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self

HELD: Final = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], Any]


class Interrupts:
    """What handlers raise inside `with` is raised at its end. Only the main thread has any."""

    def __init__(self) -> None:
        self._kept: dict[int, Handler] = {}
        self._raised: BaseException | None = None
        self._end: Callable[[], object] = bool

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in HELD:
                handler = signal.getsignal(number)
                if callable(handler):  # what is ignored, or kills, does not interrupt
                    self._kept[number] = handler
                    signal.signal(number, self._call)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._kept.items():
            signal.signal(number, handler)
        if self._raised is not None:
            raise self._raised

    @contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[None]:
        """Call `end` at the first interrupt, even one that came before."""
        self._end = end
        try:
            if self._raised is not None:
                end()
            yield
        finally:
            self._end = bool

    def _call(self, number: int, frame: FrameType | None) -> None:
        """A handler that raises nothing, as a draining worker's, ends nothing."""
        try:
            self._kept[number](number, frame)
        except BaseException as raised:  # noqa: BLE001 - raised again by `__exit__`
            self._raised = raised
            self._end()
