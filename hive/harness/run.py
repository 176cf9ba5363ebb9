"""The default harness as a process: the port, the reader, and the signal that ends both."""

from __future__ import annotations

import logging
import os
import signal
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from hive.client import Client
from hive.harness.identity import Identity
from hive.harness.page import CURRENT_SYSTEM, served
from hive.harness.port import bound
from hive.harness.reader import Reader
from hive.harness.standing import Standing

ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
FINISHING: Final = timedelta(seconds=1)
"""For messages in hand; what is not acknowledged by then comes again, and is known."""

log = logging.getLogger("hive.harness")


def run(who: Identity, hive: Client, address: str, system: Path = CURRENT_SYSTEM) -> None:
    """Until SIGTERM or SIGINT, and then at most two seconds more. For the main thread alone."""
    with Signals() as signals:
        listening = bound(address, who.port, signals.ended)
        if listening is None:
            return
        standing = Standing(who)
        with served(listening, standing, system):
            reading = Reading(Reader(hive, standing))
            reading.start()
            log.info("harness.ready agent=%s at=%s:%s", who.agent, address, who.port)
            signals.wait()
            reading.reader.stop(FINISHING)
        if reading.failed is not None:
            raise reading.failed
        log.info("harness.stopped noted=%s", standing.noted)


@dataclass
class Signals:
    """Held back and waited for: no handler runs in the middle of anything.

    Threads that are begun inside inherit that.
    """

    _before: set[Any] = field(default_factory=set)

    def __enter__(self) -> Signals:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        return self

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def ended(self, seconds: float) -> bool:
        """Wait so long, or until the end is asked for; whether it was."""
        return signal.sigtimedwait(ENDING, seconds) is not None

    def wait(self) -> None:
        signal.sigwait(ENDING)


class Reading(threading.Thread):
    """The reader in a thread that nobody waits for: it may be parked at hive's for a minute."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(daemon=True, name="reader")
        self.reader = reader
        self.failed: BaseException | None = None

    @override
    def run(self) -> None:
        try:
            self.reader.run()
        except BaseException as failed:  # noqa: BLE001 - raised again where the process ends
            self.failed = failed
            os.kill(os.getpid(), signal.SIGTERM)
