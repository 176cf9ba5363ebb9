"""Many listen, break off and come back behind what they have seen: each hears each event once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from hive.api.identity import Door, Kind
from hive.api.streams import Found, Reader, Told
from hive.domain.event import NewEvent
from hive.store import events
from hive.store.session import Session
from tests.asking import Served
from tests.contract.store_samples import NOW

COUNT = 40
EVENTS = 300
BREAKS = 3


def test_nobody_loses_or_hears_twice_what_happens_across_breaks(served: Served) -> None:
    listen = threading.Barrier(COUNT + 1)
    with ThreadPoolExecutor(COUNT) as beside:
        heard = [beside.submit(all_of, served, number, listen) for number in range(COUNT)]
        try:
            listen.wait(60)
            for number in range(EVENTS):
                with served.host.database.write() as session:
                    events.tell(session, NewEvent(NOW, "x", served.host.node, data={"n": number}))
            for one in heard:
                assert one.result(30) == list(range(EVENTS))
        finally:
            served.over.set()  # who still waits for what was lost is not waited for


@dataclass
class Asked:
    """A question that counts how often it is asked."""

    key: Hashable
    looks: list[Hashable]
    told: list[Found] = field(default_factory=list)

    def ask(self, session: Session) -> Found:
        self.looks.append(self.key)
        return [Told(1, "x", {})], False

    def heard(self, found: Found) -> None:
        self.told.append(found)


def test_a_hundred_who_ask_the_same_are_answered_by_one_look(served: Served) -> None:
    looks: list[Hashable] = []
    asked = [Asked(key, looks) for key in ("one", "other") for _ in range(100)]

    async def listen() -> None:
        reader = Reader(served.host)
        with ExitStack() as stack:
            for one in asked:
                stack.enter_context(reader.listening(one, Door(Kind.HOST)))
            reader._look()

    asyncio.run(listen())
    assert sorted(map(str, looks)) == ["one", "other"]
    assert {len(one.told) for one in asked} == {1}


def all_of(served: Served, number: int, listen: threading.Barrier) -> list[int]:
    """What one hears who breaks off now and then, each at another event."""
    found: list[int] = []
    last = "0"
    for part in range(BREAKS + 1):
        end = EVENTS if part == BREAKS else EVENTS * (part + 1) // (BREAKS + 2) + number
        with served.operator.stream("/events/live?kind=x", Last_Event_ID=last) as stream:
            if part == 0:
                listen.wait(60)
            while len(found) < end:
                told = stream.next()
                found.append(json.loads(told["data"])["data"]["n"])
                last = told["id"]
    return found
