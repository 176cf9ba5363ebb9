from __future__ import annotations

import pytest

from hive.domain.agent import AgentSettings, Desired
from hive.domain.names import AgentName, NodeName
from hive.errors import Refused
from hive.store import agents
from hive.store.session import Database
from tests.contract.store_samples import ALICE, BOB, LATER, NODE, NOW, an_agent, at_once

ELSEWHERE = NodeName("elsewhere")


def test_an_agent_reads_back_as_it_was_put(database: Database) -> None:
    agent = an_agent(settings=AgentSettings(cpu_quota=70), failed_at=NOW)
    with database.write() as session:
        agents.put(session, agent, now=NOW)
    with database.read() as session:
        assert agents.find(session, NODE, ALICE) == agent
        assert agents.find(session, ELSEWHERE, ALICE) is None


def test_agents_are_listed_by_node_and_name(database: Database) -> None:
    alice, bob = an_agent(), an_agent(name=BOB, port=8744)
    far = an_agent(node=ELSEWHERE)
    with database.write() as session:
        for agent in (bob, alice, far):
            agents.put(session, agent, now=NOW)
        assert agents.listed(session) == [far, alice, bob]
        assert agents.listed(session, NODE) == [alice, bob]


def test_an_agent_that_was_destroyed_comes_back(database: Database) -> None:
    with database.write() as session:
        agents.put(session, an_agent(desired=Desired.DESTROYED), now=NOW)
        agents.put(session, an_agent(), now=LATER)
        assert agents.listed(session) == [an_agent()]


def test_a_port_that_is_taken_is_refused_with_who_has_it(database: Database) -> None:
    with database.write() as session:
        agents.put(session, an_agent(name=BOB, port=8744), now=NOW)
        with pytest.raises(Refused) as refused:
            agents.put(session, an_agent(port=8744), now=NOW)
        assert refused.value.code == "port-taken"
        assert refused.value.message == "port 8744 is already taken by 'bob'"
        assert refused.value.hint == "rename one of them and retry"
        assert agents.find(session, NODE, ALICE) is None


def test_a_port_of_another_node_or_of_a_destroyed_agent_is_free(database: Database) -> None:
    gone = an_agent(name=BOB, desired=Desired.DESTROYED)
    with database.write() as session:
        for agent in (gone, an_agent(node=ELSEWHERE), an_agent()):
            agents.put(session, agent, now=NOW)
        assert len(agents.listed(session)) == 3


def test_an_agent_cannot_come_back_to_a_port_that_was_taken_since(database: Database) -> None:
    with database.write() as session:
        agents.put(session, an_agent(desired=Desired.DESTROYED), now=NOW)
        agents.put(session, an_agent(name=BOB), now=NOW)
        with pytest.raises(Refused, match="taken by 'bob'"):
            agents.put(session, an_agent(), now=LATER)


def test_of_many_that_want_one_port_one_has_it(database: Database) -> None:
    def put(number: int) -> str:
        try:
            with database.write() as session:
                agents.put(session, an_agent(name=AgentName(f"a{number}")), now=NOW)
        except Refused as refused:
            return refused.code
        return "put"

    assert sorted(at_once(8, put)) == ["port-taken"] * 7 + ["put"]


def test_what_is_desired_changes_alone(database: Database) -> None:
    with database.write() as session:
        agents.put(session, an_agent(), now=NOW)
        assert agents.set_desired(session, NODE, ALICE, Desired.STOPPED, now=LATER)
        assert agents.find(session, NODE, ALICE) == an_agent(desired=Desired.STOPPED)
        assert not agents.set_desired(session, NODE, BOB, Desired.STOPPED, now=LATER)


def test_a_forgotten_agent_has_no_row(database: Database) -> None:
    with database.write() as session:
        agents.put(session, an_agent(), now=NOW)
        agents.forget(session, NODE, ALICE)
        agents.forget(session, NODE, BOB)
        assert agents.listed(session) == []
