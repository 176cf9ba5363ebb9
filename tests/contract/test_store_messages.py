"""Inboxes: what is sent waits there, is taken by one at a time, and goes when it was seen to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from sqlalchemy import bindparam, event, insert, text

from hive.domain import message
from hive.domain.agent import Desired
from hive.domain.event import Event
from hive.domain.job import DENY, FAIL, FINISH, MOVES, Trouble
from hive.domain.message import OPERATOR, Message, NewMessage
from hive.domain.names import MANAGER, AgentName, NodeName
from hive.errors import NotFound, Refused
from hive.jobs.recipe import Aftermath
from hive.queue import ending
from hive.queue.ending import Finished
from hive.queue.prune import KEPT, Prune
from hive.store import agents, events, inboxes, messages, moves, telling
from hive.store.session import Database, Session
from tests.contract.store_samples import (
    ALICE,
    BOB,
    EVEN_LATER,
    LATER,
    LEASE,
    NODE,
    NOW,
    ON_POSTGRES,
    a_job,
    a_running_job,
    an_agent,
    at_once,
    beside,
    claimed,
)

FAR = NodeName("elsewhere")
MANY = 99_990
HELLO = NewMessage(ALICE, OPERATOR, "hello", NODE)


def sent(database: Database, *bodies: str, to: str = ALICE, node: NodeName | None = NODE) -> None:
    for body in bodies:
        with database.write() as session:
            telling.send(session, NewMessage(to, OPERATOR, body, node), now=NOW)


def taken(
    database: Database, reader: str = "r1", now: datetime = NOW, limit: int = 100
) -> list[Message]:
    """Of alice's, under a lease of thirty seconds."""
    with database.write() as session:
        return messages.take(
            session, NODE, ALICE, reader=reader, now=now, leased_until=now + LEASE, limit=limit
        )


def acked(database: Database, *seqs: int, now: datetime = NOW) -> int:
    with database.write() as session:
        return messages.ack(session, seqs, now=now)


def bodies(found: list[Message]) -> list[str]:
    return [message.body for message in found]


def waiting(database: Database, to: str = ALICE, node: NodeName | None = NODE) -> list[Message]:
    with database.read() as session:
        found = messages.waiting(session, node, to, limit=1000)
        assert inboxes.count(session, node, to) == len(found), "the counter is what there is"
        return found


def told(database: Database, kind: str) -> list[Event]:
    with database.read() as session:
        return events.behind(session, kind=kind)


FILL = text(
    "INSERT INTO messages (node, recipient, sender, body, sent_at, deliveries, acked_at)"
    " WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :count)"
    " SELECT :node, :to, 'hive', 'a line', :sent_at, 0, :acked_at FROM c"
).bindparams(
    bindparam("sent_at", type_=messages.C.sent_at.type),
    bindparam("acked_at", type_=messages.C.acked_at.type),
)


def filled(
    database: Database, count: int, *, sent_at: datetime = NOW, acked_at: datetime | None = None
) -> None:
    """Alice's inbox, with so many more, that nobody has taken, or that were acknowledged."""
    sent(database, "the first")
    taken(database, limit=1)
    asked = {"count": count, "node": NODE, "to": ALICE, "sent_at": sent_at, "acked_at": acked_at}
    with database.write() as session:
        session.execute(FILL, asked)
        counted = text("UPDATE inboxes SET open = open + :count")
        session.execute(counted, {"count": 0 if acked_at else count})


# To send


def test_a_message_reads_back_as_it_was_sent(database: Database) -> None:
    new = NewMessage(ALICE, "bob", 'a "line" \N{HONEYBEE}\n', NODE, "said", {"a": [1, None]}, 7)
    with database.write() as session:
        made = telling.send(session, new, now=NOW)
    assert waiting(database) == [made]
    assert (made.recipient, made.sender, made.body, made.node) == (ALICE, "bob", new.body, NODE)
    assert (made.topic, made.data, made.reply_to) == ("said", {"a": [1, None]}, 7)
    assert (made.sent_at, made.delivered_at, made.deliveries) == (NOW, None, 0)
    assert (made.reader, made.leased_until, made.acked_at) == (None, None, None)
    with database.read() as session:
        assert messages.find(session, made.seq) == made


