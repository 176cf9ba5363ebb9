"""What a face may ask about notifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hive.domain.event import Event
from hive.domain.job import Job
from hive.domain.notifier import TEST, Notifier, NotifierName, checked
from hive.queue import submit
from hive.queue.host import Host
from hive.queue.notify import call
from hive.store import notifiers


@dataclass(frozen=True, slots=True)
class NotifierView:
    """A notifier, and how many of its calls are queued."""

    notifier: Notifier
    queued: int

    def as_json(self) -> dict[str, Any]:
        one = self.notifier
        return {
            "name": one.name,
            "node": one.node,
            "kinds": list(one.kinds),
            "command": list(one.command) if one.command else None,
            "url": one.url,
            "url_file": str(one.url_file) if one.url_file else None,
            "enabled": one.enabled,
            "after": one.after_seq,
            "queued": self.queued,
        }


def add(host: Host, notifier: Notifier) -> None:
    """It is called for what happens from now on."""
    with host.database.write() as session:
        notifiers.add(session, checked(notifier), now=host.clock.now())


def listed(host: Host) -> list[NotifierView]:
    with host.database.read() as session:
        found = notifiers.listed(session)
        return [NotifierView(one, notifiers.due(session, one)) for one in found]


def remove(host: Host, name: NotifierName) -> None:
    """Its calls that have not ended will end refused."""
    with host.database.write() as session:
        notifiers.remove(session, name)


def switch(host: Host, name: NotifierName, *, enabled: bool) -> None:
    with host.database.write() as session:
        notifiers.switch(session, name, enabled=enabled, now=host.clock.now())


def test(host: Host, name: NotifierName, *, by: str) -> Job:
    """A call that tells of nothing but itself; also of a notifier that is switched off."""
    with host.database.read() as session:
        notifier = notifiers.known(session, name)
    event = Event(0, host.clock.now(), TEST, notifier.node, None, None, {"by": by})
    return submit.submit(host, call(notifier, event, by=by)).job
