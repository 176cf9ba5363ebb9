"""What is answered on an agent's port."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hive.adapters.http import Http
from hive.domain.names import AgentName
from hive.harness.identity import Identity
from hive.harness.page import AT_ONCE, PATIENCE, served
from hive.harness.port import bound
from hive.harness.standing import Standing
from tests.asking import a_free_port

HERE = "127.0.0.1"


@dataclass
class Page:
    port: int
    standing: Standing
    system: Path

    def ask(self, method: str = "GET", path: str = "/", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(HERE, self.port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    system = tmp_path / "current-system"
    system.symlink_to(tmp_path)
    standing = Standing(Identity(AgentName("alice"), a_free_port(), tmp_path, "<b>opus</b>"))
    listening = bound(HERE, standing.identity.port, lambda _: False)
    assert listening is not None
    with served(listening, standing, system):
        yield Page(standing.identity.port, standing, system)


def test_it_says_who_answers_in_the_words_that_hive_looks_for(page: Page, tmp_path: Path) -> None:
    answer = Http().knock(HERE, page.port)
    assert answer is not None
    assert answer.headers["hive-agent"] == "alice"
    assert answer.headers["hive-system"] == str(tmp_path)


def test_a_reload_is_seen_in_the_next_answer(page: Page, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    page.system.unlink()
    page.system.symlink_to(tmp_path / "new")
    answer = Http().knock(HERE, page.port)
    assert answer is not None
    assert answer.headers["hive-system"] == str(tmp_path / "new")


def test_a_program_gets_json_that_is_so_now(page: Page) -> None:
    status, body = page.ask()
    assert status == 200
    assert json.loads(body) == page.standing.as_json()
    page.standing.noted = 7
    assert json.loads(page.ask()[1])["noted"] == 7


def test_a_browser_gets_a_page_in_which_nothing_is_markup(page: Page) -> None:
    status, body = page.ask(Accept="text/html,*/*")
    assert status == 200
    assert body.startswith("<!doctype html>")
    assert "&lt;b&gt;opus" in body
    assert "<b>" not in body


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/x", 404), ("POST", "/", 501), ("HEAD", "/", 200)]
)
def test_there_is_nothing_else_and_nothing_to_order(
    page: Page, method: str, path: str, status: int
) -> None:
    assert page.ask(method, path)[0] == status


def test_who_hangs_on_keeps_nobody_out_but_beyond_so_many(page: Page) -> None:
    hanging = [socket.create_connection((HERE, page.port)) for _ in range(AT_ONCE - 1)]
    try:
        assert page.ask()[0] == 200
        hanging += [socket.create_connection((HERE, page.port)) for _ in range(8)]
        hanging[-1].settimeout(PATIENCE - 1)
        assert hanging[-1].recv(1) == b"", "it is turned away"
    finally:
        for one in hanging:
            one.close()


def test_who_has_left_gives_his_place_back(page: Page) -> None:
    assert {page.ask()[0] for _ in range(AT_ONCE + 1)} == {200}
