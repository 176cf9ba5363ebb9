from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

import pytest

from hive.client import Client, stream
from hive.client.places import place_of
from hive.client.stream import Sent, Stream, sent
from hive.client.wire import Wire
from hive.errors import NotFound, Refused, Transient
from tests import fake_api
from tests.fake_api import FakeApi, Said, a_rude_server, an_api, problem
from tests.unit.client.samples import a_line, an_event

LIVE = "GET /v1/events/live"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with an_api() as api:
        yield api


def patient(api: FakeApi, waited: list[float], **more: int) -> Stream:
    return Stream(Wire(place_of(api.place)), "/v1/events/live", {}, wait=waited.append, **more)


def read(text: bytes) -> list[Sent]:
    return list(sent(io.BytesIO(text)))


def test_an_event_is_its_lines_up_to_a_blank_one() -> None:
    text = b': hello\n\nid: 7\nevent: x\ndata: {"a":\ndata: 1}\n\n:\n\ndata: {}\r\n\r\n'
    assert read(text) == [Sent(7, {"a": 1}, "x"), Sent(None, {})]


def test_half_an_event_at_the_end_is_none() -> None:
    assert read(b'id: 1\ndata: {"a": 1}\n') == []
    assert read(b'id: 1\ndata: {"a": 1}') == []


def test_a_number_that_is_none_is_not_taken() -> None:
    said = b"".join(b"id: %s\ndata: {}\n\n" % one for one in (b"x", b"-1", b"9" * 5000, b"0x1"))
    assert [one.id for one in read(said)] == [None] * 4


@pytest.mark.parametrize("data", [b"[1]", b"nonsense", b"[" * 100_000])
def test_an_event_that_is_no_object_is_not_hives(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read(b"data: " + data + b"\n\n")
    assert caught.value.code == "not-hive"


@pytest.mark.parametrize("piece", [b"x", b"data: y\n"])
def test_an_event_without_end_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch, piece: bytes
) -> None:
    monkeypatch.setattr(stream, "LINE", 1000)
    with pytest.raises(Refused, match="more than 1000 bytes"):
        read(piece * 2000)


def test_after_a_break_it_goes_on_behind_the_last_event(api: FakeApi) -> None:
    waited: list[float] = []
    api.on(
        LIVE,
        fake_api.stream((4, {"n": 4}), (5, {"n": 5})),
        problem(503, "database-unavailable"),
        fake_api.stream((5, {"n": 5}), (6, {"n": 6})),
    )
    found = list(islice(patient(api, waited).behind(3), 3))
    assert [one.data["n"] for one in found] == [4, 5, 6]
    assert [one.headers["Last-Event-ID"] for one in api.heard] == ["3", "5", "5"]
    assert waited == [0.1, 0.2]


def test_what_breaks_off_in_an_event_is_told_whole_or_not_at_all(api: FakeApi) -> None:
    whole = fake_api.stream((1, {"n": 1}), (2, {"n": 2}))
    api.on(LIVE, Said(whole.body[:-5], kind=whole.kind), fake_api.stream((2, {"n": 2})))
    assert [one.id for one in islice(patient(api, []).behind(0), 2)] == [1, 2]


def test_a_refusal_is_not_asked_for_again(api: FakeApi) -> None:
    api.on(LIVE, problem(404, "no-such-job"))
    with pytest.raises(NotFound):
        next(patient(api, []).behind(0))
    assert len(api.heard) == 1


def test_what_is_gone_for_long_is_told_and_waits_grow_up_to_a_limit(api: FakeApi) -> None:
    waited: list[float] = []
    api.on(LIVE, problem(503, "database-unavailable"))
    with pytest.raises(Transient):
        next(patient(api, waited, tries=8).behind(0))
    assert waited == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_stream_that_falls_silent_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SILENT", timedelta(seconds=0.1))
    times: list[int] = []

    def quiet(connection: socket.socket) -> None:
        times.append(1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        if len(times) > 1:
            connection.sendall(b"id: 1\ndata: {}\n\n")
        connection.recv(1)

    with a_rude_server(quiet) as url:
        following = Stream(Wire(place_of(url)), "/x", {}, wait=lambda _: None)
        assert list(islice(following.behind(0), 1)) == [Sent(1, {})]
    assert len(times) == 2


def test_a_page_is_no_stream(api: FakeApi) -> None:
    api.on(LIVE, {"items": [], "next": None})
    with pytest.raises(Refused, match="no stream of events"):
        next(patient(api, []).behind(0))


def test_events_from_now_on_begin_behind_the_last_one_there_is(api: FakeApi) -> None:
    api.on("GET /v1/events", {"items": [an_event(seq=41)], "next": 41})
    api.on(LIVE, fake_api.stream((42, an_event(seq=42))))
    assert next(Client.at(api.place).follow_events(kind="job.finish"))["seq"] == 42
    assert api.heard[1].headers["Last-Event-ID"] == "41"
    assert api.heard[1].query == {"kind": "job.finish"}


def test_a_log_is_followed_until_its_job_has_ended(api: FakeApi) -> None:
    end = Said(b'event: end\ndata: {"job": 7, "state": "failed"}\n\n', kind="text/event-stream")
    live = "GET /v1/jobs/7/logs/live"
    api.on(live, fake_api.stream((1, a_line(seq=1))), fake_api.stream((2, a_line(seq=2))), end)
    assert [line["seq"] for line in Client.at(api.place).follow_logs(7)] == [1, 2]
    assert [one.headers["Last-Event-ID"] for one in api.heard] == ["0", "1", "2"]
