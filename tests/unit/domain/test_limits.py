"""Limits: what hive writes into the drop-in, and what systemd shows of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.agent import AgentSettings
from hive.domain.limits import Limits, microseconds

SHOWN = {"MemoryMax": "2147483648", "CPUQuotaPerSecUSec": "500ms", "TasksMax": "4915"}


def test_the_defaults_are_two_gigabytes_and_half_a_core() -> None:
    assert Limits.of(AgentSettings()).drop_in() == (
        "[Service]\nMemoryMax=2147483648\nCPUQuota=50%\n"
    )


def test_tasks_are_limited_where_an_operator_says_so() -> None:
    text = Limits.of(AgentSettings(memory_max=1024, cpu_quota=250, tasks_max=99)).drop_in()
    assert text == "[Service]\nMemoryMax=1024\nCPUQuota=250%\nTasksMax=99\n"


def test_no_limit_writes_no_line() -> None:
    assert Limits(None, None, None).drop_in() == "[Service]\n"


def test_what_systemd_shows_is_what_hive_wrote() -> None:
    assert Limits.shown(SHOWN, with_tasks=False) == Limits.of(AgentSettings())


def test_systemds_own_limit_of_tasks_counts_only_beside_one_of_hives() -> None:
    settings = AgentSettings(tasks_max=4915)
    assert Limits.shown(SHOWN, with_tasks=True) == Limits.of(settings)
    assert Limits.shown(SHOWN, with_tasks=False) != Limits.of(settings)


@pytest.mark.parametrize(
    "changed",
    [
        {"MemoryMax": "infinity"},
        {"MemoryMax": "2147483647"},
        {"CPUQuotaPerSecUSec": "infinity"},
        {"CPUQuotaPerSecUSec": "5s"},
    ],
)
def test_another_limit_differs(changed: dict[str, str]) -> None:
    assert Limits.shown(SHOWN | changed, with_tasks=False) != Limits.of(AgentSettings())


@pytest.mark.parametrize(
    "shown", [{}, dict.fromkeys(SHOWN, "infinity"), dict.fromkeys(SHOWN, "18446744073709551615")]
)
def test_infinity_and_nothing_are_no_limit(shown: dict[str, str]) -> None:
    shown = {**shown, "CPUQuotaPerSecUSec": "infinity"}
    assert Limits.shown(shown, with_tasks=True) == Limits(None, None, None)


@pytest.mark.parametrize(
    ("span", "value"),
    [
        ("500ms", 500_000),
        ("1s", 1_000_000),
        ("1.5s", 1_500_000),
        ("2s 500ms", 2_500_000),
        ("10ms", 10_000),
        ("999us", 999),
        ("1min 30s", 90_000_000),
        ("1h 1min 1s 1ms 1us", 3_661_001_001),
        ("1d 2h", 93_600_000_000),
        ("0", 0),
        ("infinity", None),
        ("", None),
        ("[not set]", None),
    ],
)
def test_a_time_span_of_systemds_is_read(span: str, value: int | None) -> None:
    assert microseconds(span) == value


@given(st.integers(1, 100_000))
def test_every_quota_is_read_back_as_systemd_shows_it(percent: int) -> None:
    """As `format_timespan` of systemd writes it: whole units first, then a fraction of seconds."""
    limits: Any = Limits.of(AgentSettings(cpu_quota=percent))
    minutes, rest = divmod(limits.cpu_us, 60_000_000)
    words = [f"{minutes}min"] * bool(minutes)
    if rest >= 1_000_000:
        words.append(f"{rest / 1e6:.6f}".rstrip("0").rstrip(".") + "s")
    elif rest:
        words.append(f"{rest // 1000}ms")
    assert microseconds(" ".join(words)) == limits.cpu_us


@given(
    st.integers(16 << 20, 1 << 50), st.integers(1, 100_000), st.none() | st.integers(1, 4_194_304)
)
def test_what_a_drop_in_says_becomes_settings(memory: int, cpu: int, tasks: int | None) -> None:
    said = AgentSettings(memory_max=memory, cpu_quota=cpu, tasks_max=tasks)
    assert Limits.read(Limits.of(said).drop_in(), AgentSettings()) == said


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("[Service]\nMemoryMax=2G\nCPUQuota=50%\n", AgentSettings()),
        ("[Service]\n MemoryMax = 3G\n", AgentSettings(memory_max=3 << 30)),
        ("[Service]\nMemoryMax=infinity\nCPUQuota=\nNice=5\n", AgentSettings()),
        ("", AgentSettings()),
    ],
)
def test_what_no_setting_can_say_stays_as_it_is(text: str, settings: AgentSettings) -> None:
    assert Limits.read(text, AgentSettings()) == settings
