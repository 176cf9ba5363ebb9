"""One attempt after the other: retries, cancels, drains, gates, and what goes before what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Lock, Timer
from typing import Any

import pytest

from hive.adapters.clock import SystemClock
from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.world import World
from hive.domain.job import GIVE_BACK, URGENT, Job, JobState, StepState
from hive.domain.names import AgentName
from hive.domain.retry import FIRST
from hive.domain.worker import Role
from hive.errors import Fault, HiveError, Reason, Refused, Transient
from hive.queue import run
from hive.queue.claim import claim, locked
from hive.queue.drive import drive, find
from hive.queue.ending import JITTER
from hive.queue.execute import execute
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.queue.submit import cancel
from hive.service import agents as agents_service
from hive.steps.leftovers import clear_leftovers
from hive.store import claims, jobs, moves, turns
from tests import drill
from tests.contract.queue_samples import Bench, Starts, a_bench, raising, until
from tests.contract.store_samples import at_once
from tests.databases import migrated
from tests.pretend import ALICE, a_pretend_host

QUEUED, RUNNING, WAITING = JobState.QUEUED, JobState.RUNNING, JobState.WAITING
SUCCEEDED, FAILED, CANCELLED = JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED
NET = Transient("the net is down", code="network", hint="wait")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def stored(tmp_path: Path, database_url: str) -> Iterator[Bench]:
    """On SQLite, and on PostgreSQL."""
    with a_bench(tmp_path, HIVE_DATABASE_URL=database_url) as bench:
        yield bench


# Retries


def test_passing_trouble_queues_the_job_again_after_waits_that_double(stored: Bench) -> None:
    bench, job = stored, stored.submit()
    bench.does(before=raising(NET))
    wait = FIRST
    for failures in (1, 2, 3, 4):
        bench.attempt()
        found = bench.job(job)
        assert (found.state, found.failures, found.losses) == (QUEUED, failures, 0)
        assert found.error is not None
        assert (found.error.code, found.error.hint) == ("network", "wait")
        assert found.run_at is not None
        assert wait <= found.run_at - bench.clock.now() <= wait * (1 + JITTER)
        assert bench.work_off() == 0, "it is not due"
        bench.clock.advance(wait * (1 + JITTER))
        wait *= 2
    bench.does()
    bench.attempt()
    ended = bench.job(job)
    assert (ended.state, ended.attempt, ended.error) == (SUCCEEDED, 5, None)


def test_a_wait_that_is_due_later_lets_others_of_its_lock_go_first(bench: Bench) -> None:
    first = bench.submit()
    bench.does(before=raising(NET))
    bench.attempt()
    bench.does()
    second = bench.submit()
    assert bench.work_off() == 1
    assert (bench.job(first).state, bench.job(second).state) == (QUEUED, SUCCEEDED)


def test_after_so_many_failures_the_job_has_failed(tmp_path: Path) -> None:
    with a_bench(tmp_path, HIVE_FAILURE_LIMIT="2") as bench:
        job = bench.submit()
        bench.does(before=raising(NET))
        bench.attempt()
        bench.clock.advance(timedelta(hours=1))
        bench.attempt()
        ended = bench.job(job)
        assert (ended.state, ended.attempt) == (FAILED, 2)
        assert ended.error is not None
        assert ended.error.code == "network"
        assert bench.events(job) == ["submit", "claim", "again", "claim", "restore", "fail"]


@pytest.mark.parametrize(
    "error", [Refused("no", code="no"), Fault("oh", code="oh"), ZeroDivisionError("by nothing")]
)
def test_what_is_refused_or_a_fault_is_never_tried_again(bench: Bench, error: Exception) -> None:
    job = bench.submit()
    bench.does(before=raising(error))
    bench.attempt()
    ended = bench.job(job)
    assert (ended.state, ended.failures) == (FAILED, 0)


def test_behind_the_switch_nothing_is_tried_again(bench: Bench) -> None:
    job = bench.submit()
    bench.does(behind=raising(NET))
    bench.attempt()
    ended = bench.job(job)
    assert (ended.state, ended.failures) == (FAILED, 0)
    assert ended.error is not None
    assert ended.error.code == "network"
    assert "back" in bench.made()


def test_a_recorded_job_that_fails_behind_the_switch_has_failed_and_restores_nothing(
    bench: Bench,
) -> None:
    job = bench.submit()
    bench.does({"recorded": True}, behind=raising(NET))
    bench.attempt()
    assert bench.job(job).state is FAILED
    assert "back" not in bench.made()


@pytest.mark.parametrize("error", [NET, Refused("no", code="no")])
def test_a_failure_after_a_cancel_is_not_tried_again(bench: Bench, error: HiveError) -> None:
    """Its worker has not heard of the cancel when it fails."""
    job = bench.submit()

    def cancelled() -> None:
        bench.cancel(job)
        raise error

    bench.does(before=cancelled)
    bench.attempt()
    left = bench.job(job)
    assert (left.state, left.failures) == ((QUEUED, 0) if error is NET else (FAILED, 0))
    if error is NET:
        bench.does(before=raising(AssertionError("it went forward")))
        bench.attempt()
        assert bench.job(job).state is CANCELLED


def test_a_cancelled_job_that_is_recorded_is_not_tried_for_ever(bench: Bench) -> None:
    """It goes forward only; what fails there fails it, and is not given back without a wait."""
    job = bench.submit()
    bench.does(behind=bench.drain)
    bench.attempt()
    bench.cancel(job)
    bench.does({"recorded": True}, **{"before?": raising(NET)})
    for _ in range(3):
        if bench.job(job).state is QUEUED:
            bench.attempt()
    ended = bench.job(job)
    assert (ended.state, ended.attempt) == (FAILED, 2)
    assert ended.error is not None
    assert ended.error.code == "network"


# Cancels


def test_cancelled_before_it_ever_ran_a_job_is_over_at_once(bench: Bench) -> None:
    job = bench.submit()
    assert bench.cancel(job).state is CANCELLED
    assert bench.work_off() == 0
    assert bench.made() == []


@pytest.mark.parametrize("moment", ["before", "before?"])
def test_cancelled_before_the_switch_it_restores_nothing(bench: Bench, moment: str) -> None:
    job = bench.submit()
    bench.does(**{moment: bench.cancel_seen})
    bench.attempt()
    ended = bench.job(job)
    assert ended.error is not None
    assert (ended.state, ended.error.code, ended.restoring) == (CANCELLED, "cancelled", False)
    assert set(bench.made()) <= {"before"}
    assert ended.finished_at is not None


@pytest.mark.parametrize("moment", ["behind", "behind?", "result"])
def test_cancelled_behind_the_switch_it_restores_and_is_cancelled(
    bench: Bench, moment: str
) -> None:
    job = bench.submit()

    def cancelled() -> None:
        if "back" not in bench.made() and bench.job(job).cancel_requested_at is None:
            bench.cancel_seen()
        bench.running().halt.check()

    bench.does(**{moment: cancelled})
    bench.attempt()
    ended = bench.job(job)
    assert ended.state is CANCELLED
    assert ended.error is not None
    assert ended.error.code == "cancelled"
    assert "back" in bench.made()
    assert bench.events(job) == ["submit", "claim", "cancel-requested", "restore", "end-cancelled"]


def test_a_cancel_in_the_way_back_is_late_and_leaves_the_first_error(bench: Bench) -> None:
    job = bench.submit()

    def cancelled() -> None:
        bench.cancel_seen()
        bench.running().halt.check()

    bench.does(behind=raising(NET), back=cancelled)
    bench.attempt()
    ended = bench.job(job)
    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error.code == "network"
    assert "back" in bench.made()


def test_a_cancel_that_comes_just_as_the_way_back_begins_halts_nothing_there(bench: Bench) -> None:
    job = bench.submit()
    attempt = []

    def fail() -> None:
        attempt.append(bench.running())
        raise NET

    def back() -> None:
        assert bench.running().halt.reason is None

    bench.does(behind=fail, back=back)
    bench.attempt()
    assert bench.job(job).state is FAILED
    attempt[0].told(None)  # what is over is told what it may; nothing comes of it
    assert bench.job(job).state is FAILED


def test_a_cancel_of_what_is_recorded_is_late_and_it_succeeds(bench: Bench) -> None:
    job = bench.submit()

    def cancelled() -> None:
        if bench.job(job).cancel_requested_at is None:
            bench.cancel_seen()
            bench.running().halt.check()

    bench.does({"recorded": True}, behind=cancelled)
    bench.attempt()
    ended = bench.job(job)
    assert (ended.state, ended.result) == (SUCCEEDED, {"attempt": 1})
    assert "back" not in bench.made()


def test_a_cancel_that_comes_when_all_holds_is_late(bench: Bench) -> None:
    job = bench.submit()
    bench.does(result=bench.cancel_seen)
    bench.attempt()
    assert bench.job(job).state is SUCCEEDED


@pytest.mark.parametrize("switched", [False, True])
def test_a_queued_job_that_had_run_is_cancelled_through_a_worker(
    stored: Bench, switched: bool
) -> None:
    bench, job = stored, stored.submit()
    bench.does(**{"behind" if switched else "before": bench.drain})
    bench.attempt()
    asked = bench.cancel(job)
    assert (asked.state, asked.cancel_requested_at is None) == (QUEUED, False)
    bench.does(before=raising(AssertionError("it went forward")))
    bench.attempt()
    ended = bench.job(job)
    assert (ended.state, ended.attempt) == (CANCELLED, 2)
    assert "back" in bench.made()  # an attempt before this one may have switched


def test_a_job_that_waits_for_its_next_try_is_due_as_soon_as_it_is_cancelled(bench: Bench) -> None:
    job = bench.submit()
    bench.does(before=raising(NET))
    bench.attempt()
    bench.cancel(job)
    bench.does()
    bench.attempt()
    assert bench.job(job).state is CANCELLED


def test_a_cancel_between_park_and_row_is_not_lost(bench: Bench) -> None:
    """Asked after the gate was looked at, and before the row says that it waits."""
    job = bench.submit()
    bench.does({"gated": True}, **{"before?": lambda: bench.cancel(job)})
    bench.attempt()
    left = bench.job(job)
    assert (left.state, left.cancel_requested_at is None) == (QUEUED, False)
    bench.does({"gated": True})
    bench.attempt()
    assert bench.job(job).state is CANCELLED


def test_a_job_that_waits_at_its_gate_is_cancelled_at_once(bench: Bench) -> None:
    job = bench.submit()
    bench.does({"gated": True})
    bench.attempt()
    assert bench.cancel(job).state is CANCELLED


def test_a_way_back_that_fails_after_a_cancel_says_both(bench: Bench) -> None:
    job = bench.submit()

    def cancelled() -> None:
        bench.cancel_seen()
        bench.running().halt.check()

    bench.does(behind=cancelled, back=raising(Transient("stuck", code="stuck")))
    bench.attempt()
    ended = bench.job(job)
    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error.code == "not-restored"
    assert "an operator cancelled it" in ended.error.message


# Cancels, at programs


def drilled(tmp_path: Path, **settings: str) -> Any:  # noqa: ANN401 - a context of two
    return drill.opened(
        {
            "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "HIVE_BACKEND": "sim",
            "HIVE_STATE_DIR": str(tmp_path / "state"), "HIVE_NODE": "here", **settings,
        }
    )  # fmt: skip


def run_once(host: Host, heart: Heart, lock: str) -> None:
    with locked(host, lock) as locks:
        assert locks is not None
        job = claim(host, heart, lock)
        assert job is not None
        execute(host, heart, job, locks)


@pytest.mark.parametrize(
    ("at", "is_early"),
    [("before", True), ("before", False), ("behind", True), ("behind", False), ("back", False)],
)
def test_cancelled_at_a_program_it_ends_the_program_and_restores_what_it_must(
    tmp_path: Path, at: str, is_early: bool
) -> None:
    """Right before the program starts, or while it runs."""
    with drilled(tmp_path) as (host, _), Heart(host, Role.COMMAND) as heart:
        folder, ask = drill.folder_of(host.layout.state), {"switch": True}
        late = {"back": 0.5, "fails_behind": 1} if at == "back" else {"seconds": 0.5}
        job = drill.a_drill(host, "alice", **ask, **({} if is_early else late))

        def act() -> None:
            cancel(host, job.id)
            heart.wake()

        def hear(number: int, line: str, halt: Halt) -> None:
            if not (line.startswith("sh ") and f" {at} " in line.splitlines()[-1]):
                return
            if is_early:
                act()
                until(lambda: halt.reason is Reason.CANCELLED)
            else:
                Timer(0.05, act).start()

        run_once(Starts(hear).on(host), heart, job.lock)
        ended = find(host, job.id)
        record = drill.Tally.of(folder)
        assert (record.overlaps, record.doubled) == (0, 0)
        assert not (folder / "switched-alice").exists()
        assert ended.state is (FAILED if at == "back" else CANCELLED)
        assert (folder / f"done-{job.id}-back").exists() is (at != "before")
        assert not (folder / f"done-{job.id}-{at}").exists() or at == "back"


def test_cancelled_at_any_of_its_programs_a_spawn_is_cancelled_or_recorded(tmp_path: Path) -> None:
    """And the next spawn is as good as the first."""
    count = Starts(lambda *_: None)
    with a_pretend_host(tmp_path / "quiet") as pretend:
        migrated(pretend.host.database)
        job = agents_service.spawn(pretend.host, ALICE, requested_by="test").job
        assert drive(count.on(pretend.host), job.id).state is SUCCEEDED
    ends = [_cancelled_at(number, tmp_path) for number in range(2, count.count + 1, 9)]
    assert set(ends) <= {SUCCEEDED, CANCELLED}
    assert CANCELLED in ends


def _cancelled_at(point: int, folder: Path) -> JobState:
    with a_pretend_host(folder / str(point)) as pretend:
        migrated(pretend.host.database)
        host = pretend.host
        job = agents_service.spawn(host, ALICE, requested_by="test").job
        with Heart(host, Role.COMMAND) as heart:

            def hear(number: int, line: str, halt: Halt) -> None:
                if number == point:
                    cancel(host, job.id)
                    heart.wake()
                    until(lambda: halt.reason is Reason.CANCELLED)

            run_once(Starts(hear).on(host), heart, job.lock)
        ended = find(host, job.id)
        if ended.state is CANCELLED:
            unit = pretend.world().systemd.unit(ALICE.container)
            assert not (unit.is_active or unit.is_moving)
        again = agents_service.spawn(host, ALICE, requested_by="test").job
        assert drive(host, again.id).state is SUCCEEDED
        return ended.state


# Outranked


def test_a_build_makes_way_for_what_is_urgent_and_goes_on_after_it(stored: Bench) -> None:
    bench, job = stored, stored.submit()
    urgent: list[Job] = []

    def outranked() -> None:
        if not urgent:
            urgent.append(bench.submit(priority=URGENT))
            bench.seen()
            bench.running().halt.check()

    bench.does(before=outranked)
    following = bench.attempt(chain=True)
    assert following is not None
    assert following.id == urgent[0].id
    left = bench.job(job)
    assert (left.state, left.failures, left.losses) == (QUEUED, 0, 0)


def test_work_off_runs_the_urgent_one_first_and_then_the_build(bench: Bench) -> None:
    job = bench.submit()
    urgent: list[Job] = []

    def outranked() -> None:
        if not urgent:
            urgent.append(bench.submit(priority=URGENT))
            bench.seen()
            bench.running().halt.check()

    bench.does(before=outranked)
    assert bench.work_off() == 3
    ended, first = bench.job(job), bench.job(urgent[0])
    assert (ended.state, ended.attempt, first.state) == (SUCCEEDED, 2, SUCCEEDED)
    assert ended.finished_at is not None
    assert bench.events(job) == ["submit", "claim", "give-back", "claim", "finish"]


@pytest.mark.parametrize("moment", ["behind", "behind?", "result", "back"])
def test_from_what_is_firm_on_it_makes_way_for_nobody(bench: Bench, moment: str) -> None:
    job = bench.submit()

    def outranked() -> None:
        bench.submit(priority=URGENT)
        bench.seen()
        assert bench.running().halt.reason is None

    fails = {"behind": raising(NET)} if moment == "back" else {}
    bench.does(**fails, **{moment: outranked})
    bench.attempt()
    ended = bench.job(job)
    assert (ended.state, ended.attempt) == (FAILED if fails else SUCCEEDED, 1)


def test_what_is_urgent_but_not_due_or_of_another_lock_is_not_made_way_for(bench: Bench) -> None:
    job = bench.submit()

    def others() -> None:
        bench.submit(priority=URGENT, run_at=bench.clock.now() + timedelta(hours=1))
        bench.submit("bob", priority=URGENT)
        bench.seen()

    bench.does(before=others)
    bench.attempt()
    assert (bench.job(job).state, bench.job(job).attempt) == (SUCCEEDED, 1)


def test_a_cancel_outweighs_the_urge_to_make_way(bench: Bench) -> None:
    job = bench.submit()

    def both() -> None:
        bench.submit(priority=URGENT)
        bench.cancel_seen()

    bench.does(before=both)
    bench.attempt()
    assert bench.job(job).state is CANCELLED


# Drained


@pytest.mark.parametrize("moment", ["before", "before?", "behind", "result"])
def test_drained_a_job_is_given_back_and_has_neither_failed_nor_been_lost(
    stored: Bench, moment: str
) -> None:
    bench, job = stored, stored.submit()
    bench.does(**{moment: bench.drain})
    bench.attempt()
    left = bench.job(job)
    assert (left.state, left.failures, left.losses) == (QUEUED, 0, 0)
    assert (left.error, left.restoring, left.worker) == (None, False, None)
    bench.does()
    bench.attempt()
    assert bench.job(job).state is SUCCEEDED
    assert "back" not in bench.made()


def test_drained_in_a_restore_it_goes_on_restoring_next_time(stored: Bench) -> None:
    bench, job = stored, stored.submit()
    bench.does(behind=raising(NET), back=bench.drain)
    bench.attempt()
    left = bench.job(job)
    assert (left.state, left.restoring, left.losses) == (QUEUED, True, 0)
    bench.does(behind=raising(AssertionError("it went forward")))
    bench.attempt()
    ended = bench.job(job)
    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error.code == "network"
    assert "back" in bench.made()


def test_drained_in_the_restore_of_a_cancel_it_is_cancelled_next_time(bench: Bench) -> None:
    job = bench.submit()

    def cancelled() -> None:
        bench.cancel_seen()
        bench.running().halt.check()

    bench.does(behind=cancelled, back=bench.drain)
    bench.attempt()
    assert (bench.job(job).state, bench.job(job).restoring) == (QUEUED, True)
    bench.does()
    bench.attempt()
    assert bench.job(job).state is CANCELLED


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_drain_that_comes_just_before_the_way_back_is_not_forgotten(
    bench: Bench, is_cancelled: bool
) -> None:
    """Behind a cancel it is the second reason, and before a restore the halt is cleared."""
    job = bench.submit()

    def drained_too() -> None:
        attempt = bench.running()
        if is_cancelled:
            bench.cancel_seen()
        attempt.stop(Reason.DRAINED)
        if is_cancelled:
            attempt.halt.check()
        raise NET

    bench.does(behind=drained_too)
    bench.attempt()
    left = bench.job(job)
    assert left.state is QUEUED
    assert "back" not in bench.made()
    bench.does(behind=raising(NET))
    bench.attempt()
    assert bench.job(job).state is (CANCELLED if is_cancelled else FAILED)
    assert "back" in bench.made()


def test_a_worker_that_drains_does_not_take_its_own_job_again(bench: Bench) -> None:
    """It asked for the next one when it began, and there was time to change its mind."""
    job = bench.submit()
    goes_on = [True]

    def drained() -> None:
        goes_on[0] = False
        bench.drain()

    bench.does(before=drained)
    assert bench.work_off(goes_on=lambda: goes_on[0]) == 1
    assert (bench.job(job).state, bench.job(job).attempt) == (QUEUED, 1)
    assert bench.bell.jobs[-1] == job.id, "another worker may take it"


def test_a_worker_that_drains_takes_nothing_at_all(bench: Bench) -> None:
    job = bench.submit()
    assert bench.work_off(goes_on=lambda: False) == 0
    assert bench.job(job).attempt == 0


@pytest.mark.parametrize("how", ["drained", "interrupted", "cancelled"])
def test_the_steps_so_far_are_written_down_however_it_is_halted(bench: Bench, how: str) -> None:
    job = bench.submit()

    def halted() -> None:
        if how == "drained":
            bench.drain()
        if how == "interrupted":
            raise KeyboardInterrupt
        bench.cancel_seen()
        bench.running().halt.check()

    bench.does(behind=halted, back=bool)
    try:
        bench.attempt()
    except KeyboardInterrupt:
        assert how == "interrupted"
    noted = bench.steps(job)
    assert noted[:3] == [StepState.APPLIED, StepState.HELD, StepState.APPLIED]
    assert noted[3] is StepState.APPLYING


# The gate


def test_at_a_gate_that_does_not_hold_the_job_gives_back_lock_lease_and_worker(
    stored: Bench,
) -> None:
    bench, job = stored, stored.submit()
    bench.does({"gated": True}, behind=raising(AssertionError("it went through")))
    bench.attempt()
    parked = bench.job(job)
    assert (parked.state, parked.worker, parked.failures, parked.losses) == (WAITING, None, 0, 0)
    assert bench.lease(job) is None
    assert bench.steps(job) == [StepState.APPLIED]
    with locked(bench.host, job.lock) as locks:
        assert locks is not None
    bench.does()
    other = bench.submit()
    bench.attempt()
    assert bench.job(other).state is SUCCEEDED, "the lock is free for others meanwhile"


def test_approved_it_goes_on_and_passes_over_what_holds(stored: Bench) -> None:
    bench, job = stored, stored.submit()
    bench.does({"gated": True})
    bench.attempt()
    assert bench.approve(job).state is QUEUED
    bench.does({"gated": True}, before=raising(AssertionError("it was there already")))
    bench.attempt()
    ended = bench.job(job)
    assert (ended.state, ended.attempt) == (SUCCEEDED, 2)
    assert bench.steps(job)[:2] == [StepState.HELD, StepState.HELD]


def test_one_that_would_park_behind_a_newer_of_its_series_is_superseded(stored: Bench) -> None:
    bench = stored
    older = bench.submit(series="s")
    newer: list[Job] = []

    def propose() -> None:
        if not newer:
            newer.append(bench.submit(series="s"))

    bench.does({"gated": True}, before=propose)
    bench.attempt()
    found = bench.job(older)
    assert (found.state, found.superseded_by) == (JobState.SUPERSEDED, newer[0].id)
    bench.attempt()
    assert bench.job(newer[0]).state is WAITING


def test_one_that_waits_makes_way_for_a_newer_of_its_series(stored: Bench) -> None:
    bench = stored
    bench.does({"gated": True})
    older = bench.submit(series="s")
    bench.attempt()
    newer = bench.submit(series="s")
    assert bench.job(older).state is JobState.SUPERSEDED
    assert bench.job(older).superseded_by == newer.id


def test_what_was_approved_is_not_superseded(bench: Bench) -> None:
    bench.does({"gated": True})
    older = bench.submit(series="s")
    bench.attempt()
    bench.approve(older)
    bench.submit(series="s")
    bench.attempt()
    assert bench.job(older).state is SUCCEEDED


# One after the other


def test_the_next_of_the_lock_is_claimed_with_the_end_of_the_one_before(stored: Bench) -> None:
    bench = stored
    first, second, third = (bench.submit(priority=priority) for priority in (0, 5, 1))
    following = bench.attempt(chain=True)
    assert following is not None
    assert (following.id, following.state, following.attempt) == (third.id, RUNNING, 1)
    assert bench.job(first).state is SUCCEEDED
    assert bench.job(second).state is QUEUED
    assert bench.lease(third) is not None


def test_work_off_goes_by_priority_and_then_by_age(bench: Bench) -> None:
    ids = [bench.submit(priority=priority).id for priority in (3, 0, 3, -10, 0)]
    order: list[int] = []
    bench.does(result=lambda: order.append(bench.running().job.id))
    assert bench.work_off() == 5
    assert order == [ids[at] for at in (3, 1, 4, 0, 2)]


def test_what_follows_one_of_which_nothing_lies_about_looks_for_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three that follow each other: before the first, and behind the steps of each."""
    cleared = _cleared(monkeypatch)
    for _ in range(3):
        bench.submit()
    assert bench.work_off() == 3
    assert len(cleared) == 1 + 3


