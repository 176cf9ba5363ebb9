"""Ports: everyone computes the same one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.names import AgentName
from hive.domain.ports import DASHBOARD_PORT, fnv1a32, port_of

AGENTS = st.from_regex(AgentName.pattern, fullmatch=True).map(AgentName)


@pytest.mark.parametrize(
    ("name", "port"),
    [("alice", 8879), ("bob", 8744), ("coder", 8202), ("iris", 8178), ("hm1nd", 8000)],
)
def test_the_ports_of_the_contract_are_kept(name: str, port: int) -> None:
    assert port_of(AgentName(name)) == port


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("", 0x811C9DC5),
        ("a", 0xE40C292C),
        ("b", 0xE70C2DE5),
        ("foobar", 0xBF9CF968),
        ("chongo was here!\n", 0xD49930D5),
        ("é", 0x1E9DE8C1),
    ],
)
def test_the_hash_is_fnv_1a_of_the_bytes(text: str, digest: int) -> None:
    assert fnv1a32(text) == digest


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_the_hash_fits_32_bits(text: str) -> None:
    assert 0 <= fnv1a32(text) < 2**32


@given(AGENTS)
def test_an_agents_port_is_in_its_range_and_never_the_dashboards(agent: AgentName) -> None:
    port = port_of(agent)
    assert port == 8000 if agent.is_manager else 8100 <= port <= 8999
    assert port != DASHBOARD_PORT
