"""An agent's port, and who has it."""

from __future__ import annotations

import socket

import pytest

from hive.errors import Refused
from hive.harness.port import bound
from tests.asking import a_free_port

HERE = "127.0.0.1"


class Waits(list[float]):
    """Tells what it was asked to wait, and at which of them it is over."""

    over_at: int | None = None

    def __call__(self, seconds: float) -> bool:
        self.append(seconds)
        return len(self) == self.over_at


def test_a_port_that_is_let_go_is_taken() -> None:
    before = socket.create_server((HERE, 0))
    port = before.getsockname()[1]

    def wait(seconds: float) -> bool:
        before.close()
        return False

    listening = bound(HERE, port, wait)
    assert listening is not None
    with listening:
        assert listening.getsockname() == (HERE, port)


def test_one_that_stays_in_use_is_said_after_twelve_more_tries_in_about_22_seconds() -> None:
    waits = Waits()
    with socket.create_server((HERE, 0)) as other, pytest.raises(Refused) as refused:
        bound(HERE, other.getsockname()[1], waits)
    assert refused.value.code == "not-listening"
    assert "ss -lnp" in refused.value.hint
    assert waits == [0.5, 1.0] + [2.0] * 10
    assert sum(waits) == 21.5


def test_what_no_wait_mends_is_said_at_once() -> None:
    waits = Waits()
    with pytest.raises(Refused) as refused:
        bound("192.0.2.1", a_free_port(), waits)
    assert (refused.value.code, waits) == ("not-listening", [])


def test_who_is_to_end_waits_for_no_port() -> None:
    waits = Waits()
    waits.over_at = 1
    with socket.create_server((HERE, 0)) as other:
        assert bound(HERE, other.getsockname()[1], waits) is None
    assert waits == [0.5]


def test_no_two_listen_at_one_port_and_a_quick_restart_gets_its_own() -> None:
    first = bound(HERE, a_free_port(), Waits())
    assert first is not None
    port = first.getsockname()[1]
    with first, socket.create_connection((HERE, port)):
        left, _ = first.accept()
        with pytest.raises(Refused):
            bound(HERE, port, Waits())
        left.close()  # our side first: what is left of it keeps the port, as after a stop
    again = bound(HERE, port, Waits())
    assert again is not None
    again.close()