def test_what_no_text_of_a_database_holds_is_sent_all_the_same(database: Database) -> None:
    raw = b"caf\xe9 \0".decode("utf-8", "surrogateescape")
    for _ in range(2):
        with database.write() as session:
            new = NewMessage(ALICE, OPERATOR, raw, NODE, once="k")
            made = telling.send(session, new, now=NOW)
    assert bodies(waiting(database)) == [made.body] == ["caf? \ufffd"]


def test_an_inbox_is_of_a_name_on_a_node_and_the_operators_of_none(database: Database) -> None:
    sent(database, "here")
    sent(database, "there", node=FAR)
    sent(database, "anywhere", to=OPERATOR, node=None)
    assert bodies(taken(database)) == ["here"]
    assert bodies(waiting(database, node=FAR)) == ["there"]
    (found,) = waiting(database, OPERATOR, None)
    assert (found.body, found.node) == ("anywhere", None)


def test_an_unknown_number_is_no_message(database: Database) -> None:
    with database.read() as session, pytest.raises(NotFound) as refused:
        messages.find(session, 4711)
    assert refused.value.code == "no-such-message"


def test_beyond_the_cap_the_sender_is_refused_and_nothing_is_dropped(database: Database) -> None:
    def send(body: str) -> None:
        with database.write() as session:
            new = NewMessage(ALICE, OPERATOR, body, NODE)
            telling.send(session, new, now=NOW, cap=2)

    send("one")
    send("two")
    with pytest.raises(Refused) as refused:
        send("three")
    assert refused.value.code == "inbox-full"
    sent(database, "bobs", to=BOB)
    first, _ = taken(database)
    with pytest.raises(Refused):
        send("three")
    assert acked(database, first.seq) == 1
    send("three")
    assert bodies(waiting(database)) == ["two", "three"]


def test_many_that_send_at_once_do_not_go_beyond_the_cap(database: Database) -> None:
    def send(number: int) -> bool:
        try:
            with database.write() as session:
                telling.send(session, HELLO, now=NOW, cap=3)
        except Refused:
            return False
        return True

    assert sum(at_once(8, send)) == 3
    assert len(waiting(database)) == 3


def test_a_key_names_one_message_of_a_recipient_for_ever(database: Database) -> None:
    def send(body: str = "hello", to: AgentName = ALICE) -> Message:
        with database.write() as session:
            new = NewMessage(to, OPERATOR, body, NODE, once="k")
            return telling.send(session, new, now=NOW)

    first = send()
    assert send() == first
    acked(database, first.seq)
    assert send().seq == first.seq
    assert send(to=BOB).seq != first.seq
    with pytest.raises(Refused) as refused:
        send("another")
    assert refused.value.code == "key-reused"
    assert waiting(database) == []


def test_many_that_say_one_thing_at_once_leave_one_message(database: Database) -> None:
    def send(_: int) -> int:
        with database.write() as session:
            new = NewMessage(ALICE, OPERATOR, "hello", NODE, once="k")
            return telling.send(session, new, now=NOW).seq

    assert len(set(at_once(8, send))) == 1
    assert len(waiting(database)) == 1


# hive's own word


def test_what_is_told_under_a_key_is_told_once(database: Database) -> None:
    def tell(once: str | None) -> bool:
        with database.write() as session:
            new = NewMessage(ALICE, "hive", "it crashed", NODE, once=once)
            return telling.tell(session, new, now=NOW)

    assert [tell("crash 1"), tell("crash 1"), tell("crash 2"), tell(None), tell(None)] == [
        True, False, True, True, True,
    ]  # fmt: skip
    assert len(waiting(database)) == 4


