"""The one async room: what goes on while a client listens, told by one reader of the database."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, Final, Protocol, cast

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from hive.api.identity import Door, Kind, is_still_known
from hive.domain.job import ENDED, JobId
from hive.domain.names import AgentName
from hive.errors import HiveError, NotFound, Transient
from hive.queue.host import Host
from hive.service import fleet, jobs
from hive.store.session import Session

LOOK: Final = timedelta(milliseconds=20)
"""Where a look costs microseconds: SQLite tells whether anybody has written."""
ASK: Final = timedelta(milliseconds=250)
"""Where it is a question to a server."""
AT_LEAST: Final = timedelta(seconds=1)
"""Also where nothing was written: a lease may have ended."""
ALIVE: Final = 15.0
"""Seconds of silence after which a stream says that it is still there."""
PAGE: Final = 500
MOST: Final = {Kind.HOST: 200, Kind.TCP: 200, Kind.AGENT: 16}
"""Listeners of one door at once: as many agents as there are may each wait for their messages."""

log = logging.getLogger("hive.api")


@dataclass(frozen=True)
class Told:
    """One event of a stream: its number to come back with, its kind, and what it says."""

    id: int | None
    kind: str
    data: Any

    @cached_property
    def text(self) -> str:
        """As it is sent: put together once for all who hear it."""
        head = "" if self.id is None else f"id: {self.id}\n"
        return f"{head}event: {self.kind}\ndata: {json.dumps(self.data)}\n\n"


END: Final = None
Found = tuple[list[Told], bool]
"""What is new to a listener, and whether nothing will come any more."""


class Question(Protocol):
    """Asked by the reader, in its thread; it remembers where it is."""

    @property
    def key(self) -> Hashable:
        """Two that have the same one have the same answer: it is looked for once."""

    def ask(self, session: Session) -> Found: ...

    def heard(self, found: Found) -> None:
        """From now on it asks for what is behind that."""


@dataclass(eq=False, slots=True)
class Listener:
    """Who waits for answers to one question; what it has not taken keeps it from being asked."""

    question: Question
    door: Door
    """By which they came."""
    loop: asyncio.AbstractEventLoop
    answers: asyncio.Queue[list[Told] | None] = field(default_factory=lambda: asyncio.Queue())
    is_behind: bool = True
    """More may be there already."""
    is_over: bool = False

    def tell(self, found: list[Told], *, over: bool) -> None:
        """From the reader's thread."""
        self.is_over = over
        said: list[list[Told] | None] = [*([found] if found else []), *([END] if over else [])]
        for one in said:
            self.loop.call_soon_threadsafe(self.answers.put_nowait, one)


class Reader:
    """One thread that looks at the database for all that listen; nobody listens: it sleeps."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._changes = host.database.changes()
        self._every = LOOK if self._changes else ASK
        self._at_most = (AT_LEAST if self._changes else ASK).total_seconds()
        self._change = threading.Condition()
        self._listeners: set[Listener] = set()
        self._is_over = False
        self._asked_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="api-reader", daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Every stream ends."""
        with self._change:
            self._is_over = True
            for listener in self._listeners:
                listener.tell([], over=True)
            self._change.notify_all()
        self._thread.join()

    @contextmanager
    def listening(self, question: Question, door: Door) -> Iterator[Listener]:
        """In the event loop's thread. Raises `Transient` while too many do, or the reader ends."""
        listener = Listener(question, door, asyncio.get_running_loop())
        with self._change:
            self._refuse_more(door)
            self._listeners.add(listener)
            self._change.notify_all()
        try:
            yield listener
        finally:
            with self._change:
                self._listeners.discard(listener)

    def refuse_more(self, door: Door) -> None:
        """Raises `Transient` while too many listen: before an answer has begun that could not."""
        with self._change:
            self._refuse_more(door)

    def _refuse_more(self, door: Door) -> None:
        beside = sum(1 for one in self._listeners if one.door == door)
        if self._is_over or beside >= MOST[door.kind]:
            raise Transient(
                f"{beside} listen here already",
                code="too-many-streams",
                hint="come back when some have gone",
            )

    @property
    def count(self) -> int:
        return len(self._listeners)

    def _run(self) -> None:
        while not self._is_over:
            with self._change:
                self._change.wait_for(lambda: self._listeners or self._is_over)
            try:
                self._look()
            except HiveError as error:
                log.warning("api.reader.missed because=%s", error.message)
                self._rest(AT_LEAST)
            self._rest(self._every)

    def _rest(self, duration: timedelta) -> None:
        with self._change:
            self._change.wait_for(lambda: self._is_over, duration.total_seconds())

    def _look(self) -> None:
        now = self._host.clock.monotonic()
        is_new = now - self._asked_at >= self._at_most or self._has_changed()
        with self._change:
            free = [one for one in self._listeners if not one.is_over and one.answers.empty()]
        due = [one for one in free if is_new or one.is_behind]
        if is_new:
            self._asked_at = now
            for one in self._listeners.copy():
                one.is_behind = True  # also who is still busy with what came before
        if not due:
            return
        answers: dict[Hashable, Found] = {}
        with self._host.database.read() as session:
            for one in due:
                key = one.question.key
                if key not in answers:
                    answers[key] = self._answer(one.question, session)
                self._tell(one, answers[key])

    def _answer(self, question: Question, session: Session) -> Found:
        """What one asks of is not there any more, as a prune took it: the others hear on."""
        try:
            return question.ask(session)
        except NotFound:
            return [], True

    def _tell(self, one: Listener, answer: Found) -> None:
        found, over = answer
        one.question.heard(answer)
        one.is_behind = len(found) >= PAGE
        if found or over:
            one.tell(found, over=over)

    def _has_changed(self) -> bool:
        return self._changes is not None and self._changes.seen()


