"""One request, and its answer, within a time and a size; what goes wrong is one of ours."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from typing_extensions import override

from hive.client.places import Place
from hive.client.problem import PROBLEM, not_hive, raised
from hive.errors import Refused, Transient

LIMIT: Final = 64 * 1024 * 1024
"""Bytes of an answer."""
PIECE: Final = 1 << 16
JSON: Final = "application/json"
STREAM: Final = "text/event-stream"
Json = dict[str, Any]
Query = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection for each request: nothing goes stale, and threads may share it."""

    place: Place
    token: str | None = None
    within: timedelta = timedelta(seconds=30)
    """For all of a request and its answer."""

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Json | None = None,
        key: str | None = None,
        longer: timedelta = timedelta(),
    ) -> Json:
        """The JSON object that is answered, or the error. `longer` is what hive may wait."""
        deadline = time.monotonic() + (self.within + longer).total_seconds()
        headers = {"Accept": JSON, **({} if key is None else {"Idempotency-Key": key})}
        with self._answer(
            method, _target(path, query), body, headers, lambda: deadline - time.monotonic()
        ) as answer:
            return self._read(answer)

    @contextmanager
    def listen(
        self, path: str, *, query: Query | None = None, last: int | None, silent: timedelta
    ) -> Iterator[http.client.HTTPResponse]:
        """A stream of events behind `last`, on which something is said at least so often."""
        headers = {"Accept": STREAM, **({} if last is None else {"Last-Event-ID": str(last)})}
        target = _target(path, query)
        with self._answer("GET", target, None, headers, silent.total_seconds) as answer:
            if answer.status != http.client.OK:
                self._read(answer)
            if answer.headers.get_content_type() != STREAM:
                raise not_hive(f"{self.place} answered no stream of events")
            yield answer

    @contextmanager
    def _answer(
        self,
        method: str,
        target: str,
        body: Json | None,
        headers: Mapping[str, str],
        left: Callable[[], float],
    ) -> Iterator[http.client.HTTPResponse]:
        """`left` tells how many seconds the next wait may take."""
        sent = {"Connection": "close", "User-Agent": "hive", **headers}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            sent["Content-Type"] = JSON
        _refuse_unfit(sent)
        connection = _Connection(self.place, left)
        try:
            # Who refuses a request may do so before it has heard all of it.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(
                    method,
                    self.place.prefix + target,
                    None if body is None else json.dumps(body).encode(),
                    sent,
                )
            with closing(connection.getresponse()) as answer:  # it outlives its connection
                yield answer
        except TimeoutError:
            raise Transient(
                f"{self.place} did not answer in time",
                code="api-silent",
                hint="what was asked for may have happened: look before you ask again",
            ) from None
        except http.client.HTTPException as error:
            raise self._broke_off(error) from None
        except OSError as error:
            raise self._broke_off(error) from None
        finally:
            connection.close()

    def _read(self, answer: http.client.HTTPResponse) -> Json:
        said = self._whole(answer)
        kind = answer.headers.get_content_type()
        if answer.status == http.client.NO_CONTENT:
            return {}
        value = _json(said) if kind in (JSON, PROBLEM) else None
        if answer.status >= http.client.BAD_REQUEST:
            raise raised(str(self.place), answer.status, value if kind == PROBLEM else None)
        if value is None or answer.status >= http.client.MULTIPLE_CHOICES:
            raise not_hive(f"{self.place} answered {answer.status} with {kind}, and no object")
        return value

    def _whole(self, answer: http.client.HTTPResponse) -> bytes:
        said = bytearray()
        while piece := answer.read(PIECE):
            said += piece
            if len(said) > LIMIT:
                raise not_hive(f"{self.place} answered more than {LIMIT} bytes")
        if answer.length:  # http.client minds a half answer only where it is read in one go
            raise http.client.IncompleteRead(bytes(said), answer.length)
        return bytes(said)

    def _broke_off(self, error: Exception) -> Transient:
        return Transient(
            f"the answer of {self.place} broke off: {_named(error)}",
            code="api-broke-off",
            hint="what was asked for may have happened: look before you ask again",
        )


class _Connection(http.client.HTTPConnection):
    """http.client's, to any place, with every wait of it bounded by `left`."""

    def __init__(self, place: Place, left: Callable[[], float]) -> None:
        super().__init__(place.host, place.port)
        self._place = place
        self._left = left

    @override
    def connect(self) -> None:
        try:
            self.sock = _Timed(self._place.connect(self._wait()), self._wait)
        except PermissionError:
            raise Refused(
                f"{self._place} is not for you to open",
                code="not-permitted",
                hint="run it as root, or as a member of the socket's group",
            ) from None
        except OSError as error:
            raise Transient(
                f"nobody answers at {self._place}: {_named(error)}",
                code="api-unreachable",
                hint="see that hive's API runs there",
            ) from None

    def _wait(self) -> float:
        left = self._left()
        if left <= 0:
            raise TimeoutError
        return left


class _Timed:
    """A socket whose waits are measured anew: who sends a byte at a time gains nothing by it."""

    def __init__(self, connection: socket.socket, wait: Callable[[], float]) -> None:
        self._connection = connection
        self._wait = wait

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(self._wait())
        self._connection.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Raw(self._connection, self._wait), PIECE)

    def close(self) -> None:
        self._connection.close()


class _Raw(io.RawIOBase):
    def __init__(self, connection: socket.socket, wait: Callable[[], float]) -> None:
        self._connection = connection
        self._wait = wait
        self._file = connection.makefile("rb", buffering=0)  # open until both have closed it

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(self._wait())
        return self._file.readinto(buffer)

    @override
    def close(self) -> None:
        self._file.close()
        super().close()


def _target(path: str, query: Query | None) -> str:
    """None is not said; yes and no as JSON says them."""
    said = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in (query or {}).items()
        if value is not None
    }
    return f"{path}?{urlencode(said)}" if said else path


def _refuse_unfit(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise Refused(
                f"what is given for {name} does not fit into a header",
                code="bad-header",
                hint="a token or a key is of letters, digits and signs of ASCII",
            )


def _json(said: bytes) -> Json | None:
    """None for what is no object of JSON; a server may nest without end."""
    try:
        value = json.loads(said)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _named(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
