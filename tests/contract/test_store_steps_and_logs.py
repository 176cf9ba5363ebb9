from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import text

from hive.domain.job import FINISH, JobId, StepRecord, StepState
from hive.store import jobs, logs, moves, steps
from hive.store.logs import NewLine
from hive.store.session import Database, Session
from tests.contract.store_samples import LATER, NOW, a_job, a_running_job, at_once, claimed

SEEDED = StepRecord(0, "ProposedSeeded", StepState.HELD, "main is there", 0.25)
BUILT = StepRecord(1, "Built", StepState.APPLYING, "no such link", 0.0)


def a_line(job: JobId, words: str, attempt: int = 1) -> NewLine:
    return NewLine(job, attempt, "Built", "stdout", NOW, words)


def lost_and_claimed(session: Session, job: JobId) -> None:
    """Its worker is gone; the second attempt has it."""
    lost = jobs.find(session, job)
    assert moves.rescue(session, lost, now=NOW) is not None
    assert claimed(session, lost.lock, "w2") is not None


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
        lost_and_claimed(session, job)
        zombie = replace(SEEDED, because="I am still here")
        assert not steps.record(session, job, 1, zombie, started_at=LATER)
        assert not steps.record(session, job, 1, BUILT, started_at=LATER)
        assert steps.of(session, job) == [SEEDED]


def test_a_job_that_does_not_run_has_no_new_steps(database: Database) -> None:
    with database.progress() as session:
        ended = a_running_job(session).id
        moves.make(session, ended, FINISH, now=NOW, attempt=1)
        queued = a_job(session).id
        assert not steps.record(session, queued, 0, SEEDED, started_at=NOW)
        assert not steps.record(session, ended, 1, SEEDED, started_at=NOW)
        assert not steps.record(session, JobId(4711), 1, SEEDED, started_at=NOW)
        assert steps.of(session, ended) == []


def test_a_new_attempt_begins_without_the_steps_of_the_last(database: Database) -> None:
    with database.progress() as session:
        job = a_running_job(session).id
        steps.record(session, job, 1, SEEDED, started_at=NOW)
        steps.record(session, job, 1, BUILT, started_at=NOW)
        lost_and_claimed(session, job)
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


@given(
    batches=some.lists(some.lists(some.text(some.characters(), max_size=300), max_size=20)),
    asks=some.randoms(use_true_random=False),
)
@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_log_never_grows_over_its_limit_and_every_line_is_there_or_counted(
    database: Database, batches: list[list[str]], asks: Random
) -> None:
    """Whether the writer remembers how long it is, or measures it."""
    limit, there, told = 4000, None, 0
    with database.progress() as session:
        job = a_job(session, lock=f"lock {jobs.highest(session)}").id
        for batch in batches:
            there = there if asks.random() < 0.5 else None
            lines = [a_line(job, words) for words in batch]
            there = logs.extend(session, job, lines, there=there, limit=limit)
            assert there == logs.extend(session, job, [], there=None, limit=limit)
            told += len(batch)
            kept = logs.of(session, job)
            cuts = [line for line in kept if line.stream == logs.CUT]
            assert there.head + there.tail <= limit
            assert told == len(kept) - len(cuts) + sum(int(cut.text.split()[0]) for cut in cuts)


def test_a_cut_says_where_it_is_and_how_much_is_gone(database: Database) -> None:
    size = len("0") + logs.OVERHEAD
    with database.progress() as session:
        job = a_job(session).id
        for part in (range(4, 8), range(8, 12)):
            first = [a_line(job, "0")] * 4 if part.start == 4 else []
            new = [a_line(job, "0")] * len(part)
            logs.extend(session, job, [*first, *new], there=None, limit=8 * size)
        cut = session.execute(text("SELECT * FROM log_cuts")).mappings().one()
        lines = logs.of(session, job)
    (said,) = (line for line in lines if line.stream == logs.CUT)
    assert (cut["job_id"], cut["after_seq"], cut["until_seq"]) == (job, lines[3].seq, said.seq)
    assert (cut["lines"], cut["bytes"]) == (12 - len(lines) + 1, (12 - len(lines) + 1) * size)


def test_where_the_head_ends_is_settled_once(database: Database) -> None:
    """Also where shorter lines came behind the one that it had no room for."""
    with database.progress() as session:
        job = a_job(session).id
        for words in ("head", "x" * 1950, *("tail",) * 40):
            there = logs.extend(session, job, [a_line(job, words)], there=None, limit=4000)
            assert there.head == len("head") + logs.OVERHEAD
        assert logs.of(session, job)[1].stream == logs.CUT


def test_a_cut_of_one_log_leaves_the_others_alone(database: Database) -> None:
    with database.progress() as session:
        job, other = a_job(session).id, a_job(session, lock="another").id
        for _ in range(100):
            logs.extend(session, job, [a_line(job, "mine")], there=None, limit=1000)
            logs.append(session, [a_line(other, "another job's")])
        assert len(logs.of(session, other)) == 100
        assert len(logs.of(session, job)) < 20


@pytest.mark.parametrize(
    ("limit", "said"), [(900, "0.9 kB"), (1_500_000, "1.5 MB"), (64_000_000, "64 MB")]
)
def test_sizes_are_said_in_the_units_that_people_use(
    database: Database, limit: int, said: str
) -> None:
    with database.progress() as session:
        job = a_job(session).id
        lines = [a_line(job, "x" * (limit // 9)) for _ in range(20)]
        logs.extend(session, job, lines, there=None, limit=limit)
        (cut,) = (line for line in logs.of(session, job) if line.stream == logs.CUT)
    assert cut.text.endswith(f"cut here: a job's log keeps {said}")


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
