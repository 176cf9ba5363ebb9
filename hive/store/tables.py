"""Every table, on one page. What a row means is said in `hive/domain`, how it moves in `jobs`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from hive.domain.agent import Desired
from hive.domain.authority import Role as Standing
from hive.domain.job import LIVE, UNSUCCESSFUL, JobState, StepState
from hive.domain.schedule import CatchUp, Verb
from hive.domain.worker import Role
from hive.store.columns import Instant, Words

BIG = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        str: Words, datetime: Instant,
        dict[str, Any]: JSON(none_as_null=True), list[str]: JSON(none_as_null=True),
    }  # fmt: skip


def _one_of(kind: type[StrEnum]) -> Enum:
    """The member's value, as text: a new member needs a new check, not a new type."""
    return Enum(kind, native_enum=False, length=16, values_callable=lambda e: [m.value for m in e])


def among(column: str, members: Iterable[StrEnum]) -> str:
    """A condition in one spelling, as a partial index serves only what is spelled like it."""
    return f"{column} IN ({', '.join(repr(str(member)) for member in sorted(members))})"


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    only = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=only, postgresql_where=only)


QUEUED_ONLY = "state = 'queued'"
RUNNING_ONLY = "state = 'running'"
LIVE_ONLY = among("state", LIVE)
UNSUCCESSFUL_ONLY = among("state", UNSUCCESSFUL)
KEYED_ONLY = "idempotency_key IS NOT NULL"
SERIES_LIVE_ONLY = f"series IS NOT NULL AND {LIVE_ONLY}"
PRUNABLE_ONLY = "pruned = false AND finished_at IS NOT NULL"
OPEN_ONLY = "acked_at IS NULL"
ACKED_ONLY = "acked_at IS NOT NULL"
ONCE_ONLY = "once IS NOT NULL"
OF_AGENT_ONLY = "agent IS NOT NULL"
PORT_TAKEN_ONLY = "desired != 'destroyed'"


