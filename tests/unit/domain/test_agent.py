"""An agent's settings, as they are stored."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.agent import LIMITING, AgentSettings, Health
from hive.errors import Refused

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


# What an operator sets

VALUES = {
    "memory_max": st.integers(16 * 1024**2, 2**62 - 1).map(str),
    "cpu_quota": st.integers(1, 100_000).map(lambda n: f"{n}%"),
    "tasks_max": st.integers(1, 4_194_304).map(str) | st.sampled_from(("", "none")),
    "health": st.sampled_from(Health).map(str),
    "privileged": st.sampled_from(("yes", "no")),
    "autostart": st.sampled_from(("yes", "no")),
    "model": st.text("abc XYZ-.=\"'${}\\", max_size=20),
    "allowed_tools": st.text("abc XYZ-.=\"'${}\\", max_size=20),
}
KEYS = tuple(VALUES)


@given(SETTINGS, st.data(), st.sampled_from(KEYS))
def test_one_setting_is_changed_and_no_other(
    settings: AgentSettings, data: st.DataObject, key: str
) -> None:
    said = data.draw(VALUES[key])
    changed = settings.with_one(f"{key}={said}")
    others = [name for name in KEYS if name != key]
    assert [getattr(changed, name) for name in others] == [getattr(settings, n) for n in others]
    assert changed.with_one(f"{key}={said}") == changed
    assert AgentSettings.from_json(json.loads(json.dumps(changed.as_json()))) == changed


def test_every_setting_can_be_set() -> None:
    assert set(KEYS) == set(AgentSettings().as_json())


@pytest.mark.parametrize(
    ("said", "key", "value"),
    [
        ("memory_max=16M", "memory_max", 16 * 1024**2),
        ("memory_max=2G", "memory_max", 2 * 1024**3),
        ("memory_max=1T", "memory_max", 1024**4),
        ("memory_max=20480K", "memory_max", 20 * 1024**2),
        ("cpu_quota=250", "cpu_quota", 250),
        ("cpu_quota=75%", "cpu_quota", 75),
        ("tasks_max=99", "tasks_max", 99),
        ("tasks_max=none", "tasks_max", None),
        ("tasks_max=", "tasks_max", None),
        ("health=port", "health", Health.PORT),
        ("privileged=yes", "privileged", True),
        ("autostart=no", "autostart", False),
        ("model=opus", "model", "opus"),
        ("model=a=b", "model", "a=b"),
        ("model=", "model", None),
        ("allowed_tools=Bash(git *),Read", "allowed_tools", "Bash(git *),Read"),
    ],
)
def test_a_setting_is_read_as_a_person_writes_it(said: str, key: str, value: object) -> None:
    assert getattr(AgentSettings().with_one(said), key) == value


@pytest.mark.parametrize(
    "said",
    [
        "",
        "=",
        "memory_max",
        "colour=red",
        "Model=opus",
        " model=opus",
        "memory_max=",
        "memory_max=-1",
        "memory_max=16",
        "memory_max=15M",
        "memory_max=16MB",
        "memory_max=16m",
        "memory_max=1.5G",
        "memory_max=٣G",
        "memory_max=99999999999T",
        "cpu_quota=0",
        "cpu_quota=-5",
        "cpu_quota=5%%",
        "cpu_quota=²",
        "cpu_quota=100001",
        "cpu_quota=half",
        "tasks_max=0",
        "tasks_max=-1",
        "tasks_max=4194305",
        "tasks_max=" + "9" * 5000,
        "health=pulse",
        "health=UNIT",
        "privileged=true",
        "privileged=",
        "autostart=1",
        "model=two\nlines",
        "model=\x1b[31m",
        "model=\x00",
        "allowed_tools=" + "x" * 1001,
    ],
)
def test_what_is_no_setting_is_refused_with_what_would_be(said: str) -> None:
    with pytest.raises(Refused) as caught:
        AgentSettings().with_one(said)
    assert caught.value.code == "bad-setting"
    assert caught.value.hint


@given(st.sampled_from(KEYS), st.text())
def test_whatever_is_said_is_taken_or_refused(key: str, said: str) -> None:
    try:
        changed = AgentSettings().with_one(f"{key}={said}")
    except Refused as refused:
        assert refused.code == "bad-setting"
    else:
        assert AgentSettings.from_json(json.loads(json.dumps(changed.as_json()))) == changed


def test_only_what_is_set_is_told_in_place_of_agent_nix() -> None:
    assert AgentSettings().overrides == ()
    assert AgentSettings(model="opus", allowed_tools="Read").overrides == (
        ("HIVE_ALLOWED_TOOLS", "Read"),
        ("HIVE_MODEL", "opus"),
    )


def test_limits_are_settings() -> None:
    assert set(KEYS) >= LIMITING
