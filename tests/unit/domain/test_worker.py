"""Processes that work on jobs: what they are called, and whose pids are whose."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hive.domain.names import NodeName
from hive.domain.worker import BEAT, LEASE, SERVING, SILENT, Node, Process, Role, Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
US = Process(NodeName("here"), 4711, "123456", "a-boot-id-that-is-long", "pid:[4026531836]")


def test_a_process_is_called_by_what_nothing_else_is_ever_called() -> None:
    assert US.id == "here:4711:123456:a-boot-i"
    others = [
        replace(US, node=NodeName("there")),
        replace(US, pid=4712),
        replace(US, started="123457"),
        replace(US, boot="b-boot-id"),
    ]
    assert len({US.id, *(one.id for one in others)}) == 5


def test_a_worker_is_called_as_its_process_is() -> None:
    assert Worker(US, Role.UP, "0", 1, False, NOW, NOW).id == US.id


@pytest.mark.parametrize(
    ("other", "shares"),
    [
        (replace(US, pid=1, started="2"), True),
        (replace(US, node=NodeName("there")), True),
        (replace(US, boot="another"), False),
        (replace(US, namespace="pid:[1]"), False),
    ],
)
def test_pids_mean_the_same_in_one_namespace_of_one_boot(other: Process, shares: bool) -> None:
    assert US.shares_pids_with(other) is shares
    assert other.shares_pids_with(US) is shares


def test_six_beats_may_be_missed_before_a_lease_ends() -> None:
    assert LEASE >= 6 * BEAT


def test_commands_and_maintenance_serve_nobody() -> None:
    assert set(Role) - {Role.COMMAND, Role.MAINTENANCE} == SERVING


@pytest.mark.parametrize(
    ("seen_at", "is_silent"),
    [
        (None, True),
        (NOW, False),
        (NOW - SILENT, False),
        (NOW - SILENT - timedelta(seconds=1), True),
        (NOW + timedelta(seconds=9), False),
    ],
)
def test_a_node_is_silent_when_nothing_was_heard_for_a_lease(
    seen_at: datetime | None, is_silent: bool
) -> None:
    node = Node(NodeName("here"), seen_at, paused_at=None, paused_by=None)
    assert node.is_silent(NOW) is is_silent
