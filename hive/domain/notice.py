"""Notices: who is told of a job's moves. The manager how it ended, the operator what needs one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from hive.domain.job import ENDED, PARK, Job, JobState, Move
from hive.domain.message import HIVE, OPERATOR, NewMessage
from hive.domain.names import MANAGER

TOPICS: Final = {
    "apply": "approval_resolved",
    "rollback": "approval_resolved",
    "spawn": "spawned",
    "rebuild": "rebuilt",
    "stop": "stopped",
    "destroy": "destroyed",
    "purge": "destroyed",
}
"""What the manager is told of the end of a job, by its kind; of others it is told nothing."""


class OwnNews(StrEnum):
    """What the manager is told of an agent on its own word."""

    NEEDS_LOGIN = "needs_login"  #: somebody must log it in
    LOGGED_IN = "logged_in"
    CONFIG_READY = "config_ready"  #: what it is to be is written in its proposed repo


WANTED: Final = "approval_wanted"
FAILED: Final = "job_failed"
LONGEST: Final = 1000  #: characters of a note

_GONE: Final = ("destroyed", "agent-destroyed")
_BY_ITSELF: Final = ("schedule:", "sweep")
_ENDS: Final = {
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "was cancelled",
    JobState.DENIED: "was denied",
    JobState.SUPERSEDED: "was superseded",
}
_TAGS: Final = {JobState.SUCCEEDED: "deployed", JobState.DENIED: "denied"}


def notices(job: Job, move: Move, before: Job | None = None) -> tuple[NewMessage, ...]:
    """What is told of a job that was just moved: nothing, unless it ended or waits now.

    `before`: the one that did the same for the whole node, and ended last. What the clock asks for
    every few minutes fails every few minutes: that is told once, until it changes.
    """
    if move is PARK:
        return (_wanted(job),)
    if move.end not in ENDED:
        return ()
    ended = (_ended(job),) if job.kind in TOPICS else ()
    is_news = _is_unwatched_failure(job) and not _is_as_before(job, before)
    return (*ended, _failed(job)) if is_news else ended


def is_success_told(kind: str) -> bool:
    """Whether there are `notices` of a job of this kind that has succeeded."""
    return kind in TOPICS


def _wanted(job: Job) -> NewMessage:
    note = _line(job.ask.get("message"))
    sha = job.ask.get("rev")
    said = f"{_named(job)} waits for an operator{_behind(note)}"
    look = "hive diff" if sha else "hive job show"
    body = f"{said} (look: {look} {job.id}; then hive approve or hive deny {job.id})"
    return _to_operator(job, WANTED, body, {"sha": sha, "note": note})


def _ended(job: Job) -> NewMessage:
    note = _note(job)
    if TOPICS[job.kind] == "approval_resolved":
        outcome = {"sha": job.ask.get("rev"), "state": job.state.value}
        tag = f"{_TAGS.get(job.state, 'failed')}/{job.id}" if job.attempt else None
    else:
        outcome = {"ok": job.state is JobState.SUCCEEDED, "state": job.state.value}
        made = job.result or {}
        outcome["sha"], tag = made.get("rev"), made.get("tag")
    return NewMessage(
        recipient=MANAGER,
        sender=HIVE,
        body=f"{_named(job)} {_ENDS[job.state]}{_behind(note)}",
        node=job.node,
        topic=TOPICS[job.kind],
        data=_given({"job": job.id, "agent": job.agent, **outcome, "note": note, "tag": tag}),
    )


def _failed(job: Job) -> NewMessage:
    note = _note(job)
    code = job.error.code if job.error else None
    body = f"{_named(job)} failed{_behind(note)} (more: hive logs {job.id})"
    return _to_operator(job, FAILED, body, {"code": code, "note": note})


def _is_unwatched_failure(job: Job) -> bool:
    """Nobody follows it; and that its agent was destroyed is no trouble."""
    is_unwatched = job.parent_id is not None or job.requested_by.startswith(_BY_ITSELF)
    is_wanted = not (job.error and job.error.code in _GONE)
    return job.state is JobState.FAILED and is_unwatched and is_wanted


def _is_as_before(job: Job, before: Job | None) -> bool:
    return before is not None and (before.state, before.error) == (job.state, job.error)


def _to_operator(job: Job, topic: str, body: str, more: Mapping[str, Any]) -> NewMessage:
    about = {"job": job.id, "kind": job.kind, "node": job.node, "agent": job.agent}
    return NewMessage(OPERATOR, HIVE, body, topic=topic, data=_given({**about, **more}))


def _named(job: Job) -> str:
    of = f" of {job.agent}" if job.agent else ""
    return f"{job.kind} {job.id}{of}"


def _note(job: Job) -> str | None:
    if job.state is JobState.SUPERSEDED:
        return f"job {job.superseded_by} took its place"
    return _line(job.error.message) if job.error else None


def _behind(note: str | None) -> str:
    return f": {note}" if note else ""


def _line(text: str | None) -> str | None:
    """One line, not too long; the end of it, where programs say what went wrong."""
    line = " ".join((text or "").split())
    return (line if len(line) <= LONGEST else f"…{line[-LONGEST:]}") or None


def _given(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None}