def test_what_follows_one_that_could_not_clear_clears_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared = _cleared(monkeypatch, fails=[2])
    jobs = [bench.submit(), bench.submit()]
    assert bench.work_off() == 2
    assert len(cleared) == 2 + 2
    assert [bench.job(job).state for job in jobs] == [SUCCEEDED] * 2


def test_what_follows_one_that_left_meta_to_another_clears_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is at work in meta may have left what lies there, and be killed later."""
    bench.submit()
    bench.submit()
    meta = bench.host.layout.meta / ".git"
    meta.mkdir(parents=True)
    (meta / "index.lock").touch()
    cleared = _cleared(monkeypatch)
    other = Locks().take(bench.host.layout.meta_lock, note_children=False)
    assert other is not None
    with other:
        assert bench.work_off() == 2
    assert len(cleared) == 4


def test_an_attempt_of_a_job_that_had_one_before_clears_wherever_it_comes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever had that may have been another worker, and killed."""
    bench.submit()
    lost = bench.claimed()
    with bench.database.write() as session:
        moves.make(session, lost.id, GIVE_BACK, now=bench.clock.now(), attempt=1)
    bench.submit(priority=-1)
    cleared = _cleared(monkeypatch)
    assert bench.work_off() == 2
    assert bench.job(lost).attempt == 2
    assert len(cleared) == 2 + 2