class JobRow(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(among("state", JobState), name="state"),
        CheckConstraint("attempt >= 0", name="attempt_not_negative"),
        CheckConstraint("failures >= 0", name="failures_not_negative"),
        CheckConstraint("losses >= 0", name="losses_not_negative"),
        _partial("uq_jobs_lock_running", "lock", where=RUNNING_ONLY, unique=True),
        _partial("uq_jobs_unique_key_live", "unique_key", where=LIVE_ONLY, unique=True),
        _partial("ix_jobs_node_due", "node", "priority", "id", where=QUEUED_ONLY),
        _partial("ix_jobs_lock_due", "lock", "priority", "id", where=QUEUED_ONLY),
        _partial("ix_jobs_agent_live", "node", "agent", where=LIVE_ONLY),
        _partial("ix_jobs_tag_due", "node", "id", where="tag_due IS NOT NULL"),
        _partial("ix_jobs_parent_id", "parent_id", where="parent_id IS NOT NULL"),
        _partial("ix_jobs_superseded_by", "superseded_by", where="superseded_by IS NOT NULL"),
        _partial("ix_jobs_prunable", "finished_at", where=PRUNABLE_ONLY),
        _partial("ix_jobs_series_live", "series", "id", where=SERIES_LIVE_ONLY),
        _partial("ix_jobs_state_live", "state", "id", where=LIVE_ONLY),
        _partial("ix_jobs_state_unsuccessful", "state", "id", where=UNSUCCESSFUL_ONLY),
        _partial("ix_jobs_agent_unsuccessful", "agent", "state", "id", where=UNSUCCESSFUL_ONLY),
        _partial("ix_jobs_kind_unsuccessful", "kind", "state", "id", where=UNSUCCESSFUL_ONLY),
        Index(None, "agent", "id"),
        Index(None, "kind", "id"),
        UniqueConstraint("idempotency_key").ddl_if("sqlite"),  # without a rebuild it stays
        _partial("uq_jobs_key", "idempotency_key", where=KEYED_ONLY, unique=True).ddl_if(
            "postgresql"
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    kind: Mapped[str]
    node: Mapped[str]
    agent: Mapped[str | None]
    ask: Mapped[dict[str, Any]]
    state: Mapped[JobState] = mapped_column(_one_of(JobState), default=JobState.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0)
    restoring: Mapped[bool] = mapped_column(default=False)
    lock: Mapped[str]
    unique_key: Mapped[str | None]
    idempotency_key: Mapped[str | None]
    priority: Mapped[int] = mapped_column(default=0)
    run_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    worker: Mapped[str | None]
    cancel_requested_at: Mapped[datetime | None]
    tag_due: Mapped[str | None]  #: the verdict whose tag maintenance has yet to plant
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"))
    series: Mapped[str | None]
    at_once: Mapped[int | None]  #: how many of its children may run at a time
    superseded_by: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"))
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[str | None]
    seen: Mapped[dict[str, Any] | None]  #: what the operator approved: rev, base, closure
    error: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    requested_by: Mapped[str]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    queued_at: Mapped[datetime]
    #: Prune has been here: of this job only the row is left.
    pruned: Mapped[bool] = mapped_column(default=False, server_default=false())


class AgentRow(Base):
    __tablename__ = "agents"
    __table_args__ = (
        CheckConstraint(among("desired", Desired), name="desired"),
        _partial("uq_agents_port", "node", "port", where=PORT_TAKEN_ONLY, unique=True),
    )

    node: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    port: Mapped[int]
    desired: Mapped[Desired] = mapped_column(_one_of(Desired))
    settings: Mapped[dict[str, Any]]
    failed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class StepRow(Base):
    __tablename__ = "steps"
    __table_args__ = (CheckConstraint(among("state", StepState), name="state"),)

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    name: Mapped[str]
    state: Mapped[StepState] = mapped_column(_one_of(StepState))
    because: Mapped[str]
    seconds: Mapped[float] = mapped_column(Double)
    started_at: Mapped[datetime]


class LogLineRow(Base):
    __tablename__ = "log_lines"
    __table_args__ = (Index(None, "job_id", "seq"), {"sqlite_autoincrement": True})

    seq: Mapped[int] = mapped_column(BIG, Identity(), primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    step: Mapped[str]
    stream: Mapped[str]
    at: Mapped[datetime]
    text: Mapped[str]


class LogCutRow(Base):
    """What was cut out of the middle of a job's log."""

    __tablename__ = "log_cuts"

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    after_seq: Mapped[int] = mapped_column(BIG)  #: the last line before the cut
    until_seq: Mapped[int] = mapped_column(BIG)  #: the last one in it; the line there says so
    lines: Mapped[int] = mapped_column(BIG)
    bytes: Mapped[int] = mapped_column(BIG)


class EventRow(Base):
    __tablename__ = "events"
    __table_args__ = (
        Index(None, "job_id", "seq"),
        _partial("ix_events_agent", "node", "agent", "seq", where=OF_AGENT_ONLY),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(BIG, Identity(), primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str]
    job_id: Mapped[int | None]
    node: Mapped[str]
    agent: Mapped[str | None]
    data: Mapped[dict[str, Any]]


class WorkerRow(Base):
    __tablename__ = "workers"
    __table_args__ = (CheckConstraint(among("role", Role), name="role"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str]
    role: Mapped[Role] = mapped_column(_one_of(Role))
    pid: Mapped[int]
    started: Mapped[str]
    boot: Mapped[str]
    namespace: Mapped[str]
    version: Mapped[str]
    concurrency: Mapped[int]
    draining: Mapped[bool]
    since: Mapped[datetime]
    beat_at: Mapped[datetime]


class NodeRow(Base):
    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None]
    disk: Mapped[str | None]  #: how full its disks were found last


class ScheduleRow(Base):
    __tablename__ = "schedules"
    __table_args__ = (
        CheckConstraint(among("verb", Verb), name="verb"),
        CheckConstraint(among("catch_up", CatchUp), name="catch_up"),
    )

    name: Mapped[str] = mapped_column(primary_key=True)
    cron: Mapped[str]
    zone: Mapped[str]
    verb: Mapped[Verb] = mapped_column(_one_of(Verb))
    catch_up: Mapped[CatchUp] = mapped_column(_one_of(CatchUp))
    enabled: Mapped[bool]
    since: Mapped[datetime]  #: every fire up to here was seen to
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class ScheduleFireRow(Base):
    """Who writes the row is who fires."""

    __tablename__ = "schedule_fires"

    schedule: Mapped[str] = mapped_column(
        ForeignKey("schedules.name", ondelete="CASCADE"), primary_key=True
    )
    fire_at: Mapped[datetime] = mapped_column(primary_key=True)
    fired_at: Mapped[datetime]


class InboxRow(Base):
    """How many messages of a recipient were not acknowledged yet."""

    __tablename__ = "inboxes"
    __table_args__ = (CheckConstraint("open >= 0", name="open_not_negative"),)

    node: Mapped[str] = mapped_column(primary_key=True)
    recipient: Mapped[str] = mapped_column(primary_key=True)
    open: Mapped[int]


class MessageRow(Base):
    __tablename__ = "messages"
    __table_args__ = (
        _partial("ix_messages_due", "node", "recipient", "leased_until", "seq", where=OPEN_ONLY),
        _partial("ix_messages_open", "node", "recipient", "seq", where=OPEN_ONLY),
        _partial("ix_messages_acked", "node", "recipient", "seq", where=ACKED_ONLY),
        _partial("ix_messages_prunable", "acked_at", where=ACKED_ONLY),
        _partial("uq_messages_once", "node", "recipient", "once", where=ONCE_ONLY, unique=True),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(BIG, Identity(), primary_key=True)
    node: Mapped[str]  #: empty for the operator, who is the same everywhere
    recipient: Mapped[str]
    sender: Mapped[str]
    body: Mapped[str]
    topic: Mapped[str | None]  #: what kind of event it tells
    data: Mapped[dict[str, Any] | None]
    reply_to: Mapped[int | None] = mapped_column(BIG)
    once: Mapped[str | None]  #: what is told under this key is told once
    sent_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    deliveries: Mapped[int]
    reader: Mapped[str | None]
    leased_until: Mapped[datetime | None]
    acked_at: Mapped[datetime | None]


class NotifierRow(Base):
    __tablename__ = "notifiers"

    name: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str]  #: the host that calls
    kinds: Mapped[list[str]]
    command: Mapped[list[str] | None]
    url: Mapped[str | None]
    url_file: Mapped[str | None]  #: holds the URL, where that is a secret
    enabled: Mapped[bool]
    after_seq: Mapped[int] = mapped_column(BIG)  #: events up to here were seen to
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class CrashRow(Base):
    __tablename__ = "crashes"
    __table_args__ = (
        Index("uq_crashes_invocation", "node", "agent", "invocation", unique=True),
        Index(None, "node", "at"),
        Index(None, "at"),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(BIG, Identity(), primary_key=True)
    node: Mapped[str]
    agent: Mapped[str]
    invocation: Mapped[str]  #: systemd's own name of that run of the unit
    at: Mapped[datetime]
    result: Mapped[str]
    exit: Mapped[str]
    said: Mapped[str]  #: the last lines of its journal


class TokenRow(Base):
    __tablename__ = "tokens"
    __table_args__ = (
        CheckConstraint(among("role", Standing), name="role"), {"sqlite_autoincrement": True},
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    role: Mapped[Standing] = mapped_column(_one_of(Standing))
    agent: Mapped[str | None]
    digest: Mapped[str]  #: the secret's; the secret itself is nowhere
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AnswerRow(Base):
    """What was answered to a request under a key, to be said again."""

    __tablename__ = "answers"
    __table_args__ = (Index(None, "at"),)

    key: Mapped[str] = mapped_column(primary_key=True)  #: a hash of who asked, and their own key
    request: Mapped[str]  #: a hash of what was asked
    status: Mapped[int]
    body: Mapped[str]
    at: Mapped[datetime]
