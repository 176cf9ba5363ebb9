"""From events to calls: the chore, and the jobs that call until somebody has heard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from hive.domain.event import NewEvent
from hive.domain.job import CANCEL, FINISH, Job, JobState
from hive.domain.names import NodeName
from hive.domain.notifier import Notifier, NotifierName
from hive.errors import NotFound, Refused
from hive.jobs.notify import Notify as Call
from hive.queue import notify, submit
from hive.queue.claim import claim, locked
from hive.queue.execute import execute
from hive.queue.host import Host
from hive.queue.notify import BATCH, QUEUED, Notify
from hive.queue.recipes import Recipes
from hive.service import notify as service
from hive.store import events, jobs, moves, notifiers, prune
from hive.store.session import Database
from tests.contract.queue_samples import Bench, a_bench
from tests.contract.store_samples import LATER, NODE, NOW, a_job, at_once, claimed
from tests.listener import a_listener
from tests.pretend import a_pretend_host

OPS = NotifierName("ops")
SECRET = "hunter2"


def a_notifier(**overrides: object) -> Notifier:
    one = Notifier(OPS, NODE, ("node.*",), command=("/bin/true",))
    return replace(one, **overrides)  # type: ignore[arg-type]  # a test knows its fields


@pytest.fixture
def host(database: Database, tmp_path: Path) -> Iterator[Host]:
    with a_pretend_host(tmp_path / "pretend") as pretend:
        yield replace(pretend.host, database=database)


def happens(host: Host, *kinds: str) -> None:
    for kind in kinds:
        with host.database.write() as session:
            events.tell(session, NewEvent(NOW, kind, NODE))


def calls(host: Host) -> list[Job]:
    """Oldest first."""
    with host.database.read() as session:
        return jobs.listed(session, kind=Call.kind, limit=1000)[::-1]


def told(host: Host) -> list[str]:
    return [job.ask["event"]["kind"] for job in calls(host)]


def turn(host: Host) -> int:
    return Notify(host).run_once(NOW).notified


def place(host: Host) -> int:
    with host.database.read() as session:
        return notifiers.known(session, OPS).after_seq


# Which events become calls


def test_what_somebody_wants_to_hear_of_becomes_a_job_once(host: Host) -> None:
    happens(host, "node.before")
    service.add(host, a_notifier())
    happens(host, "node.a", "other", "node.b")
    assert turn(host) == 2
    assert turn(host) == 0
    assert told(host) == ["node.a", "node.b"]
    job = calls(host)[0]
    assert (job.node, job.agent, job.lock) == (NODE, None, "notify:here/ops")
    assert job.ask["event"] == {
        "seq": 2, "at": "2031-04-05T06:07:08.000Z", "kind": "node.a", "node": "here",
        "agent": None, "job": None, "data": {},
    }  # fmt: skip


def test_two_who_look_at_once_double_nothing(host: Host) -> None:
    service.add(host, a_notifier())
    happens(host, *(f"node.{number}" for number in range(20)))
    assert sum(at_once(4, lambda _: turn(host))) == 20
    assert told(host) == [f"node.{number}" for number in range(20)]


def test_a_kill_between_the_jobs_and_the_place_loses_and_doubles_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.add(host, a_notifier())
    happens(host, "node.a", "node.b")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(notify, "_submit", killed)
        with pytest.raises(KeyboardInterrupt):
            turn(host)
    assert told(host) == []
    assert turn(host) == 2
    assert told(host) == ["node.a", "node.b"]


def test_what_happens_to_calls_calls_nobody(host: Host) -> None:
    service.add(host, a_notifier(kinds=("*",)))
    with host.database.write() as session:
        a_job(session)
    assert turn(host) == 1
    with host.database.write() as session:
        call = claimed(session, "notify:here/ops")
        assert call is not None
    with host.database.write() as session:
        moves.make(session, call.id, FINISH, now=LATER, attempt=call.attempt)
    assert turn(host) == 0
    with host.database.read() as session:
        assert place(host) == events.last(session)


def test_what_happened_to_calls_that_are_forgotten_calls_nobody_either(host: Host) -> None:
    """Who catches up after a week."""
    service.add(host, a_notifier(kinds=("*",)))
    with host.database.write() as session:
        a_job(session)
    assert turn(host) == 1
    with host.database.write() as session:
        call = claimed(session, "notify:here/ops")
        assert call is not None
    with host.database.write() as session:
        moves.make(session, call.id, FINISH, now=LATER, attempt=call.attempt)
        assert prune.forget_idle(session, before=LATER + timedelta(days=7), limit=9) == 1
    assert turn(host) == 0


def test_a_storm_waits_its_turn_and_loses_nothing(host: Host) -> None:
    service.add(host, a_notifier())
    with host.database.write() as session:
        for number in range(QUEUED + 50):
            events.tell(session, NewEvent(NOW, f"node.{number}", NODE))
    assert [turn(host), turn(host), turn(host)] == [QUEUED, 0, 0]
    with host.database.write() as session:
        for job in calls(host)[:30]:
            moves.make(session, job.id, CANCEL, now=NOW)
    assert [turn(host), turn(host)] == [30, 0]
    assert told(host) == [f"node.{number}" for number in range(QUEUED + 30)]


def test_what_nobody_wants_to_hear_of_is_passed_over_at_once(host: Host) -> None:
    service.add(host, a_notifier())
    with host.database.write() as session:
        for _ in range(BATCH * 2 + 1):
            events.tell(session, NewEvent(NOW, "other", NODE))
        events.tell(session, NewEvent(NOW, "node.a", NODE))
    assert turn(host) == 1


def test_only_the_node_of_a_notifier_calls(host: Host) -> None:
    service.add(host, a_notifier(node=NodeName("there")))
    happens(host, "node.a")
    assert turn(host) == 0
    assert turn(replace(host, node=NodeName("there"))) == 1
    assert [job.node for job in calls(host)] == ["there"]


def test_what_happened_while_it_was_switched_off_is_not_told(host: Host) -> None:
    service.add(host, a_notifier())
    service.switch(host, OPS, enabled=False)
    happens(host, "node.a")
    assert turn(host) == 0
    service.switch(host, OPS, enabled=True)
    service.switch(host, OPS, enabled=True)
    happens(host, "node.b")
    assert turn(host) == 1
    assert told(host) == ["node.b"]


def test_a_name_is_taken_once_and_what_is_not_there_is_refused(host: Host) -> None:
    service.add(host, a_notifier())
    with pytest.raises(Refused) as refused:
        service.add(host, a_notifier())
    assert refused.value.code == "notifier-exists"
    service.remove(host, OPS)
    assert service.listed(host) == []
    with pytest.raises(NotFound):
        service.remove(host, OPS)
    with pytest.raises(NotFound):
        service.switch(host, OPS, enabled=False)
    with pytest.raises(NotFound):
        service.test(host, OPS, by="ann")


# The jobs that call


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """With hive's own recipes."""
    with a_bench(tmp_path, HIVE_FAILURE_LIMIT="3") as bench:
        host = bench.host
        own = Recipes(host.database, host.clock, host.policy, host.defaults)
        bench.host = replace(host, recipe=own.of)
        yield bench


