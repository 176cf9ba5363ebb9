"""An agent's settings, as they are stored."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.agent import AgentSettings, Health

SETTINGS = st.builds(
    AgentSettings,
    memory_max=st.integers(1, 2**62),
    cpu_quota=st.integers(1, 10_000),
    tasks_max=st.none() | st.integers(1, 10**6),
    health=st.sampled_from(Health),
    privileged=st.booleans(),
)


@given(SETTINGS)
def test_settings_come_back_from_json_as_they_were(settings: AgentSettings) -> None:
    again = AgentSettings.from_json(json.loads(json.dumps(settings.as_json())))
    assert again == settings
    assert isinstance(again.health, Health)


def test_what_an_older_hive_did_not_store_has_its_default() -> None:
    assert AgentSettings.from_json({}) == AgentSettings()
    assert AgentSettings.from_json({"cpu_quota": 10}) == AgentSettings(cpu_quota=10)


def test_what_a_newer_hive_stored_is_passed_over() -> None:
    assert AgentSettings.from_json({"colour": "red"}) == AgentSettings()


def test_an_agent_is_unprivileged_unless_an_operator_says_so() -> None:
    assert AgentSettings().privileged is False


def test_a_health_that_nobody_knows_is_not_taken() -> None:
    with pytest.raises(ValueError, match="pulse"):
        AgentSettings.from_json({"health": "pulse"})
