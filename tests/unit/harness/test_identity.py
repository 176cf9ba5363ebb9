"""Who a harness is, and what it tells of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hive.errors import Refused, Transient
from hive.harness.identity import Identity
from hive.harness.standing import Standing

ENV = {"HIVE_LABEL": "alice", "HIVE_PORT": "8879", "HYPERHIVE_STATE_DIR": "/state"}


def test_it_is_who_its_environment_says() -> None:
    assert Identity.from_env(ENV) == Identity("alice", 8879, Path("/state"))  # type: ignore[arg-type]
    more = {"HIVE_MODEL": "opus", "HIVE_ALLOWED_TOOLS": "Bash", "HIVE_DASHBOARD_PORT": "7000"}
    full = Identity.from_env(ENV | more)
    assert (full.model, full.allowed_tools, full.dashboard_port) == ("opus", "Bash", "7000")


@pytest.mark.parametrize("name", ENV)
def test_without_one_of_these_nobody_knows_who_it_is(name: str) -> None:
    for env in (ENV | {name: ""}, {key: value for key, value in ENV.items() if key != name}):
        with pytest.raises(Refused, match=name) as refused:
            Identity.from_env(env)
        assert refused.value.code == "no-identity"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("HIVE_PORT", "0", "no-identity"),
        ("HIVE_PORT", "65536", "no-identity"),
        ("HIVE_PORT", "-1", "no-identity"),
        ("HIVE_PORT", "٣", "no-identity"),
        ("HYPERHIVE_STATE_DIR", "state", "no-identity"),
        ("HIVE_LABEL", "Alice", "bad-name"),
        ("HIVE_LABEL", "alice\r\nX: y", "bad-name"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        Identity.from_env(ENV | {name: value})
    assert refused.value.code == code


def test_its_status_says_how_many_messages_were_noted_or_what_is_in_the_way() -> None:
    standing = Standing(Identity.from_env(ENV))
    standing.noted = 3
    assert "3 so far" in standing.status
    standing.trouble = Transient("the disk is full", code="not-noted")
    assert standing.status == "default harness: the disk is full [not-noted]"
    assert standing.as_json()["status"] == standing.status


def test_a_program_is_told_instants_as_everywhere_else() -> None:
    at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    told = Standing(Identity.from_env(ENV), since=at).as_json()
    assert (told["since"], told["noted_at"]) == ("2026-03-01T12:30:00.000Z", None)
