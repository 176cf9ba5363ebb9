"""Hands of one worker that end their jobs at the same moment, and what one of them may spoil."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hive.domain.job import Job, JobState
from hive.domain.names import AgentName
from hive.errors import HiveError, IllegalMove, Transient
from hive.queue import turns as turns_room
from hive.queue.turns import LANES, MOST, Turns, _Hand
from hive.store import jobs, moves
from hive.store import turns as store_turns
from hive.store.line import Line
from hive.store.turns import Turn, Turned
from tests.contract.queue_samples import KIND, Bench, a_bench, until
from tests.contract.store_samples import ON_POSTGRES

SUCCEEDED, RUNNING, QUEUED = JobState.SUCCEEDED, JobState.RUNNING, JobState.QUEUED
BUSY = [f"busy{number}" for number in range(LANES)]
NAMES = ("ann", "ben", "cid", "dot", "eve")


@pytest.fixture
def stored(tmp_path: Path, database_url: str) -> Iterator[Bench]:
    with a_bench(tmp_path, HIVE_DATABASE_URL=database_url) as bench:
        yield bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as bench:
        yield bench


@dataclass
class Gate:
    """In front of the database: the first who would write stand there until it opens."""

    seen: list[int] = field(default_factory=list)
    opened: threading.Event = field(default_factory=threading.Event)

    def before(self, write: Callable[[Turns, Sequence[Any], Line | None], None]) -> Any:  # noqa: ANN401
        def gated(turns: Turns, hands: Sequence[Any], lane: Line | None) -> None:
            self.seen.append(len(hands))
            if len(self.seen) <= LANES:
                assert self.opened.wait(20)
            write(turns, hands, lane)

        return gated


def ended_together(
    bench: Bench, gate: Gate, names: Sequence[str], *, spoil: Callable[[], object] = bool
) -> list[Future[Job | None]]:
    """All of `names` end their jobs while every lane is taken; then it opens."""
    turns = bench.turns()
    held = {name: _with_a_next(bench, name) for name in (*BUSY, *names)}

    def over(name: str) -> Job | None:
        return turns.over(Turn(held[name], {"result": {"of": name}}))

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(LANES + len(names)) as hands:
        patch.setattr(Turns, "_write", gate.before(Turns._write))
        busy = [hands.submit(over, name) for name in BUSY]
        until(lambda: len(gate.seen) == LANES)
        others = [hands.submit(over, name) for name in names]
        until(lambda: len(turns._waiting) == len(names))
        spoil()
        gate.opened.set()
        for one in (*busy, *others):
            one.exception(20)
    return others


def _with_a_next(bench: Bench, name: str) -> Job:
    bench.submit(name)
    bench.submit(name)
    return bench.claimed(name)


def test_those_that_wait_share_one_transaction(stored: Bench) -> None:
    gate = Gate()
    claimed = [one.result() for one in ended_together(stored, gate, NAMES)]
    assert gate.seen == [1] * LANES + [len(NAMES)]
    for name, following in zip(NAMES, claimed, strict=True):
        assert following is not None
        assert (following.agent, following.state) == (name, RUNNING)
        assert stored.job(following) == following
        (ended,) = [job for job in _all(stored, name) if job.id != following.id]
        assert (ended.state, ended.result) == (SUCCEEDED, {"of": name})


def test_no_more_than_so_many_share_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_room, "MOST", 2)
    gate = Gate()
    ended_together(bench, gate, NAMES)
    assert len(NAMES) < MOST
    assert sorted(gate.seen[LANES:]) == [1, 2, 2]


def test_one_whose_job_is_anothers_does_not_keep_the_others(stored: Bench) -> None:
    """It was lost and queued again meanwhile; its next is not claimed either."""
    gate = Gate()

    def lose() -> None:
        (job,) = [one for one in _running(stored) if one.agent == "cid"]
        with stored.database.write() as session:
            moves.rescue(session, job, now=stored.clock.now())

    others = ended_together(stored, gate, NAMES, spoil=lose)
    for name, one in zip(NAMES, others, strict=True):
        if name == "cid":
            assert isinstance(one.exception(), IllegalMove)
        else:
            assert [job.state for job in _all(stored, name)] == [RUNNING, SUCCEEDED]
            assert one.result() == _all(stored, name)[0]
    assert {job.state for job in _all(stored, "cid")} == {QUEUED}


def test_what_goes_wrong_with_all_is_told_to_each(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Together, and then each for itself."""
    gate = Gate()
    others = ended_together(
        bench, gate, NAMES, spoil=lambda: monkeypatch.setattr(store_turns, "turn_over", down)
    )
    assert [type(one.exception()) for one in others] == [Transient] * len(NAMES)
    assert sorted(gate.seen) == [1] * (LANES + len(NAMES)) + [len(NAMES)]
    assert len(_running(bench)) == len(BUSY) + len(NAMES)


def down(*_: object, **__: object) -> list[Turned]:
    raise Transient("it is away", code="database-unavailable")


def test_after_trouble_the_next_is_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    turns, job = bench.turns(), _with_a_next(bench, "ann")

    for _ in range(2 * LANES):
        with monkeypatch.context() as patch:
            patch.setattr(store_turns, "turn_over", down)
            with pytest.raises(HiveError):
                turns.over(Turn(job, {}))
    assert turns.over(Turn(job, {})) == _all(bench, "ann")[0]
    assert [one.state for one in _all(bench, "ann")] == [RUNNING, SUCCEEDED]


@ON_POSTGRES
def test_quiet_turns_go_in_one_word_and_others_beside_them_in_a_transaction(
    stored: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose end is told to somebody is looked at before the commit."""
    by_word, by_transaction = [], []

    def word(*given: Any, **who: Any) -> list[Turned | None]:  # noqa: ANN401
        by_word.append([turn.job.kind for turn in given[1]])
        return at_once(*given, **who)

    def transaction(*given: Any, **who: Any) -> list[Turned]:  # noqa: ANN401
        by_transaction.append([turn.job.kind for turn in given[1]])
        return turn_over(*given, **who)

    at_once, turn_over = store_turns.turn_over_at_once, store_turns.turn_over
    monkeypatch.setattr(store_turns, "turn_over_at_once", word)
    monkeypatch.setattr(store_turns, "turn_over", transaction)
    jobs = [stored.submit("ann"), stored.submit("ben", kind="rebuild")]
    hands = [_Hand(Turn(stored.claimed(job.agent or ""), {})) for job in jobs]
    with closing(Line(stored.database)) as lane:
        stored.turns()._write(hands, lane)
    assert (by_word, by_transaction) == ([[KIND]], [["rebuild"]])
    assert {stored.job(job).state for job in jobs} == {SUCCEEDED}


def _running(bench: Bench) -> list[Job]:
    return [job for name in (*BUSY, *NAMES) for job in _all(bench, name) if job.state is RUNNING]


def _all(bench: Bench, name: str) -> list[Job]:
    with bench.database.read() as session:
        return jobs.listed(session, agent=AgentName(name))
