"""Names are checked once: what passed is safe in a path, a unit's name and an argv."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.names import AgentName, ContainerName, Name, NodeName, Rev
from hive.errors import Refused

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
UNSAFE = {
    "nothing": "",
    "ten characters": "a" * 10,
    "a way out": "../x",
    "two dots": "..",
    "a slash": "a/b",
    "an option": "-x",
    "a dash at the end": "x-",
    "a dash alone": "-",
    "a capital": "A",
    "a capital inside": "aBc",
    "an underscore": "a_b",
    "a dot": "a.b",
    "an instance": "a@b",
    "a blank": "a b",
    "a newline": "a\nb",
    "a newline at the end": "alice\n",
    "a newline at the start": "\nalice",
    "a carriage return": "alice\r",
    "NUL": "a\0b",
    "NUL at the end": "alice\0",
    "an accent": "josé",
    "full-width letters": "ａｂ",
    "full-width digits": "a１",
    "arabic digits": "a٣",
    "a superscript": "a²",
    "a mathematical digit": "a𝟏",
    "the Kelvin sign": "aK",
    "a long s": "aſ",
    "a surrogate": "a\udc80",
}
AGENTS = st.from_regex(AgentName.pattern, fullmatch=True).map(AgentName)


@pytest.mark.parametrize("text", UNSAFE.values(), ids=UNSAFE)
def test_what_is_unsafe_is_no_agents_name(text: str) -> None:
    with pytest.raises(Refused) as refused:
        AgentName(text)
    assert refused.value.code == "bad-name"
    assert refused.value.hint
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("text", ["a", "7", "alice", "a-b", "a--b", "0a", "a" * 9, "hm1nd"])
def test_one_to_nine_letters_digits_and_dashes_are_a_name(text: str) -> None:
    assert AgentName(text) == text


@given(st.text(alphabet=LETTERS, max_size=12))
def test_an_agents_name_has_no_dash_at_either_end(text: str) -> None:
    is_name = bool(AgentName.pattern.fullmatch(text))
    assert is_name == (0 < len(text) <= 9 and "-" not in (text[0], text[-1]))


def test_a_container_is_named_for_its_agent_and_its_unit_for_the_container() -> None:
    container = AgentName("alice").container
    assert container == "h-alice"
    assert container.unit == "container@h-alice.service"


def test_the_managers_container_has_no_prefix() -> None:
    manager = AgentName("hm1nd")
    assert manager.is_manager
    assert manager.container == "hm1nd"
    assert manager.container.agent == manager
    assert not AgentName("alice").is_manager


@given(AGENTS)
def test_every_agent_is_found_again_from_its_container(agent: AgentName) -> None:
    assert len(agent.container) <= 11
    assert agent.container.agent == agent


@given(st.from_regex(ContainerName.pattern, fullmatch=True).map(ContainerName))
def test_a_container_is_hives_only_if_an_agent_would_have_it(container: ContainerName) -> None:
    agent = container.agent
    assert agent is None or agent.container == container


@pytest.mark.parametrize("text", ["web", "h", "h-", "h-a-", "alice", "h-hm1nd", "hm1nd2", "hh-a"])
def test_a_container_of_someone_else_has_no_agent(text: str) -> None:
    assert ContainerName(text).agent is None


@pytest.mark.parametrize("text", ["", "a" * 12, "-a", "A", "a b", "a/b", "a\n", "..", "a１"])
def test_what_is_unsafe_is_no_containers_name(text: str) -> None:
    with pytest.raises(Refused, match="is not a container's name"):
        ContainerName(text)


@pytest.mark.parametrize("text", ["main", "a" * 39, "a" * 41, "A" * 40, "a" * 40 + "\n", "１" * 40])
def test_only_a_full_commit_is_a_rev(text: str) -> None:
    with pytest.raises(Refused) as refused:
        Rev(text)
    assert refused.value.code == "bad-rev"


@pytest.mark.parametrize("text", ["", "-a", "a-", "a b", "a/b", "a" * 64, "a\n", "é"])
def test_what_is_no_host_name_is_no_node(text: str) -> None:
    with pytest.raises(Refused) as refused:
        NodeName(text)
    assert "HIVE_NODE" in refused.value.hint


@pytest.mark.parametrize("text", ["a", "host.example.org", "my_host", "A1"])
def test_a_host_name_is_a_node(text: str) -> None:
    assert NodeName(text) == text


@given(AGENTS)
def test_a_name_is_its_text_wherever_text_is_wanted(agent: AgentName) -> None:
    assert isinstance(agent, Name)
    assert {str(agent): 1}[agent] == 1
    assert f"{agent}" == str(agent)