def reader_of(request: Request) -> Reader:
    return cast(Reader, request.app.state.reader)


@dataclass(slots=True)
class LinesOf:
    """The log of a job behind a number; over when it has ended and all was told."""

    job: JobId
    seen: int

    @property
    def key(self) -> Hashable:
        return LinesOf, self.job, self.seen

    def ask(self, session: Session) -> Found:
        state, lines = jobs.log_of(session, self.job, after=self.seen, limit=PAGE)
        found = [Told(line.seq, "line", jobs.line_as_json(line)) for line in lines]
        is_over = state in ENDED and len(lines) < PAGE
        end = [Told(None, "end", {"job": self.job, "state": state.value})] if is_over else []
        return [*found, *end], is_over

    def heard(self, found: Found) -> None:
        self.seen = _last(found, self.seen)


@dataclass(slots=True)
class EventsBehind:
    """What happens behind a number."""

    seen: int
    kind: str | None
    agent: AgentName | None
    job: JobId | None

    @property
    def key(self) -> Hashable:
        return EventsBehind, self.seen, self.kind, self.agent, self.job

    def ask(self, session: Session) -> Found:
        found = fleet.behind(
            session, self.seen, kind=self.kind, agent=self.agent, job=self.job, limit=PAGE
        )
        return [Told(event.seq, event.kind, event.as_json()) for event in found], False

    def heard(self, found: Found) -> None:
        self.seen = _last(found, self.seen)


def _last(found: Found, seen: int) -> int:
    return next((told.id for told in reversed(found[0]) if told.id is not None), seen)


def server_sent(request: Request, question: Question) -> StreamingResponse:
    """As `text/event-stream`. A comment now and then shows who has gone.

    Who is not known any more, as their token was revoked, hears no more a moment later.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    door: Door = request.state.door
    reader_of(request).refuse_more(door)
    told = _told(reader_of(request), door, question, partial(is_still_known, request))
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


async def _told(
    reader: Reader, door: Door, question: Question, is_known: Callable[[], bool]
) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    known_until = loop.time() + ALIVE
    with reader.listening(question, door) as listener:
        yield ": here\n\n"
        while True:
            found = await _answer(listener, ALIVE)
            if loop.time() >= known_until:
                if not await run_in_threadpool(is_known):
                    return
                known_until = loop.time() + ALIVE
            if found is END:
                return
            yield "".join(one.text for one in found) or ": still here\n\n"


async def _answer(listener: Listener, within: float) -> list[Told] | None:
    """Nothing, where nothing came within so many seconds."""
    try:
        return await asyncio.wait_for(listener.answers.get(), within)
    except TimeoutError:
        return []


async def happens(request: Request, question: Question, within: float) -> bool:
    """Parked until the question has an answer; False once time has run out or nobody waits."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    with reader_of(request).listening(question, request.state.door) as listener:
        while (left := until - loop.time()) > 0:
            try:
                return await asyncio.wait_for(listener.answers.get(), min(left, 1.0)) is not END
            except TimeoutError:
                if await request.is_disconnected():
                    return False
    return False
