"""A job's life: its states, and the only moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NewType

from hive.domain.names import AgentName, NodeName

JobId = NewType("JobId", int)


class JobState(StrEnum):
    QUEUED = "queued"  #: a worker claims it, or an operator cancels it
    RUNNING = "running"  #: its worker finishes, parks or gives it back, or maintenance rescues it
    WAITING = "waiting"  #: at a gate: an operator approves, denies or cancels it
    SUCCEEDED = "succeeded"  #: every step holds; nobody moves it
    FAILED = "failed"  #: refused, or out of attempts; an operator may retry it
    CANCELLED = "cancelled"  #: an operator stopped it, or its requester withdrew it
    DENIED = "denied"  #: an operator said no; nobody moves it
    SUPERSEDED = "superseded"  #: a newer proposal took its place; nobody moves it


@dataclass(frozen=True, slots=True)
class Move:
    """An arrow in the diagram: from any of `start`, to `end`."""

    name: str
    start: frozenset[JobState]
    end: JobState
    because: str


_Q, _R, _W, _S, _F, _C, _D, _X = JobState

LOSS_LIMIT: Final = 3
"""Losses after which a job only restores: it may be what its workers die of."""
URGENT: Final = -10
"""The priority of what outranks a build: stop, start, restart, destroy and purge."""

IDLE: Final = 10
"""The priority of what may wait for everything else."""

BUILDING: Final = frozenset({"spawn", "apply", "rebuild", "rollback"})
"""Kinds that fill the disk: while it is critical, none of them begins."""

LIVE: Final = frozenset({_Q, _R, _W})
PENDING: Final = frozenset({_Q, _R})
"""It goes on by itself: it has not ended, and waits for nobody."""
ENDED: Final = frozenset(JobState) - LIVE
UNSUCCESSFUL: Final = ENDED - {_S}

CLAIM: Final = Move("claim", frozenset({_Q}), _R, "a worker took the lease")
RESTORE: Final = Move("restore", frozenset({_R}), _R, "a step after the switch has failed")
FINISH: Final = Move("finish", frozenset({_R}), _S, "every step holds")
FAIL: Final = Move("fail", frozenset({_R}), _F, "refused, out of attempts, or restored")
GIVE_BACK: Final = Move("give back", frozenset({_R}), _Q, "its worker was interrupted or drained")
AGAIN: Final = Move("again", frozenset({_R}), _Q, "transient trouble, with attempts left")
RESCUE: Final = Move("rescue", frozenset({_R}), _Q, "its worker is gone")
LOSE: Final = Move("lose", frozenset({_R}), _F, "its worker was lost again while it restored")
PARK: Final = Move("park", frozenset({_R}), _W, "a gate does not hold yet")
APPROVE: Final = Move("approve", frozenset({_W}), _Q, "an operator approved it")
DENY: Final = Move("deny", frozenset({_W}), _D, "an operator denied it")
WITHDRAW: Final = Move("withdraw", frozenset({_W}), _C, "its requester withdrew it")
SUPERSEDE: Final = Move("supersede", frozenset({_R, _W}), _X, "a newer proposal took its place")
ORPHAN: Final = Move(
    "orphan", frozenset({_Q, _W}), _F, "its agent was destroyed, or its folder is lost"
)
CANCEL: Final = Move("cancel", frozenset({_Q, _W}), _C, "an operator cancelled what had not begun")
END_CANCELLED: Final = Move("end cancelled", frozenset({_R}), _C, "its worker saw the cancel")
RETRY: Final = Move("retry", frozenset({_F, _C}), _Q, "an operator said again")

MOVES: Final = (
    CLAIM, RESTORE, FINISH, FAIL, GIVE_BACK, AGAIN, RESCUE, LOSE, PARK,
    APPROVE, DENY, WITHDRAW, SUPERSEDE, ORPHAN, CANCEL, END_CANCELLED, RETRY,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a job ended, or restores: what a `HiveError` carried."""

    code: str
    message: str
    hint: str = ""


CANCELLED: Final = Trouble("cancelled", "an operator cancelled it")


@dataclass(frozen=True, slots=True)
class Job:
    """A row, read: all that is so of one job at one moment. Instants are aware, in UTC."""

    id: JobId
    kind: str
    node: NodeName
    agent: AgentName | None
    ask: Mapping[str, Any]
    state: JobState
    attempt: int  #: the fencing token: +1 at every claim, never lowered
    failures: int  #: transient ends: the retry budget
    losses: int  #: rescues
    restoring: bool  #: only the restore list may run
    lock: str
    series: str | None
    priority: int  #: lower goes first
    worker: str | None  #: who runs it
    cancel_requested_at: datetime | None
    parent_id: JobId | None
    superseded_by: JobId | None
    approved_at: datetime | None
    approved_by: str | None
    seen: Mapping[str, Any] | None  #: what the operator approved: rev, deployed, base, closure
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    run_at: datetime | None
    error: Trouble | None
    result: Mapping[str, Any] | None

    @property
    def is_waiting(self) -> bool:
        return self.state is JobState.WAITING

    @property
    def has_failed(self) -> bool:
        return self.state is JobState.FAILED


class StepState(StrEnum):
    HELD = "held"  #: it was so already
    APPLYING = "applying"  #: it differs, and is being made so
    APPLIED = "applied"  #: it was made so, and checked
    FAILED = "failed"  #: it could not be made so


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How one step went, in the attempt that last touched it."""

    position: int
    name: str
    state: StepState
    because: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a program of a job wrote, or the command itself (`stream` is `$`)."""

    seq: int
    attempt: int
    step: str
    stream: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """A request for a job: a row that is not there yet."""

    kind: str
    node: NodeName
    agent: AgentName | None
    ask: Mapping[str, Any]
    lock: str
    requested_by: str
    unique_key: str | None = None  #: equal work: while one such job is live, it is this one
    idempotency_key: str | None = None  #: the requester's own; it names one request for ever
    series: str | None = None  #: a newer one supersedes those of its series that still wait
    priority: int = 0
    run_at: datetime | None = None
    parent_id: JobId | None = None
    at_once: int | None = None  #: how many of its children may run at a time; None: all
    approved_at: datetime | None = None
    approved_by: str | None = None  #: it passes its gate because this one asked for it
    seen: Mapping[str, Any] | None = None  #: how things were when it was asked for
