"""Moving in from hyperhive, as a person types it, on a pretend host."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hive.domain.conf import FLAGS, read
from tests.acceptance.test_lifecycle import committed, leader
from tests.acceptance.test_spawn import Person, a_person, refused
from tests.old_tree import OLD_JOB, age, git, layout_of
from tests.pretend import Moulds, tree

OPERATORS = "--bind=/tmp:/models"
CHANGING = ("sim/proc", "sim/journal", "sim/units", "sim/tmp", "hive.sqlite", "hive.sqlite-wal",
            "hive.sqlite-shm")  # fmt: skip


@pytest.fixture
def person(moulds: Moulds) -> Iterator[Person]:
    """Whose host hyperhive has left, with alice running."""
    with a_person(moulds.almost_spawned()) as person:
        person.does("spawn", "alice")
        age(person.state, extra_flags=OPERATORS)
        yield person


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Person]:
    """Whose host hyperhive has left: alice runs, bob was stopped, carol was destroyed."""
    with a_person(tmp_path) as person:
        for name in ("alice", "bob", "carol"):
            person.does("spawn", name)
        person.does("stop", "bob")
        person.does("destroy", "carol", "--yes")
        age(person.state, extra_flags=OPERATORS)
        yield person


def planned(person: Person, *words: str) -> dict[str, bool]:
    return {step["name"]: step["holds"] for step in person.sees("plan", *words)}


def conf(person: Person) -> dict[str, str]:
    return {**read(layout_of(person.state).conf_dir.joinpath("h-alice.conf").read_text())}


def agents(person: Person) -> dict[str, Any]:
    return {agent["name"]: agent for agent in person.sees("agents")}


def test_a_tree_is_adopted_as_it_is_and_then_changed_like_any_other(crowd: Person) -> None:
    person = crowd
    before, main_pid, rev = conf(person), leader(person), applied(person)
    plan = planned(person, "adopt")
    assert plan == {
        "OldDaemonGone": True, "AppliedAdopted": True, "HomeReady": True, "MetaAdopted": False,
    }  # fmt: skip

    done = person.sees("adopt", "--yes")
    assert (done["state"], done["kind"], done["agent"]) == ("succeeded", "adopt", None)
    assert done["result"] == {"agents": ["alice", "bob"], "kept": ["carol"]}
    assert done["id"] > OLD_JOB
    assert (conf(person), leader(person), applied(person)) == (before, main_pid, rev)
    found = agents(person)
    assert list(found) == ["alice", "bob"]
    assert [found[name]["desired"] for name in found] == ["running", "stopped"]
    assert found["alice"]["deployed"] == {"job": OLD_JOB, "sha": rev}
    assert found["alice"]["running"]
    assert [each["name"] for each in person.sees("kept")] == ["carol"]
    assert subjects(person) == [
        f"deploy bob deployed/{OLD_JOB} {applied(person, 'bob')[:12]}",
        f"deploy alice deployed/{OLD_JOB} {rev[:12]}",
        f"adopt {done['id']}",
        "deploy alice",
        "",
    ]
    assert "hyperhive.url" in person.git("meta", "show", "main~3:flake.nix")
    assert person.git("meta", "status", "--porcelain") == ""
    assert set(planned(person, "adopt").values()) == {True}

    plan = planned(person, "rebuild", "alice")
    assert (plan["CandidatePinned"], plan["Defined"]) == (True, False), "the conf is as of old"
    person.does("rebuild", "alice")
    assert leader(person) == main_pid, "what it runs is what it was built from"
    assert conf(person)[FLAGS].endswith(f" {OPERATORS}")
    assert conf(person)[FLAGS].count(":idmap") == 3
    assert set(planned(person, "rebuild", "alice").values()) == {True}

    changed = committed(person, GREETING="hello")
    person.does("apply", "alice", changed)
    assert agents(person)["alice"]["deployed"]["sha"] == changed
    person.does("rollback", "alice")
    assert agents(person)["alice"]["deployed"]["sha"] == rev
    person.does("rebuild", "bob")
    person.does("start", "bob")
    assert agents(person)["bob"]["running"]


def applied(person: Person, agent: str = "alice") -> str:
    return person.git(f"applied/{agent}", "rev-parse", "main")


def subjects(person: Person) -> list[str]:
    return [*person.git("meta", "log", "--format=%s").split("\n"), ""]


def test_twice_is_once(person: Person) -> None:
    person.does("adopt", "--yes")
    person.does("agent", "set", "alice", "model=opus")
    before = tree(person.state, without=CHANGING)
    person.does("adopt", "--yes")
    assert tree(person.state, without=CHANGING) == before
    assert person.sees("agent", "show", "alice")["settings"]["model"] == "opus"


def test_nobody_can_be_asked_so_nothing_is_done(person: Person) -> None:
    before = tree(person.state, without=CHANGING)
    ran = person.hive("adopt")
    refused(ran, 2, "not-confirmed", "--yes")
    assert "MetaAdopted" in ran.tail
    assert tree(person.state, without=CHANGING) == before
    assert person.sees("jobs") == []


def test_nothing_is_adopted_while_the_old_daemon_answers(person: Person) -> None:
    path = layout_of(person.state).host_socket
    with closing(socket.socket(socket.AF_UNIX)) as daemon:
        daemon.bind(str(path))
        daemon.listen()
        refused(person.hive("adopt", "--yes"), 2, "old-daemon", "hive-c0re")
        assert planned(person, "adopt")["OldDaemonGone"] is False
    assert person.sees("jobs") == []
    person.does("adopt", "--yes")


def test_limits_of_a_drop_in_become_settings(person: Person) -> None:
    drop_in = next(layout_of(person.state).systemd.glob("container@h-alice*/*.conf"))
    drop_in.write_text("[Service]\nMemoryMax=3G\nCPUQuota=75%\n")
    person.does("adopt", "--yes")
    settings = person.sees("agent", "show", "alice")["settings"]
    assert (settings["memory_max"], settings["cpu_quota"]) == (3 << 30, 75)


def test_a_lock_that_pins_no_commit_is_refused_with_what_was_found(person: Person) -> None:
    lock = person.state / "meta/flake.lock"
    lock.write_text(lock.read_text().replace(applied(person), "main"))
    git(person.state / "meta", "commit", "--quiet", "--all", "--message", "by hand")
    refused(person.hive("adopt", "--yes"), 2, "foreign-meta")
    refused(person.hive("plan", "adopt"), 2, "foreign-meta")


def test_an_empty_host_has_nothing_to_adopt(tmp_path: Path) -> None:
    with a_person(tmp_path) as person:
        done = person.sees("adopt", "--yes")
        assert done["result"] == {"agents": [], "kept": []}
        person.does("spawn", "alice")