def attempt(bench: Bench) -> Job:
    """Of the call that stands first, when its time has come."""
    bench.clock.advance(timedelta(hours=2))
    with locked(bench.host, "notify:here/ops") as locks:
        assert locks is not None
        job = claim(bench.host, bench.heart, "notify:here/ops")
        assert job is not None
        execute(bench.host, bench.heart, job, locks)
    return bench.job(job)


def test_a_server_that_is_ill_hears_of_it_when_it_is_well(bench: Bench) -> None:
    with a_listener(500, 200) as listener:
        service.add(bench.host, a_notifier(url=listener.url(), command=None))
        happens(bench.host, "node.a")
        assert turn(bench.host) == 1
        first = attempt(bench)
        assert (first.state, first.failures) == (JobState.QUEUED, 1)
        assert first.run_at is not None
        assert attempt(bench).state is JobState.SUCCEEDED
    assert [body["kind"] for _, body in listener.heard] == ["node.a", "node.a"]


def test_a_command_that_failed_is_called_again(bench: Bench) -> None:
    flag = bench.folder / "flag"
    command = ("sh", "-c", f'test -e {flag} || {{ touch {flag}; exit 1; }}; cat >"$0"')
    heard = bench.folder / "heard"
    service.add(bench.host, a_notifier(command=(*command, str(heard))))
    happens(bench.host, "node.a")
    turn(bench.host)
    assert attempt(bench).state is JobState.QUEUED
    assert attempt(bench).state is JobState.SUCCEEDED
    assert json.loads(heard.read_text())["kind"] == "node.a"


def test_who_never_hears_is_given_up_and_does_not_stop_what_comes_after(bench: Bench) -> None:
    with a_listener(500, 500, 500, 200) as listener:
        service.add(bench.host, a_notifier(url=listener.url(), command=None))
        happens(bench.host, "node.a")
        turn(bench.host)
        ends = [attempt(bench) for _ in range(3)]
        assert [job.state.value for job in ends] == ["queued", "queued", "failed"]
        assert ends[-1].error is not None
        assert ends[-1].error.code == "not-delivered"
        happens(bench.host, "node.b")
        turn(bench.host)
        assert attempt(bench).state is JobState.SUCCEEDED
        submit.retry(bench.host, ends[-1].id)
        assert attempt(bench).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("gone", "code"), [("remove", "no-such-notifier"), ("disable", "notifier-off")]
)
def test_calls_of_what_is_gone_end_refused(bench: Bench, gone: str, code: str) -> None:
    service.add(bench.host, a_notifier())
    happens(bench.host, "node.a")
    turn(bench.host)
    if gone == "remove":
        service.remove(bench.host, OPS)
    else:
        service.switch(bench.host, OPS, enabled=False)
    ended = attempt(bench)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == code


def test_a_test_calls_also_what_is_switched_off(bench: Bench) -> None:
    with a_listener(200) as listener:
        service.add(bench.host, a_notifier(url=listener.url(), command=None))
        service.switch(bench.host, OPS, enabled=False)
        job = service.test(bench.host, OPS, by="ann")
        assert attempt(bench).id == job.id
        assert bench.job(job).state is JobState.SUCCEEDED
    assert listener.heard[0][1]["kind"] == "notify.test"
    assert turn(bench.host) == 0


def test_a_secret_is_nowhere_in_the_database(bench: Bench) -> None:
    file = bench.folder / "url"
    with a_listener(500, 404) as listener:
        file.write_text(listener.url(f"/{SECRET}"))
        service.add(bench.host, a_notifier(url_file=file, command=None))
        happens(bench.host, "node.a")
        turn(bench.host)
        attempt(bench)
        assert attempt(bench).state is JobState.FAILED
    assert listener.heard[0][0] == f"/{SECRET}"
    assert SECRET not in str([view.as_json() for view in service.listed(bench.host)])
    with bench.database.read() as session:
        tables = session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")).all()
        rows = [session.execute(text(f"SELECT * FROM {table}")).all() for table in tables]
    assert "127.0.0.1" in str(rows)
    assert SECRET not in str(rows)
