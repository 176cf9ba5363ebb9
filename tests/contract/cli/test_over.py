"""Which hive a command asks, and what it takes to ask it."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import typer

from cli import over
from cli.boundary import asked, connected
from cli.here import Here
from cli.hive import CLOCK, EVERY
from cli.over import Over
from hive.adapters.clock import wait_until
from hive.adapters.shell import LocalShell
from hive.api.server import Api
from hive.domain.authority import Role
from hive.service import tokens
from tests.asking import Served, running
from tests.house.tree import ROOT
from tests.pretend import environment

WITHIN: Final = timedelta(seconds=30)
LOADED = """
import sys
from cli.app import main
sys.argv = ["hive", *sys.argv[1:]]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
heavy = ("sqlalchemy", "alembic", "dramatiq", "redis", "fastapi", "sh")
print("loaded:", *[name for name in heavy if name in sys.modules])
"""


def answers(served: Served) -> bool:
    return Over.socket(served.host.layout.host_socket) is not None


@pytest.fixture
def told(served: Served, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The environment of the host that is served."""
    found = environment(served.pretend.state)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.mark.parametrize(
    "words", [["agents"], ["jobs", "--json"], ["status"], ["events"], ["inbox", "--peek"]]
)
def test_over_the_socket_a_read_loads_no_database(
    words: list[str], told: Mapping[str, str]
) -> None:
    shell = LocalShell({**os.environ, **told})
    ran = shell.run(sys.executable, "-c", LOADED, *words, cwd=ROOT)
    assert ran.out.splitlines()[-1] == "loaded:"


def test_the_socket_is_asked_where_somebody_answers(
    served: Served, told: Mapping[str, str]
) -> None:
    with asked() as hive:
        assert isinstance(hive, Over)
    served.over.set()
    assert wait_until(CLOCK, lambda: not answers(served), WITHIN, EVERY)
    with asked() as hive:
        assert isinstance(hive, Here)


def test_a_url_is_asked_with_its_token_and_nothing_is_done_here(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, token = tokens.create(served.host, Role.VIEWER, by="test")
    monkeypatch.setenv("HIVE_URL", f"http://127.0.0.1:{served.port}")
    monkeypatch.setenv("HIVE_TOKEN", token)
    with asked() as hive:
        assert [one["name"] for one in hive.agents()["items"]] == ["alice", "bob", "hm1nd"]
    with pytest.raises(typer.Exit) as left, asked() as hive:
        hive.submit("stop", "alice")
    assert left.value.exit_code == 2
    assert "[not-allowed]" in capsys.readouterr().err
    with pytest.raises(typer.Exit) as left, connected():
        pytest.fail("another host's hive is not here")
    assert left.value.exit_code == 2
    assert "[not-over-url]" in capsys.readouterr().err


def test_an_api_that_is_started_again_does_not_end_a_look(
    served: Served, told: Mapping[str, str]
) -> None:
    hive = Over.at(served.host.layout.host_socket)
    job = hive.submit("stop", "alice")["id"]
    served.over.set()
    assert wait_until(CLOCK, lambda: not answers(served), WITHIN, EVERY)
    looking = threading.Thread(target=hive.see_through, args=(job,))
    looking.start()
    until = threading.Event()
    with running(Api(served.host, None), until):
        hive.cancel(job)
        looking.join(30)
        assert not looking.is_alive()


def test_a_socket_at_which_nobody_answers_keeps_no_command_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of an API that was stopped: whoever comes is let in, and hears nothing."""
    monkeypatch.setattr(over, "PROMPT", timedelta(milliseconds=200))
    for name, value in environment(tmp_path / "state").items():
        monkeypatch.setenv(name, value)
    (tmp_path / "state" / "run").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "state" / "run" / "host.sock"))
        listening.listen()
        with asked() as hive:
            assert isinstance(hive, Here)
