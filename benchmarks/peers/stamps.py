"""When each job began, told by the job itself through a named pipe: no disk, and nobody is woken.

Of one machine all processes have one monotonic clock.
"""

from __future__ import annotations

import os
import select
import struct
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

RECORD = struct.Struct("=qq")
A_PIPEFUL = 1 << 16


@dataclass
class Pen:
    """A job's side. The pipe is opened by the process that writes, so a fork does not matter."""

    path: Path

    def __call__(self, number: int) -> int:
        """What every job does: say that it began, and return something to store."""
        os.write(self._pipe, RECORD.pack(number, time.monotonic_ns()))
        return number

    @cached_property
    def _pipe(self) -> int:
        return os.open(self.path, os.O_WRONLY)


@dataclass
class Stamps:
    """The reader's side: what began, and when in ns."""

    path: Path
    began: dict[int, int] = field(default_factory=dict)

    def __enter__(self) -> Stamps:
        os.mkfifo(self.path, 0o600)
        self._pipe = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self._open = os.open(self.path, os.O_WRONLY)  # no end of file between two writers
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._open)
        os.close(self._pipe)

    def wait(self, within: float) -> bool:
        """Until something began; for a single job, as a flood would wake us at each."""
        return bool(select.select([self._pipe], [], [], within)[0])

    def look(self) -> int:
        """Read what is there; how many began so far."""
        try:
            read = os.read(self._pipe, A_PIPEFUL)
        except BlockingIOError:
            read = b""
        for number, at in RECORD.iter_unpack(read):
            if number in self.began:
                raise SystemExit(f"job {number} began twice")
            self.began[number] = at
        return len(self.began)


NO_PEN = Pen(Path(os.devnull))
"""For the side that enqueues and never runs a job."""