def test_many_that_tell_one_thing_at_once_tell_it_once(database: Database) -> None:
    def tell(_: int) -> bool:
        with database.write() as session:
            new = NewMessage(ALICE, "hive", "it crashed", NODE, once="crash 1")
            return telling.tell(session, new, now=NOW)

    assert sum(at_once(8, tell)) == 1
    assert len(waiting(database)) == 1


@pytest.mark.parametrize(("to", "node"), [(ALICE, NODE), (OPERATOR, None)])
def test_a_full_inbox_fails_nothing_of_hives_and_is_an_event(
    database: Database, to: str, node: NodeName | None
) -> None:
    new = NewMessage(to, "hive", "it crashed", node, "container_crash", {"node": NODE})
    with database.write() as session:
        assert telling.tell(session, new, now=NOW, cap=1)
        assert not telling.tell(session, new, now=NOW, cap=1)
    assert len(waiting(database, to, node)) == 1
    (full,) = told(database, "inbox.full")
    assert (full.node, full.data) == (NODE, {"recipient": to, "topic": "container_crash"})


# To take


def test_messages_are_taken_oldest_first_and_by_one_reader(database: Database) -> None:
    sent(database, "one", "two", "three")
    first = taken(database, limit=2)
    assert bodies(first) == ["one", "two"]
    assert [(m.reader, m.deliveries, m.leased_until, m.is_again) for m in first] == [
        ("r1", 1, LATER, False)
    ] * 2
    assert bodies(taken(database, "r2")) == ["three"]
    assert taken(database, "r3") == []
    assert bodies(waiting(database)) == ["one", "two", "three"]


def test_what_a_reader_took_and_did_not_acknowledge_comes_back(database: Database) -> None:
    sent(database, "one", "two")
    one, two = taken(database)
    acked(database, two.seq)
    sent(database, "three")
    assert bodies(taken(database, "r2", LATER - timedelta(seconds=1))) == ["three"]
    (again,) = taken(database, "r2", LATER)
    assert (again.seq, again.reader, again.deliveries, again.is_again) == (one.seq, "r2", 2, True)
    assert again.delivered_at == NOW, "that is when it was delivered first"


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=365)])
def test_what_was_taken_by_a_clock_that_was_ahead_comes_back(
    database: Database, ahead: timedelta
) -> None:
    sent(database, "one", "two")
    assert bodies(taken(database, "r1", now=NOW + ahead, limit=1)) == ["one"]
    with database.read() as session:
        assert messages.is_due(session, NODE, ALICE, now=NOW)
    assert bodies(taken(database, "r2", now=NOW)) == ["one", "two"]
    assert taken(database, "r3", now=NOW + timedelta(seconds=1)) == [], "it is the other one's now"


@pytest.mark.parametrize("back", [timedelta(seconds=2), message.LEASE])
def test_a_clock_that_differs_a_little_takes_nothing_from_a_reader(
    database: Database, back: timedelta
) -> None:
    sent(database, "one")
    with database.write() as session:
        until = NOW + message.LEASE
        found = messages.take(
            session, NODE, ALICE, reader="r1", now=NOW, leased_until=until, limit=1
        )
    assert bodies(found) == ["one"]
    assert taken(database, "r2", now=NOW - back) == []


def test_the_inbox_of_who_is_forgotten_goes_and_no_other(database: Database) -> None:
    sent(database, "one", "two")
    sent(database, "hers", to=BOB)
    sent(database, "there", node=FAR)
    sent(database, "mine", to=OPERATOR, node=None)
    acked(database, 1)
    with database.write() as session:
        messages.forget(session, NODE, ALICE)
    assert waiting(database) == []
    with database.read() as session:
        assert messages.listed(session, NODE, ALICE, limit=10) == []
    left = [(BOB, NODE), (ALICE, FAR), (OPERATOR, None)]
    assert [bodies(waiting(database, *of)) for of in left] == [["hers"], ["there"], ["mine"]]


