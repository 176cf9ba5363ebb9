"""Who is told of a job's moves, and in what words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hive.domain.job import (
    CANCEL,
    DENY,
    END_CANCELLED,
    ENDED,
    FAIL,
    FINISH,
    LOSE,
    MOVES,
    ORPHAN,
    PARK,
    SUPERSEDE,
    WITHDRAW,
    Job,
    JobId,
    JobState,
    Move,
    Trouble,
)
from hive.domain.message import HIVE, OPERATOR
from hive.domain.names import MANAGER, AgentName, NodeName
from hive.domain.notice import FAILED, LONGEST, TOPICS, WANTED, notices

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REV = "a" * 40
NO = Trouble("not-ready", "nobody\n  answers")
KINDS = (*TOPICS, "start", "restart", "limit", "update-base", "adopt", "reconcile")


def a_job(move: Move = FINISH, **overrides: Any) -> Job:  # noqa: ANN401 - any field
    """As it is right after the move."""
    job = Job(
        id=JobId(7), kind="apply", node=NodeName("here"), agent=AgentName("alice"),
        ask={"rev": REV}, state=move.end, attempt=1, failures=0, losses=0, restoring=False,
        lock="agent:here/alice", series=None, priority=0, worker=None, cancel_requested_at=None,
        parent_id=None, superseded_by=None, approved_at=None, approved_by=None, seen=None,
        requested_by="uid:0", created_at=NOW,
        started_at=NOW, finished_at=None, run_at=None, error=None, result=None,
    )  # fmt: skip
    return replace(job, **overrides)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "move",
    [move for move in MOVES if move.end not in ENDED and move is not PARK],
    ids=lambda move: move.name,
)
def test_of_a_job_that_goes_on_nobody_is_told(kind: str, move: Move) -> None:
    assert notices(a_job(move, kind=kind, parent_id=JobId(1), error=NO), move) == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "move", [move for move in MOVES if move.end in ENDED], ids=lambda move: move.name
)
def test_the_manager_is_told_each_end_of_what_it_knows(kind: str, move: Move) -> None:
    told = notices(a_job(move, kind=kind, error=NO, superseded_by=JobId(9)), move)
    assert [one.topic for one in told] == ([TOPICS[kind]] if kind in TOPICS else [])
    for one in told:
        assert (one.recipient, one.node, one.sender) == (MANAGER, "here", HIVE)
        assert one.body.startswith(f"{kind} 7 of alice ")
        assert "\n" not in one.body
        assert (one.data or {})["state"] == move.end


@pytest.mark.parametrize(
    ("move", "more", "data", "body"),
    [
        (FINISH, {}, {"state": "succeeded", "tag": "deployed/7"}, "succeeded"),
        (
            DENY, {"error": Trouble("denied", "not on a Friday")},
            {"state": "denied", "note": "not on a Friday", "tag": "denied/7"},
            "was denied: not on a Friday",
        ),
        (
            WITHDRAW, {"error": Trouble("withdrawn", "it was")},
            {"state": "cancelled", "note": "it was", "tag": "failed/7"}, "was cancelled: it was",
        ),
        (
            SUPERSEDE, {"superseded_by": JobId(9)},
            {"state": "superseded", "note": "job 9 took its place", "tag": "failed/7"},
            "was superseded: job 9 took its place",
        ),
        (
            FAIL, {"error": NO},
            {"state": "failed", "note": "nobody answers", "tag": "failed/7"},
            "failed: nobody answers",
        ),
        (CANCEL, {"attempt": 0}, {"state": "cancelled"}, "was cancelled"),
    ],
)  # fmt: skip
def test_an_approval_is_resolved_in_one_of_these_ways(
    move: Move, more: dict[str, Any], data: dict[str, Any], body: str
) -> None:
    (told,) = notices(a_job(move, **more), move)
    assert told.data == {"job": 7, "agent": "alice", "sha": REV, **data}
    assert told.body == f"apply 7 of alice {body}"


@pytest.mark.parametrize("kind", ["spawn", "rebuild", "stop", "destroy", "purge"])
@pytest.mark.parametrize("move", [FINISH, FAIL, LOSE, END_CANCELLED], ids=lambda move: move.name)
def test_both_outcomes_are_told(kind: str, move: Move) -> None:
    is_well = move is FINISH
    made = {"rev": REV, "tag": "deployed/7"}
    more: dict[str, Any] = {"result": made} if is_well else {"error": NO}
    (told,) = notices(a_job(move, kind=kind, ask={}, **more), move)
    about = {"job": 7, "agent": "alice", "ok": is_well, "state": move.end}
    outcome = {"sha": REV, "tag": "deployed/7"} if is_well else {"note": "nobody answers"}
    assert told.data == about | outcome


def test_the_operator_is_told_what_waits_and_where_to_look() -> None:
    ask = {"rev": REV, "message": "a greeting"}
    (told,) = notices(a_job(PARK, ask=ask), PARK)
    assert (told.recipient, told.node, told.topic) == (OPERATOR, None, WANTED)
    assert told.body == (
        "apply 7 of alice waits for an operator: a greeting"
        " (look: hive diff 7; then hive approve or hive deny 7)"
    )
    assert told.data == {
        "job": 7, "kind": "apply", "node": "here", "agent": "alice", "sha": REV,
        "note": "a greeting",
    }  # fmt: skip
    (told,) = notices(a_job(PARK, kind="spawn", ask={"gate": True}), PARK)
    assert "hive job show 7" in told.body


@pytest.mark.parametrize(
    ("more", "is_told"),
    [
        ({}, False),
        ({"requested_by": "schedule:update-base"}, True),
        ({"requested_by": "sweep"}, True),
        ({"requested_by": "sweep:crash"}, True),
        ({"parent_id": JobId(3)}, True),
        ({"parent_id": JobId(3), "error": Trouble("destroyed", "agent destroyed")}, False),
    ],
)
def test_the_operator_is_told_of_a_failure_that_nobody_watches(
    more: dict[str, Any], is_told: bool
) -> None:
    for kind in KINDS:
        for move in (FAIL, LOSE, ORPHAN):
            told = notices(a_job(move, **{"kind": kind, "error": NO, **more}), move)
            assert (FAILED in [one.topic for one in told]) is is_told
    told = notices(a_job(FINISH, **more), FINISH)
    assert [one.recipient for one in told] == [MANAGER]


def test_a_failure_of_a_whole_node_names_no_agent() -> None:
    job = a_job(FAIL, kind="update-base", agent=None, error=NO, requested_by="schedule:x")
    (told,) = notices(job, FAIL)
    assert told.body == "update-base 7 failed: nobody answers (more: hive logs 7)"
    assert told.data == {
        "job": 7, "kind": "update-base", "node": "here", "code": "not-ready",
        "note": "nobody answers",
    }  # fmt: skip


def test_a_long_note_keeps_its_end() -> None:
    error = Trouble("build-failed", "word " * 1000 + "the end")
    (told,) = notices(a_job(FAIL, error=error), FAIL)
    assert len(told.body) < LONGEST + 100
    assert told.body.endswith("the end")


def test_every_end_has_its_words() -> None:
    for state in ENDED:
        move = next(move for move in MOVES if move.end is state)
        (told,) = notices(a_job(move, state=JobState(state)), move)
        assert told.body
