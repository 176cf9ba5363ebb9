"""The reading of an inbox: each message is taken, noted, answered and only then acknowledged."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from hive.client import Client
from hive.client.answers import Message
from hive.errors import HiveError, Refused, Transient
from hive.harness.notes import Notes, NotNoted
from hive.harness.standing import Standing

WAIT: Final = timedelta(seconds=60)
"""For which hive keeps a reader waiting: then it is asked again, and may be told a status."""
BATCH: Final = 10
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds between tries while something is in the way."""
STATUS_EVERY: Final = 60.0
"""Seconds: each status is an event of hive's, and a flood of messages is no flood of those."""
LONGEST_STATUS: Final = 500
"""Characters that hive takes of one."""
HIVE: Final = "hive"

log = logging.getLogger("hive.harness")


@dataclass(slots=True)
class Reader:
    """Whoever kills it, and whenever: no message is lost, and none is noted or answered twice."""

    hive: Client
    standing: Standing
    clock: Callable[[], float] = time.monotonic
    over: threading.Event = field(default_factory=threading.Event)
    _busy: threading.Lock = field(default_factory=threading.Lock)
    _in_hand: list[Message] = field(default_factory=list)
    """Taken, and not acknowledged yet."""
    _told: tuple[str, float] | None = None
    _complained: str | None = None

    def run(self) -> None:
        """Until it is over. Raises `Refused`, code `other-agent`, at somebody else's socket."""
        wait = FIRST_WAIT
        while not self.over.is_set():
            try:
                self._meet()
                with self._notes() as notes:
                    while not self.over.is_set():
                        self._turn(notes)
                        wait = FIRST_WAIT
            except OtherAgent:
                raise
            except HiveError as error:
                self._complain(error)
                self.over.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT)

    def stop(self, within: timedelta) -> None:
        """Messages in hand are seen to first, as far as that goes."""
        self.over.set()
        if self._busy.acquire(timeout=within.total_seconds()):
            self._busy.release()

    def _meet(self) -> None:
        agent = self.standing.identity.agent
        me = self.hive.whoami()
        if me["agent"] != agent:
            raise OtherAgent(
                f"this is the socket of {me['agent'] or me['name']}, and HIVE_LABEL says {agent}",
                hint="run it inside the agent's container, where /run/hive is its own",
            )

    @contextmanager
    def _notes(self) -> Iterator[Notes]:
        try:
            with Notes.opened(self.standing.identity.state) as notes:
                self._count(notes)
                yield notes
        except NotNoted as error:
            self.standing.trouble = error
            self._tell_status()  # hive answers: what is in the way is on this side
            raise

    def _turn(self, notes: Notes) -> None:
        with self._busy:
            self._see_to(notes)
        if self.standing.trouble is None:
            self._tell_status()
        wait = WAIT if self.standing.trouble is None else timedelta()  # first see whether it passed
        agent = self.standing.identity.agent
        self._in_hand = self.hive.take(agent, limit=BATCH, wait=wait)["items"]
        self._recover()

    def _see_to(self, notes: Notes) -> None:
        if not self._in_hand:
            return
        for message in self._in_hand:
            if notes.note(message):
                self.standing.noted_at = datetime.now(UTC)
        self._count(notes)
        for message in self._in_hand:
            self._answer(message)
        try:
            self.hive.ack([message["id"] for message in self._in_hand])
        except Refused:
            self._in_hand = []  # they are noted; those that are still there come again
            raise
        self._in_hand = []

    def _answer(self, message: Message) -> None:
        """An answer is none to answer: two default harnesses would else write for ever."""
        agent, number = self.standing.identity.agent, message["id"]
        tells = message["topic"] is not None or message["reply_to"] is not None
        if tells or message["from"] in (HIVE, agent):
            return
        text = (
            f"{agent} has noted your message {number}, and nobody reads it: this is hive's default"
            " harness, which does not think. What does is named by services.hive-agent.command"
            " in the agent's config."
        )
        key = f"default-harness-{number}-{message['sent_at']}"
        try:
            self.hive.send(message["from"], text, reply_to=number, key=key)
        except Transient:
            raise
        except HiveError as error:  # its sender is gone, or has a full inbox
            log.warning("answer.refused message=%s code=%s %s", number, error.code, error.message)

    def _count(self, notes: Notes) -> None:
        self.standing.noted = len(notes)

    def _tell_status(self) -> None:
        text, now = self.standing.status[:LONGEST_STATUS], self.clock()
        if self._told and (text == self._told[0] or now - self._told[1] < STATUS_EVERY):
            return
        self.hive.tell_status(text)
        self._told = text, now

    def _complain(self, error: HiveError) -> None:
        """Once: it is tried again until it passes."""
        self.standing.trouble = error
        if self._complained != error.code:
            self._complained = error.code
            hint = f" hint: {error.hint}" if error.hint else ""
            log.warning("reader.waits code=%s %s.%s", error.code, error.message, hint)

    def _recover(self) -> None:
        if self.standing.trouble is not None:
            log.info("reader.goes-on after=%s", self.standing.trouble.code)
            self.standing.trouble = self._complained = None


class OtherAgent(Refused):
    """The socket is another's than the environment says: nothing of it is read."""

    default_code = "other-agent"
