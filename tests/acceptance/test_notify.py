"""`hive notify`, as a person types it, and the jobs that call."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_spawn import Person, a_person, refused
from tests.fleet import a_fleet
from tests.listener import a_listener

SECRET = "hunter2"


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    with a_person(tmp_path) as person:
        yield person


def test_a_notifier_is_added_shown_tested_switched_and_removed(person: Person) -> None:
    heard = person.folder / "heard"
    argv = ("sh", "-c", 'cat >>"$0"', str(heard))
    person.does("notify", "add", "ops", "--on", "job.fail,job.lose", "--on", "agent.*", "--", *argv)
    (shown,) = person.sees("notify", "list")
    assert shown == {
        "name": "ops", "node": "here", "kinds": ["job.fail", "job.lose", "agent.*"],
        "command": list(argv), "url": None, "url_file": None, "enabled": True, "after": 0,
        "queued": 0,
    }  # fmt: skip
    assert "job.fail,job.lose,agent.*" in person.does("notify", "list")
    person.does("notify", "test", "ops")
    assert json.loads(heard.read_text())["kind"] == "notify.test"
    person.does("notify", "disable", "ops")
    assert person.sees("notify", "list")[0]["enabled"] is False
    person.does("notify", "enable", "ops")
    person.does("notify", "remove", "ops")
    assert person.sees("notify", "list") == []
    refused(person.hive("notify", "test", "ops"), 2, "no-such-notifier")


def test_what_could_never_be_called_is_refused(person: Person) -> None:
    for words in (
        ("--on", "job.fail"),
        ("--url", "http://h/"),
        ("--on", "job.fail", "--url", "http://h/", "--", "true"),
        ("--on", "job.fail", "--url", f"http://a:{SECRET}@h/"),
        ("--on", "job.fail", "--url-file", "here"),
    ):
        ran = person.hive("notify", "add", "ops", *words)
        refused(ran, 2, "bad-notifier")
        assert SECRET not in ran.tail
    refused(
        person.hive("notify", "add", "ops", "--on", "*", "--url", "ftp://h"), 2, "bad-notifier-url"
    )
    refused(person.hive("notify", "add", "Ops", "--on", "*", "--", "true"), 2, "bad-name")


def test_a_secret_in_a_file_is_shown_nowhere(person: Person) -> None:
    file = person.folder / "url"
    with a_listener(404) as listener:
        file.write_text(listener.url(f"/{SECRET}?token={SECRET}"))
        person.does("notify", "add", "ops", "--on", "*", "--url-file", str(file))
        ran = person.hive("notify", "test", "ops")
        assert ran.exit_code == 1
        assert "[call-refused]" in ran.tail
    assert listener.heard[0][0] == f"/{SECRET}?token={SECRET}"
    for words in (
        ("notify", "list"), ("notify", "list", "--json"), ("jobs", "--json"), ("logs", "1"),
        ("job", "show", "1"), ("events", "--json"), ("status", "--json"),
    ):  # fmt: skip
        assert SECRET not in person.does(*words)
    assert SECRET not in ran.tail


def test_a_hive_that_is_up_tells_of_what_fails_and_nothing_waits_for_it(tmp_path: Path) -> None:
    with a_fleet(tmp_path) as fleet, a_listener(200) as listener:
        add = ("notify", "add", "ops", "--on", "job.cancel", "--url", listener.url("/ops"))
        assert fleet.hive(*add).ended() == 0
        hanging = ("notify", "add", "slow", "--on", "job.cancel", "--", "sleep", "600")
        assert fleet.hive(*hanging).ended() == 0
        cancelled = fleet.submit("alice")
        assert fleet.hive("cancel", str(cancelled)).ended() == 0
        up = fleet.hive("up")
        fleet.until(lambda: listener.heard, "somebody hears of it")
        up.signal(signal.SIGTERM)
        assert up.ended() == 0
    ((path, event),) = listener.heard
    assert path == "/ops"
    assert (event["kind"], event["job"], event["agent"]) == ("job.cancel", cancelled, "alice")
