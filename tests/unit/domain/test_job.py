"""A job's states and moves, as data: nothing is stuck, and nothing that ended moves by itself."""

from __future__ import annotations

import pytest

from hive.domain.job import CANCEL, CLAIM, ENDED, LIVE, MOVES, RETRY, JobState, Move

IDS = [move.name for move in MOVES]


def reachable(start: JobState) -> set[JobState]:
    """All states that some moves lead to from `start`, itself included."""
    seen, new = {start}, {start}
    while new:
        new = {move.end for move in MOVES if move.start & new} - seen
        seen |= new
    return seen


@pytest.mark.parametrize("move", MOVES, ids=IDS)
def test_only_a_retry_leaves_a_state_in_which_a_job_has_ended(move: Move) -> None:
    assert move is RETRY or move.start <= LIVE


def test_a_retry_is_for_what_failed_or_was_cancelled() -> None:
    assert RETRY.start == {JobState.FAILED, JobState.CANCELLED}
    assert RETRY.end is JobState.QUEUED


def test_every_state_can_be_reached_from_the_first() -> None:
    assert reachable(JobState.QUEUED) == set(JobState)


@pytest.mark.parametrize("state", sorted(LIVE))
def test_every_live_state_can_be_left_towards_each_kind_of_end(state: JobState) -> None:
    assert any(state in move.start and move.end is not state for move in MOVES)
    assert reachable(state) >= ENDED


def test_a_job_is_live_or_ended() -> None:
    assert set(JobState) == LIVE | ENDED
    assert not LIVE & ENDED


def test_a_move_is_named_once_and_says_why() -> None:
    assert len(set(IDS)) == len(MOVES)
    assert all(move.because and move.start for move in MOVES)


def test_only_a_claim_or_a_worker_leads_to_running() -> None:
    into = {move.name for move in MOVES if move.end is JobState.RUNNING}
    assert into == {"claim", "restore"}
    assert CLAIM.start == {JobState.QUEUED}


def test_an_operator_cancels_only_what_no_worker_runs() -> None:
    assert JobState.RUNNING not in CANCEL.start


def test_nothing_runs_past_a_gate_without_being_queued_again() -> None:
    out_of_waiting = {move.end for move in MOVES if JobState.WAITING in move.start}
    assert JobState.RUNNING not in out_of_waiting
    assert JobState.SUCCEEDED not in out_of_waiting
