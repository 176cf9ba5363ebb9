"""How an attempt ends: what is worth another one, and how long that waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hive.domain.job import Job, JobId, JobState
from hive.domain.names import AgentName, NodeName
from hive.domain.retry import FIRST, LONGEST
from hive.errors import Fault, FencedOut, HiveError, Refused, Transient
from hive.queue import ending
from hive.queue.ending import JITTER, is_worth_again, trouble

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_job(failures: int) -> Job:
    return Job(
        id=JobId(1), kind="spawn", node=NodeName("here"), agent=AgentName("alice"), ask={},
        state=JobState.RUNNING, attempt=1, failures=failures, losses=0, restoring=False,
        lock="agent:here/alice", series=None, priority=0, worker="w", cancel_requested_at=None,
        parent_id=None, superseded_by=None, approved_at=None, approved_by=None, seen=None,
        requested_by="test", created_at=NOW,
        started_at=NOW, finished_at=None, run_at=None, error=None, result=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "failures", "switched", "is_worth"),
    [
        (Transient("so"), 0, False, True),
        (Transient("so"), 3, False, True),
        (Transient("so"), 4, False, False),
        (Transient("so"), 0, True, False),
        (FencedOut("no"), 0, False, True),
        (Refused("no"), 0, False, False),
        (Fault("no"), 0, False, False),
    ],
)
def test_this_failure_counts_towards_the_limit(
    error: HiveError, failures: int, switched: bool, is_worth: bool
) -> None:
    assert is_worth_again(a_job(failures), error, 5, switched=switched) is is_worth


@pytest.mark.parametrize("after", [FIRST, LONGEST])
def test_a_wait_is_never_shorter_and_a_quarter_longer_at_most(after: timedelta) -> None:
    waits = [ending._jittered(after) for _ in range(1_000)]
    assert all(after <= wait <= after * (1 + JITTER) for wait in waits)
    assert max(waits) - min(waits) > after * JITTER / 2, "what failed together comes apart"


def test_trouble_is_what_the_error_carried() -> None:
    said = trouble(Refused("no", code="not-today", hint="tomorrow"))
    assert (said.code, said.message, said.hint) == ("not-today", "no", "tomorrow")
