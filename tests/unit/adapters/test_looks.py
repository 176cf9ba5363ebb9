"""Looks that many ask for at once: none is older than its question, and few are made."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest

from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.looks import Looks

SOON = 10.0
SOON_, OFTEN = timedelta(seconds=SOON), timedelta(milliseconds=1)


class Host:
    """What is looked at; a look waits until it may be over."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        self.begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.fails = False

    def look(self, names: Collection[str]) -> dict[str, int]:
        self.seen.append(sorted(names))
        number, fails = len(self.seen), self.fails
        self.begun.release()
        assert self.may_end.acquire(timeout=SOON)
        if fails:
            raise RuntimeError("called off")
        return dict.fromkeys(names, number)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def asks(pool: ThreadPoolExecutor, looks: Looks[str, int], host: Host, name: str) -> Future[int]:
    def ask() -> int:
        return looks.ask(name, host.look)

    return pool.submit(ask)


def under_way(
    pool: ThreadPoolExecutor, looks: Looks[str, int], host: Host
) -> tuple[Future[int], list[Future[int]]]:
    """A look for one; and three who asked after it began."""
    first = asks(pool, looks, host, "a")
    assert host.begun.acquire(timeout=SOON)
    others = [asks(pool, looks, host, name) for name in ("a", "b", "c")]
    assert wait_until(SystemClock(), lambda: looks._next.asked == {"a", "b", "c"}, SOON_, OFTEN)
    return first, others


def test_who_asks_while_a_look_is_under_way_is_answered_by_the_next(
    pool: ThreadPoolExecutor,
) -> None:
    looks, host = Looks[str, int](), Host()
    first, others = under_way(pool, looks, host)
    host.may_end.release(2)
    assert first.result(SOON) == 1
    assert [one.result(SOON) for one in others] == [2, 2, 2]
    assert host.seen == [["a"], ["a", "b", "c"]]


def test_a_look_that_failed_fails_nobody_but_who_made_it(pool: ThreadPoolExecutor) -> None:
    looks, host = Looks[str, int](), Host()
    host.fails = True
    first, others = under_way(pool, looks, host)
    host.may_end.release(1)
    assert host.begun.acquire(timeout=SOON), "one of the three looks, for all"
    host.fails = False
    host.may_end.release(4)
    with pytest.raises(RuntimeError):
        first.result(SOON)
    ended = [one.exception(SOON) for one in others]
    assert sum(error is not None for error in ended) == 1
    told = [one.result(SOON) for one, error in zip(others, ended, strict=True) if not error]
    assert min(told) > 2, "they have asked anew"


def test_who_is_called_off_does_not_wait_for_anothers_look(pool: ThreadPoolExecutor) -> None:
    looks, host = Looks[str, int](), Host()
    first = asks(pool, looks, host, "a")
    assert host.begun.acquire(timeout=SOON)

    def called_off() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        looks.ask("b", host.look, called_off)
    host.may_end.release(1)
    assert first.result(SOON) == 1


def test_who_asks_alone_looks_at_once() -> None:
    looks, host = Looks[str, int](), Host()
    host.may_end.release(2)
    assert [looks.ask("a", host.look) for _ in range(2)] == [1, 2]
