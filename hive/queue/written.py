"""What an attempt must write down is written, as soon as the database takes it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

from hive.errors import FencedOut, IllegalMove, Transient
from hive.queue.attempt import Attempt
from hive.queue.host import Host
from hive.store import claims

T = TypeVar("T")
PATIENCE: Final = timedelta(seconds=4)
"""The longest wait between two tries."""
FIRST_WAIT: Final = timedelta(milliseconds=100)

log = logging.getLogger("hive.execute")


def surely(host: Host, attempt: Attempt, write: Callable[[], T]) -> T:
    """Written, as soon as the database takes it; while the lease holds, nobody else can.

    Raises `FencedOut` when the job is another attempt's, and what the database said last when the
    lease ends before it answers: the row still says `running`, and who gets the lock next goes on.
    """
    wait = FIRST_WAIT
    while True:
        try:
            return write()
        except IllegalMove as moved:
            raise FencedOut(moved.message) from moved
        except Transient as error:
            if error.code == claims.RACED or not attempt.has_lease:
                raise
            log.warning("job.not-written job=%s because=%s", attempt.job.id, error.message)
        host.clock.sleep(wait)
        wait = min(2 * wait, PATIENCE)