def test_what_lapsed_comes_before_what_is_new(database: Database) -> None:
    sent(database, "one", "two", "three")
    taken(database, limit=2)
    assert bodies(taken(database, "r2", LATER, limit=1)) == ["one"]
    assert bodies(taken(database, "r2", LATER)) == ["two", "three"]


def test_who_looks_whether_something_is_due_takes_nothing(database: Database) -> None:
    def is_due(now: datetime) -> bool:
        with database.read() as session:
            return messages.is_due(session, NODE, ALICE, now=now)

    assert not is_due(NOW)
    sent(database, "one")
    assert is_due(NOW)
    (one,) = taken(database)
    assert not is_due(NOW)
    assert is_due(LATER)
    acked(database, one.seq)
    assert not is_due(LATER)


def test_readers_at_once_never_get_the_same_message(database: Database) -> None:
    sent(database, *map(str, range(60)))

    def read(number: int) -> list[int]:
        found = []
        while some := taken(database, f"r{number}", limit=7):
            found += [message.seq for message in some]
        return found

    seqs = [seq for found in at_once(6, read) for seq in found]
    everything = [message.seq for message in waiting(database)]
    assert len(seqs) == len(set(seqs))
    assert set(seqs) <= set(everything)
    taken(database, "last")  # on PostgreSQL, what others were taking is passed over
    assert taken(database, "nobody") == []


@ON_POSTGRES
def test_a_reader_does_not_wait_for_another_one(database: Database) -> None:
    sent(database, "one", "two", "three")

    def take(session: Session, reader: str) -> list[str]:
        found = messages.take(
            session, NODE, ALICE, reader=reader, now=NOW, leased_until=LATER, limit=2
        )
        return bodies(found)

    def second(session: Session) -> list[str]:
        return take(session, "r2")

    assert beside(database, lambda session: take(session, "r1"), second) == ["three"]


# To acknowledge


def test_what_was_acknowledged_does_not_come_back_and_twice_is_once(database: Database) -> None:
    sent(database, "one", "two")
    one, two = (message.seq for message in taken(database))
    assert acked(database, one, now=LATER) == 1
    assert acked(database, one, two, now=EVEN_LATER) == 1
    assert acked(database, one, two, 4711, now=EVEN_LATER) == 0
    assert taken(database, "r2", EVEN_LATER + LEASE) == []
    with database.read() as session:
        assert messages.find(session, one).acked_at == LATER
        assert inboxes.count(session, NODE, ALICE) == 0


def test_a_late_reader_may_still_acknowledge(database: Database) -> None:
    """It has seen to it: nobody else should."""
    sent(database, "one")
    (one,) = taken(database)
    taken(database, "r2", LATER)
    assert acked(database, one.seq, now=LATER) == 1
    assert taken(database, "r3", EVEN_LATER) == []


def test_one_acknowledges_only_what_is_ones_own_where_that_is_said(database: Database) -> None:
    sent(database, "alices")
    sent(database, "bobs", to=BOB)
    sent(database, "far", node=FAR)
    with database.write() as session:
        seqs = range(1, 1000)
        assert messages.ack(session, seqs, node=NODE, recipient=BOB, now=NOW) == 1
    assert bodies(waiting(database)) == ["alices"]
    assert bodies(waiting(database, node=FAR)) == ["far"]
    assert acked(database, *seqs) == 2
    assert [waiting(database), waiting(database, BOB), waiting(database, node=FAR)] == [[]] * 3


def test_many_that_acknowledge_at_once_count_each_message_once(database: Database) -> None:
    sent(database, *map(str, range(20)))
    seqs = [message.seq for message in taken(database)]
    turned = [seqs, seqs[::-1]] * 3
    assert sum(at_once(6, lambda number: acked(database, *turned[number]))) == 20
    assert waiting(database) == []