def _cleared(monkeypatch: pytest.MonkeyPatch, *, fails: Sequence[int] = ()) -> list[object]:
    """Who has cleared; each time whose number is given, counted from 1, it cannot."""
    cleared: list[object] = []

    def clear(world: World, agent: AgentName | None) -> bool:
        cleared.append(agent)
        if len(cleared) in fails:
            raise Fault("it is not to be removed")
        return clear_leftovers(world, agent)

    monkeypatch.setattr(run, "clear_leftovers", clear)
    return cleared


def test_what_was_submitted_as_the_last_one_ended_is_rung_for(bench: Bench) -> None:
    """Who was rung for it found the lock busy, and left."""
    bench.submit()
    late: list[Job] = []

    def submit() -> None:
        if not late:
            late.append(bench.submit(priority=1))

    bench.does(result=submit)
    bench.bell.heard.clear()
    assert bench.work_off(goes_on=lambda: not late) == 1, "it goes on until that one has begun"
    assert bench.job(late[0]).state is QUEUED
    assert bench.bell.jobs == [late[0].id, late[0].id]


def test_work_on_a_lock_that_is_held_elsewhere_is_left_alone(bench: Bench) -> None:
    job = bench.submit()
    with locked(bench.host, job.lock) as locks:
        assert locks is not None
        assert bench.work_off() == 0
    assert bench.job(job).state is QUEUED


