"""What the API costs while many listen: its part of `benchmarks.api`."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import event as on

from benchmarks.api import Local
from benchmarks.peers.figures import percentile
from benchmarks.rows import Row
from hive.domain.event import NewEvent
from hive.domain.job import Job, JobId
from hive.domain.names import NodeName
from hive.queue import submit
from hive.queue.host import Host
from hive.store import claims, events, jobs, logs
from hive.store.logs import NewLine

LINES: Final = 200
READERS: Final = 100
SUBSCRIBERS: Final = 200
EVENTS: Final = 500
PAUSE: Final = 0.02  #: seconds between two lines, as a build may write them


def measured(host: Host, job: JobId) -> Iterator[Row]:
    path = host.layout.host_socket
    for count in (1, READERS):
        took, reads = _lines(host, path, job, count)
        readers = "1 reader" if count == 1 else f"{count} readers"
        yield Row(f"log line to {readers} p50", "hive", round(percentile(took, 50), 1), "ms")
        yield Row(f"log line to {readers} p95", "hive", round(percentile(took, 95), 1), "ms")
        yield Row(f"reads for a line, {readers}", "hive", round(reads / LINES, 2), "reads")
    heard, took = _events(host, path)
    yield Row(f"events lost by {SUBSCRIBERS}", "hive", SUBSCRIBERS * EVENTS - heard, "events")
    yield Row(f"{EVENTS} events to {SUBSCRIBERS}, a break each", "hive", round(took, 2), "s")
