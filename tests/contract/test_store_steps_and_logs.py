from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import text

from hive.domain.job import FINISH, JobId, StepRecord, StepState
from hive.store import jobs, logs, steps
from hive.store.logs import NewLine
from hive.store.session import Database
from tests.contract.store_samples import LATER, NOW, a_job, a_running_job, at_once

SEEDED = StepRecord(0, "ProposedSeeded", StepState.HELD, "main is there", 0.25)
BUILT = StepRecord(1, "Built", StepState.APPLYING, "no such link", 0.0)


def a_line(job: JobId, words: str, attempt: int = 1) -> NewLine:
    return NewLine(job, attempt, "Built", "stdout", NOW, words)


def test_steps_read_back_in_the_order_of_the_recipe(database: Database) -> None:
    with database.progress() as session:
        job = a_running_job(session).id
        assert steps.record(session, job, 1, BUILT, started_at=NOW)
        assert steps.record(session, job, 1, SEEDED, started_at=NOW)
    with database.read() as session:
        assert steps.of(session, job) == [SEEDED, BUILT]


def test_a_step_has_one_row_that_says_how_it_went_last(database: Database) -> None:
    done = replace(BUILT, state=StepState.APPLIED, because="it is linked", seconds=12.5)
    with database.progress() as session:
        job = a_running_job(session).id
        steps.record(session, job, 1, BUILT, started_at=NOW)
        steps.record(session, job, 1, done, started_at=NOW)
        assert steps.of(session, job) == [done]


def test_a_fenced_step_changes_nothing(database: Database) -> None:
    with database.progress() as session:
        job = a_running_job(session).id
        steps.record(session, job, 1, SEEDED, started_at=NOW)
        jobs.take_over(session, job, seen_attempt=1, worker="w2", now=NOW, leased_until=LATER)
        zombie = replace(SEEDED, because="I am still here")
        assert not steps.record(session, job, 1, zombie, started_at=LATER)
        assert not steps.record(session, job, 1, BUILT, started_at=LATER)
        assert steps.of(session, job) == [SEEDED]


def test_a_job_that_does_not_run_has_no_new_steps(database: Database) -> None:
    with database.progress() as session:
        queued, ended = a_job(session).id, a_running_job(session).id
        jobs.make(session, ended, FINISH, attempt=1)
        assert not steps.record(session, queued, 0, SEEDED, started_at=NOW)
        assert not steps.record(session, ended, 1, SEEDED, started_at=NOW)
        assert not steps.record(session, JobId(4711), 1, SEEDED, started_at=NOW)
        assert steps.of(session, ended) == []


def test_a_new_attempt_begins_without_the_steps_of_the_last(database: Database) -> None:
    with database.progress() as session:
        job = a_running_job(session).id
        steps.record(session, job, 1, SEEDED, started_at=NOW)
        steps.record(session, job, 1, BUILT, started_at=NOW)
        jobs.take_over(session, job, seen_attempt=1, worker="w2", now=NOW, leased_until=LATER)
        steps.record(session, job, 2, SEEDED, started_at=LATER)
        steps.clear(session, job, 1)
        assert steps.of(session, job) == [SEEDED, BUILT]
        steps.clear(session, job, 2)
        assert steps.of(session, job) == [SEEDED]


def test_lines_read_back_in_the_order_they_were_written(database: Database) -> None:
    with database.progress() as session:
        job, other = a_running_job(session).id, a_job(session).id
        logs.append(session, [a_line(job, f"line {number}") for number in range(5)])
        logs.append(session, [a_line(other, "another job's")])
        logs.append(session, [])
        lines = logs.of(session, job)
        assert [line.text for line in lines] == [f"line {number}" for number in range(5)]
        assert lines[0].at == NOW
        assert (lines[0].attempt, lines[0].step, lines[0].stream) == (1, "Built", "stdout")


def test_a_reader_goes_on_after_the_last_line_it_saw(database: Database) -> None:
    with database.progress() as session:
        job = a_running_job(session).id
        logs.append(session, [a_line(job, f"{number}") for number in range(5)])
        first = logs.of(session, job, limit=2)
        rest = logs.of(session, job, after=first[-1].seq)
        assert [line.text for line in first + rest] == ["0", "1", "2", "3", "4"]


def test_the_tail_is_the_last_lines_oldest_first(database: Database) -> None:
    with database.progress() as session:
        job = a_running_job(session).id
        logs.append(session, [a_line(job, f"{number}") for number in range(5)])
        assert [line.text for line in logs.tail(session, job, 2)] == ["3", "4"]


@given(words=some.text(some.characters(), max_size=20))
@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_a_program_writes_can_be_kept(database: Database, words: str) -> None:
    with database.progress() as session:
        job = a_running_job(session, lock=f"lock {jobs.highest(session)}").id
        logs.append(session, [a_line(job, words)])
        (kept,) = logs.of(session, job)
    assert len(kept.text) == len(words)


def test_bytes_that_are_no_text_are_kept_as_a_mark(database: Database) -> None:
    raw = b"caf\xe9 \0 \xf0\x9f\x90\x9d".decode("utf-8", "surrogateescape")
    with database.progress() as session:
        job = a_running_job(session).id
        logs.append(session, [a_line(job, raw)])
        assert logs.of(session, job)[0].text == "caf? \N{REPLACEMENT CHARACTER} \N{HONEYBEE}"


def test_lines_of_many_writers_lose_nothing(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session).id

    def write(number: int) -> None:
        for batch in range(5):
            with database.progress() as session:
                words = [f"{number}-{batch}-{line}" for line in range(20)]
                logs.append(session, [a_line(job, text) for text in words])

    at_once(8, write)
    with database.read() as session:
        lines = logs.of(session, job)
    assert len({line.text for line in lines}) == 8 * 5 * 20
    assert [line.seq for line in lines] == sorted({line.seq for line in lines})


def test_a_job_that_is_pruned_takes_its_steps_and_lines_along(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session).id
        steps.record(session, job, 1, SEEDED, started_at=NOW)
        logs.append(session, [a_line(job, "a")])
        session.execute(text("DELETE FROM jobs"))
        assert (steps.of(session, job), logs.of(session, job)) == ([], [])