def test_the_newest_are_listed_with_those_that_were_acknowledged(database: Database) -> None:
    sent(database, "one", "two", "three", "four")
    seqs = [message.seq for message in waiting(database)]
    acked(database, seqs[0], seqs[2])
    with database.read() as session:
        assert bodies(messages.listed(session, NODE, ALICE, limit=3)) == ["two", "three", "four"]
        assert bodies(messages.listed(session, NODE, ALICE, limit=9))[0] == "one"


# Prune


def pruned(database: Database, *, kept: int = 1000, limit: int = 100) -> int:
    with database.write() as session:
        return messages.prune(session, before=LATER, kept=kept, limit=limit)


def left(database: Database) -> list[str]:
    with database.read() as session:
        return bodies(messages.listed(session, NODE, ALICE, limit=1000))


def test_what_was_acknowledged_long_ago_goes_oldest_first(database: Database) -> None:
    sent(database, "one", "two", "three", "four")
    seqs = [message.seq for message in taken(database)]
    acked(database, seqs[1], now=NOW - LEASE)
    acked(database, seqs[0], now=NOW)
    acked(database, seqs[2], now=LATER)
    assert pruned(database, limit=1) == 1
    assert left(database) == ["one", "three", "four"]
    assert [pruned(database), pruned(database)] == [1, 0]
    assert left(database) == ["three", "four"]


def test_of_too_many_the_oldest_go_and_none_that_waits(database: Database) -> None:
    sent(database, *"abcdef")
    sent(database, *"xyz", to=BOB)
    seqs = [message.seq for message in waiting(database)]
    acked(database, *seqs[1:5], now=LATER)
    acked(database, *(message.seq for message in waiting(database, BOB)), now=LATER)
    assert pruned(database, kept=3, limit=1) == 1
    assert left(database) == ["a", "c", "d", "e", "f"]
    assert pruned(database, kept=1, limit=3) == 3
    assert left(database) == ["a", "e", "f"]
    assert [pruned(database, kept=1, limit=3), pruned(database, kept=1)] == [1, 0]
    assert left(database) == ["a", "e", "f"]
    assert bodies(waiting(database)) == ["a", "f"]


def test_the_chore_prunes_messages_and_never_what_waits(database: Database) -> None:
    long_ago = NOW - KEPT - timedelta(days=1)
    filled(database, 5, acked_at=long_ago)
    filled(database, 3, sent_at=long_ago)
    assert Prune(database).run_once(NOW).forgotten == 5
    assert len(waiting(database)) == 5
    filled(database, 5, acked_at=NOW)
    assert Prune(database, messages_kept=2).run_once(NOW).forgotten == 3
    assert len(waiting(database)) == 6


