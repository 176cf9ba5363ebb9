"""Whatever the description lets them ask, every role is answered as it says, and does no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hive.domain.authority import Role
from hive.domain.names import AgentName
from tests.asking import MIND, Client, Served, a_served_host
from tests.described import Asker, Values, operations
from tests.pretend import ALICE, BOB

FEW, MANY = 4, 120
"""Examples of an operation: those of every run, and those of a soak."""
WHO: dict[Role, AgentName | None] = {
    Role.OPERATOR: None, Role.VIEWER: None, Role.CI: None, Role.MANAGER: MIND, Role.AGENT: ALICE,
}  # fmt: skip


@contextmanager
def somebody(folder: Path, role: Role, **settings: str) -> Iterator[Asker]:
    with a_served_host(folder, **settings) as served:
        there = filled(served)
        client = door(served, role)
        client.get("/whoami")  # the first time a token is used is written down
        changes = served.host.database.changes()
        yield Asker(served.host, client, role, WHO[role], there, changes)


def door(served: Served, role: Role) -> Client:
    """Each by its own."""
    if role is Role.OPERATOR:
        return served.operator
    agent = WHO[role]
    return served.tcp(role) if agent is None else served.agent(agent)


def filled(served: Served) -> Values:
    """Something of everything."""
    ask, names = served.operator, [ALICE, BOB, MIND]
    jobs = [ask.post("/jobs", {"kind": kind, "agent": agent}).json["id"]
            for agent in names for kind in ("stop", "rebuild")]  # fmt: skip
    ask.post(f"/jobs/{jobs[0]}/cancel")
    for name in (*names, "operator"):
        ask.post("/messages", {"to": name, "text": "hello"})
    ask.post("/schedules", {"name": "nightly", "cron": "0 4 * * *", "verb": "sweep"})
    tokens = [ask.post("/tokens", {"role": "viewer"}).json["id"] for _ in range(3)]
    return {
        "name": [*map(str, names), "nightly"], "agent": list(map(str, names)), "node": ["here"],
        "recipient": [*map(str, names), "operator"], "to": [*map(str, names), "operator"],
        "number": [*jobs, *tokens],
    }  # fmt: skip


@pytest.mark.parametrize("role", Role)
def test_every_role_is_answered_as_described_and_does_no_more_than_it_may(
    tmp_path: Path, role: Role
) -> None:
    with somebody(tmp_path, role) as asker:
        for operation in operations():
            asker.asks(operation, examples=FEW)
    assert asker.has_asked_widely


@pytest.mark.parametrize("role", Role)
@pytest.mark.soak
def test_every_role_asks_a_great_many_things(tmp_path: Path, role: Role) -> None:
    with somebody(tmp_path, role) as asker:
        for operation in operations():
            asker.asks(operation, examples=MANY)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.MANAGER])
@pytest.mark.soak
def test_so_it_is_on_postgres(tmp_path: Path, role: Role, migrated_postgres_url: str) -> None:
    with somebody(tmp_path, role, HIVE_DATABASE_URL=migrated_postgres_url) as asker:
        for operation in operations():
            asker.asks(operation, examples=MANY)
