"""Interrupts that land only where they do no harm.

A KeyboardInterrupt between two lines of `sh` or of `threading` may leave a lock taken for ever, or
a program that nobody knows of. So they are held back while a program is started and cleared away,
and let through while it is waited for.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self

HELD: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Held back inside `with`, given at its end. Only the main thread is ever interrupted."""

    def __init__(self) -> None:
        self._kept: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._came: list[int] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._hold()
        return self

    def __exit__(self, *_: object) -> None:
        self._give()

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Those that came meanwhile land at once."""
        held = bool(self._kept)
        self._give()
        try:
            yield
        finally:
            if held:
                self._hold()

    def _hold(self) -> None:
        for number in HELD:
            handler = signal.getsignal(number)
            if callable(handler):  # what is ignored or kills does not interrupt
                self._kept[number] = handler
                signal.signal(number, lambda came, _: self._came.append(came))

    def _give(self) -> None:
        for number, handler in self._kept.items():
            signal.signal(number, handler)
        self._kept, came, self._came = {}, self._came, []
        for number in came:
            signal.raise_signal(number)
