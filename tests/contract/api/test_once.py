"""A POST under a key: its answer may be lost, and what it asked for is done once all the same."""

from __future__ import annotations

from datetime import timedelta

from hive.api.app import build_app
from hive.domain.authority import Role
from hive.store import answers
from hive.store.answers import Answer
from hive.store.session import Database
from tests.asking import MIND, Served
from tests.contract.store_samples import NOW
from tests.pretend import ALICE, BOB


def test_a_request_that_is_sent_again_is_answered_the_same(served: Served) -> None:
    ask = served.operator
    number = ask.post("/jobs", {"kind": "stop", "agent": "alice"}).json["id"]
    first = ask.post(f"/jobs/{number}/cancel", key="c1")
    again = ask.post(f"/jobs/{number}/cancel", key="c1")
    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body
    assert again.headers["idempotent-replay"] == "true"
    assert ask.post(f"/jobs/{number}/cancel", key="c2").code == "illegal-move"
    assert ask.post(f"/jobs/{number}/cancel", key="c2").code == "illegal-move"


def test_a_key_is_for_one_request(served: Served) -> None:
    ask = served.operator
    assert ask.post("/nodes/here/pause", key="k").status == 200
    reused = ask.post("/nodes/here/resume", key="k")
    assert (reused.status, reused.code) == (409, "key-reused")


def test_messages_whose_answer_was_lost_are_given_again(served: Served) -> None:
    served.operator.post("/messages", {"to": "alice", "text": "hello"})
    alice = served.agent(ALICE)
    first = alice.post("/inbox/alice/take", {"limit": 1}, key="t1").items
    assert first == alice.post("/inbox/alice/take", {"limit": 1}, key="t1").items
    assert alice.post("/inbox/alice/take", {"limit": 1}, key="t2").items == []


def test_one_does_not_hear_the_answer_of_another(served: Served) -> None:
    for who in (ALICE, BOB):
        served.operator.post("/messages", {"to": who, "text": f"to {who}"})
    for who in (ALICE, BOB):
        (message,) = served.agent(who).post(f"/inbox/{who}/take", key="same").items
        assert message["text"] == f"to {who}"


def test_who_may_not_ask_hears_so_under_a_key_too(served: Served) -> None:
    assert served.agent(MIND).post("/nodes/here/pause", key="k").code == "not-allowed"
    assert served.tcp(None).post("/nodes/here/pause", key="k").code == "no-token"
    assert served.operator.post("/nodes/here/pause", key="x" * 201).code == "bad-request"


def test_a_secret_is_said_once_and_kept_nowhere(served: Served) -> None:
    made = [served.operator.post("/tokens", {"role": "viewer"}, key="k") for _ in range(2)]
    assert made[0].json["id"] != made[1].json["id"]
    with served.host.database.read() as session:
        assert session.execute(answers.ANSWERS.select()).all() == []
    assert served.tcp(Role.VIEWER).get("/whoami").status == 200


def test_answers_are_kept_for_a_day(database: Database) -> None:
    for number, at in enumerate((NOW, NOW + timedelta(hours=25))):
        with database.write() as session:
            answers.keep(session, Answer(f"k{number}", "r", 200, "{}"), now=at)
    with database.read() as session:
        assert answers.find(session, "k0") is None
        assert answers.find(session, "k1") == Answer("k1", "r", 200, "{}")


def test_the_first_answer_under_a_key_stays(database: Database) -> None:
    for body in ("first", "second"):
        with database.write() as session:
            answers.keep(session, Answer("k", "r", 200, body), now=NOW)
    with database.read() as session:
        assert answers.find(session, "k") == Answer("k", "r", 200, "first")


def test_every_post_is_described_with_its_key() -> None:
    for path, methods in build_app(None).openapi()["paths"].items():
        for method, said in methods.items():
            names = [one["name"] for one in said.get("parameters", [])]
            assert ("Idempotency-Key" in names) is (method == "post"), path
            assert len(names) == len(set(names))


def test_what_was_refused_may_be_asked_again_under_its_key(served: Served) -> None:
    ask = served.operator
    assert ask.post("/schedules/nightly/run", key="k").code == "no-such-schedule"
    ask.post("/schedules", {"name": "nightly", "cron": "0 4 * * *", "verb": "sweep"})
    assert ask.post("/schedules/nightly/run", key="k").status == 202