def test_a_job_whose_next_cannot_be_claimed_has_ended_all_the_same(bench: Bench) -> None:
    """Another worker has the next one of the lock: its claim was quicker."""
    first = bench.submit()
    second = bench.submit()
    claimed = []

    def raced(*_: object, **__: object) -> None:
        claimed.append(1)
        raise Transient("another claim was quicker", code=claims.RACED)

    with pytest.MonkeyPatch.context() as patch, locked(bench.host, first.lock) as locks:
        assert locks is not None
        job = claim(bench.host, bench.heart, first.lock)
        assert job is not None
        patch.setattr(turns, "turn_over", raced)
        assert execute(bench.host, bench.heart, job, locks, turns=bench.turns()) is None
    assert claimed
    assert (bench.job(first).state, bench.job(second).state) == (SUCCEEDED, QUEUED)


# Children


def test_a_parent_ends_when_its_children_are_queued_and_so_many_run_at_once(
    stored: Bench,
) -> None:
    bench = stored
    parent = bench.submit(at_once=2)
    names = ("ann", "ben", "cid", "dot")

    def bear() -> None:
        if parent.id == bench.running().job.id:
            for name in names:
                bench.submit(name, parent_id=parent.id)

    bench.does(before=bear)
    bench.attempt()
    assert bench.job(parent).state is SUCCEEDED
    change, together = Lock(), Barrier(2)
    now, most = [0], [0]

    def busy() -> None:
        with change:
            now[0] += 1
            most[0] = max(most[0], now[0])
        together.wait(20)  # two do run at once; the third is not there to break this
        with change:
            now[0] -= 1

    bench.does(behind=busy)

    def worker(number: int) -> int:
        return bench.work_off(names[number])

    while len(ended := [n for n in names if _is_over(bench, n)]) < len(names):
        assert sum(at_once(len(names), worker)) > 0, ended
    assert most[0] == 2


def _is_over(bench: Bench, name: str) -> bool:
    with bench.database.read() as session:
        return not jobs.live_of(session, bench.host.node, AgentName(name))


def test_two_that_work_on_one_lock_never_run_at_once(stored: Bench) -> None:
    bench = stored
    for _ in range(6):
        bench.submit()
    inside, worst = [0], [0]

    def busy() -> None:
        inside[0] += 1
        worst[0] = max(worst[0], inside[0])
        SystemClock().sleep(timedelta(milliseconds=5))
        inside[0] -= 1

    bench.does(before=busy)
    with ThreadPoolExecutor(3) as threads:
        while sum(threads.map(lambda _: bench.work_off(), range(3))):
            pass
    assert worst == [1]
