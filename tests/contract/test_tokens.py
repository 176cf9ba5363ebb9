"""Tokens: shown once, stored hashed, good until they expire or are revoked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.authority import Caller, Role
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.errors import NotFound, Refused
from hive.queue.host import Host
from hive.service import tokens
from hive.store import agents
from hive.store import tokens as stored
from hive.store.session import Database
from tests.contract.store_samples import NOW
from tests.databases import migrated
from tests.pretend import ALICE, a_pretend_host

DAY = timedelta(days=1)


class At:
    """A clock that stands."""

    def __init__(self, host: Host, at: datetime) -> None:
        self.real, self.at = host.clock, at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.real.monotonic()

    def sleep(self, duration: timedelta) -> None:
        self.real.sleep(duration)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with a_pretend_host(tmp_path) as pretend:
        migrated(pretend.host.database)
        yield replace(pretend.host, clock=At(pretend.host, NOW))


def later(host: Host, after: timedelta) -> Host:
    return replace(host, clock=At(host, NOW + after))


def test_who_brings_a_token_is_who_it_was_made_for(host: Host) -> None:
    view, said = tokens.create(host, Role.CI, by="root")
    assert tokens.caller(host, said) == Caller(Role.CI, f"token:{view.token.id}")


def test_the_secret_is_nowhere_in_the_database(host: Host) -> None:
    _, said = tokens.create(host, Role.CI, by="root")
    tokens.caller(host, said)
    path = host.database.path
    assert path is not None
    files = [path, *path.parent.glob(f"{path.name}-*")]
    assert not any(said.rpartition("_")[2].encode() in file.read_bytes() for file in files)


def test_a_token_that_expired_or_was_revoked_is_not_good(host: Host) -> None:
    view, said = tokens.create(host, Role.VIEWER, by="root", expires=DAY)
    assert tokens.caller(later(host, DAY - timedelta(seconds=1)), said)
    with pytest.raises(Refused, match="not good"):
        tokens.caller(later(host, DAY), said)
    tokens.revoke(host, view.token.id)
    tokens.revoke(host, view.token.id)
    with pytest.raises(Refused, match="not good"):
        tokens.caller(host, said)


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: s[:-1] + "!", lambda s: "", str.upper]
)
def test_what_is_nearly_a_token_is_none(host: Host, change: object) -> None:
    _, said = tokens.create(host, Role.OPERATOR, by="root")
    with pytest.raises(Refused) as refused:
        tokens.caller(host, change(said))  # type: ignore[operator]
    assert refused.value.code == "no-token"
    assert said not in refused.value.message


def test_the_secret_of_one_does_not_open_another(host: Host) -> None:
    one, said = tokens.create(host, Role.OPERATOR, by="root")
    other, _ = tokens.create(host, Role.OPERATOR, by="root")
    with pytest.raises(Refused):
        tokens.caller(host, said.replace(f"_{one.token.id}_", f"_{other.token.id}_", 1))


def test_its_last_use_is_noted_once_a_minute(host: Host) -> None:
    _, said = tokens.create(host, Role.OPERATOR, by="root")
    for seconds in (0, 59, 60):
        tokens.caller(later(host, timedelta(seconds=seconds)), said)
        (view,) = tokens.listed(host)
        assert view.token.used_at == NOW + timedelta(seconds=seconds // 60 * 60)


def test_an_agents_token_is_for_an_agent_that_is_there(host: Host) -> None:
    with pytest.raises(NotFound):
        tokens.create(host, Role.AGENT, by="root", agent=ALICE)
    row = Agent(host.node, ALICE, port_of(ALICE), Desired.RUNNING, AgentSettings())
    with host.database.write() as session:
        agents.put(session, row, now=NOW)
    _, said = tokens.create(host, Role.AGENT, by="root", agent=ALICE)
    assert tokens.caller(host, said) == Caller(Role.AGENT, "alice", ALICE)


@pytest.mark.parametrize(
    ("role", "agent"),
    [(Role.AGENT, None), (Role.AGENT, AgentName("hm1nd")), (Role.OPERATOR, ALICE),
     (Role.MANAGER, ALICE), (Role.CI, ALICE)],
)  # fmt: skip
def test_a_token_for_whom_its_role_is_not_is_refused(
    host: Host, role: Role, agent: AgentName | None
) -> None:
    with pytest.raises(Refused) as refused:
        tokens.create(host, role, by="root", agent=agent)
    assert refused.value.code == "bad-token"


def test_the_managers_token_is_the_managers(host: Host) -> None:
    _, said = tokens.create(host, Role.MANAGER, by="root")
    assert tokens.caller(host, said).agent == "hm1nd"


def test_what_was_revoked_is_listed_and_what_never_was_is_not_revoked(host: Host) -> None:
    view, _ = tokens.create(host, Role.CI, by="root")
    tokens.revoke(host, view.token.id)
    assert [one.token.revoked_at for one in tokens.listed(host)] == [NOW]
    with pytest.raises(NotFound):
        tokens.revoke(host, 99)


def test_a_number_is_never_given_again(database: Database) -> None:
    with database.write() as session:
        first = stored.add(session, Role.CI, None, "x", by="root", now=NOW, expires_at=None)
        session.execute(text("DELETE FROM tokens"))
        again = stored.add(session, Role.CI, None, "x", by="root", now=NOW, expires_at=None)
    assert again.id > first.id