# A hundred thousand


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, object]]]:
    """What is sent to the database meanwhile."""
    seen: list[tuple[str, object]] = []

    def see(*sent: object) -> None:
        seen.append((f"{sent[2]}", sent[3]))

    event.listen(database.engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", see)


def plans(database: Database, seen: list[tuple[str, object]]) -> list[str]:
    """How SQLite goes about them."""
    with database.engine.connect() as connection:
        found = []
        for sql, bound in seen:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", bound)  # type: ignore[arg-type]
            found.append("\n".join(row.detail for row in rows))
        return found


def test_among_a_hundred_thousand_each_act_takes_few_statements(database: Database) -> None:
    filled(database, MANY)
    with statements(database) as seen:
        sent(database, "one more")
        found = taken(database, limit=10)
        assert acked(database, *(message.seq for message in found)) == 10
        assert len(taken(database, limit=10)) == 10
    asked = [sql for sql, _ in seen if re.match("(SELECT|INSERT|UPDATE|WITH|DELETE)", sql)]
    assert len(asked) == 2 + 3 + 2 + 3
    with database.read() as session:
        assert inboxes.count(session, NODE, ALICE) == MANY - 8
        assert len(messages.waiting(session, NODE, ALICE, limit=20)) == 20


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_look_at_an_inbox_goes_by_an_index_and_sorts_nothing(database: Database) -> None:
    with statements(database) as seen:
        sent(database, "one")
        (one,) = taken(database)
        with database.read() as session:
            messages.is_due(session, NODE, ALICE, now=NOW)
            messages.waiting(session, NODE, ALICE, limit=9)
            messages.listed(session, NODE, ALICE, limit=9)
            inboxes.count(session, NODE, ALICE)
        acked(database, one.seq)
        pruned(database)
    asked = [each for each in seen if re.match("(SELECT|UPDATE|WITH|DELETE)", each[0])]
    assert len(asked) > 8
    found = plans(database, asked)
    takes = [plan for plan, (sql, _) in zip(found, asked, strict=True) if "deliveries +" in sql]
    assert len(takes) == 3
    assert all("USING" in plan and "ix_messages_due" in plan for plan in takes), takes
    for plan, (sql, _) in zip(found, asked, strict=True):
        assert "SCAN messages" not in plan, (sql, plan)
        assert "TEMP B-TREE FOR ORDER BY" not in plan, (sql, plan)


# What jobs tell


def a_manager(database: Database, **overrides: object) -> None:
    with database.write() as session:
        manager = an_agent(name=AgentName(MANAGER), port=8000, **overrides)
        agents.put(session, manager, now=NOW)


def test_the_end_of_a_job_is_told_with_it_and_not_without_it(database: Database) -> None:
    a_manager(database)
    with pytest.raises(KeyboardInterrupt), database.write() as session:
        job = a_running_job(session)
        moves.make(session, job.id, FINISH, now=LATER, attempt=1, result={"rev": "a" * 40})
        raise KeyboardInterrupt
    assert waiting(database, MANAGER) == []
    with database.write() as session:
        job = a_running_job(session)
        moves.make(session, job.id, FINISH, now=LATER, attempt=1, result={"rev": "a" * 40})
    (message,) = waiting(database, MANAGER)
    assert (message.topic, message.sender, message.sent_at) == ("spawned", "hive", LATER)
    assert message.data == {
        "job": job.id, "agent": "alice", "ok": True, "state": "succeeded", "sha": "a" * 40,
    }  # fmt: skip


def test_the_inbox_of_who_is_purged_goes_and_what_others_are_told_of_it_stays(
    database: Database,
) -> None:
    a_manager(database)
    with database.write() as session:
        agents.put(session, an_agent(), now=NOW)
    sent(database, "one")
    for forgets in (False, True):
        with database.write() as session:
            job = a_running_job(session, kind="purge" if forgets else "destroy")
            gone = Finished({}, Aftermath(is_last=True, forgets=forgets))
            ending.write(session, job, gone, failure_limit=1, now=LATER)
        assert len(waiting(database)) == (0 if forgets else 1)
    assert [one.topic for one in waiting(database, MANAGER)] == ["destroyed", "destroyed"]


def test_only_a_manager_that_is_there_is_told(database: Database) -> None:
    def one_ends() -> None:
        with database.write() as session:
            job = a_running_job(session)
            moves.make(session, job.id, FINISH, now=LATER, attempt=1)

    one_ends()
    a_manager(database, node=FAR)
    a_manager(database, desired=Desired.DESTROYED)
    one_ends()
    assert [waiting(database, MANAGER), waiting(database, MANAGER, FAR)] == [[], []]
    a_manager(database, desired=Desired.STOPPED)
    one_ends()
    assert len(waiting(database, MANAGER)) == 1


def test_what_the_clock_asks_for_and_fails_again_and_again_is_told_once_until_that_changes(
    database: Database,
) -> None:
    ill, worse = Trouble("git-failed", "no main"), Trouble("git-failed", "no meta")
    ends = (ill, ill, worse, worse, None, worse, worse)
    for error in ends:
        with database.write() as session:
            job = a_running_job(
                session,
                kind="reconcile",
                agent=None,
                lock="reconcile:here",
                requested_by="schedule:sweep",
            )
            move = FAIL if error else FINISH
            moves.make(session, job.id, move, now=NOW, attempt=1, error=error)
    said = [one.data and one.data.get("note") for one in waiting(database, OPERATOR, None)]
    assert said == ["no main", "no meta", "no meta"]


def test_each_agent_whose_job_fails_is_told_of_however_alike(database: Database) -> None:
    ill = Trouble("not-ready", "nobody answers")
    for _ in range(2):
        with database.write() as session:
            job = a_running_job(session, kind="start", requested_by="sweep")
            moves.make(session, job.id, FAIL, now=NOW, attempt=1, error=ill)
    assert len(waiting(database, OPERATOR, None)) == 2


def test_what_waits_is_told_to_the_operator_and_a_denial_to_the_manager(
    database: Database,
) -> None:
    a_manager(database)
    with database.write() as session:
        job = a_running_job(session, kind="apply", ask={"rev": "b" * 40, "message": "a greeting"})
        moves.park(session, job, shown={}, now=NOW)
    (wanted,) = waiting(database, OPERATOR, None)
    assert (wanted.topic, "a greeting" in wanted.body) == ("approval_wanted", True)
    assert waiting(database, MANAGER) == []
    with database.write() as session:
        said = Trouble("denied", "not on a Friday")
        moves.make(session, job.id, DENY, now=LATER, error=said)
    (resolved,) = waiting(database, MANAGER)
    assert resolved.data == {
        "job": job.id, "agent": "alice", "sha": "b" * 40, "state": "denied",
        "note": "not on a Friday", "tag": f"denied/{job.id}",
    }  # fmt: skip


def test_a_full_inbox_holds_up_no_job(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    a_manager(database)
    with database.write() as session:
        counted = {"node": NODE, "recipient": MANAGER, "open": telling.CAP}
        session.execute(insert(inboxes.INBOXES), counted)
        job = a_running_job(session)
        moves.make(session, job.id, FAIL, now=LATER, attempt=1, error=Trouble("x", "no"))
    (full,) = told(database, "inbox.full")
    assert full.data == {"recipient": MANAGER, "topic": "spawned"}
    assert [event.data["state"] for event in told(database, "job.fail")] == ["failed"]


@pytest.mark.parametrize("move", MOVES, ids=[move.name for move in MOVES])
def test_only_ends_and_gates_touch_an_inbox(database: Database, move: object) -> None:
    """Claims are what the queue does most: not one statement more."""
    a_manager(database)
    (chosen,) = [each for each in MOVES if each is move]
    with database.write() as session:
        job = a_job(session, kind="apply")
        session.execute(text("UPDATE jobs SET state = :s"), {"s": sorted(chosen.start)[0]})
    with statements(database) as seen, database.write() as session:
        moves.make(session, job.id, chosen, now=LATER)
    touched = any("inboxes" in sql or "messages" in sql or "agents" in sql for sql, _ in seen)
    assert touched is (chosen.name == "park" or chosen.end not in ("queued", "running"))


def test_a_claim_touches_no_inbox(database: Database) -> None:
    with database.write() as session:
        a_job(session)
    with statements(database) as seen, database.write() as session:
        assert claimed(session) is not None
    assert not any("inboxes" in sql or "messages" in sql for sql, _ in seen)


def test_jobs_that_end_at_once_tell_each_of_them(database: Database) -> None:
    a_manager(database)
    names = [AgentName(f"a{number}") for number in range(6)]
    with database.write() as session:
        jobs = [
            a_running_job(session, agent=name, lock=f"agent:here/{name}", requested_by="sweep")
            for name in names
        ]

    def end(number: int) -> None:
        with database.write() as session:
            moves.make(session, jobs[number].id, FAIL, now=LATER, error=Trouble("x", "no"))

    at_once(6, end)
    assert len(waiting(database, MANAGER)) == len(waiting(database, OPERATOR, None)) == 6
