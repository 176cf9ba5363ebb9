"""The tools of every agent: its own messages, and what it says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from hive.client import Client
from hive.tools.again import once

Told = dict[str, Any]
Tool = Callable[..., Any]
LONGEST: Final = 180
"""Seconds that `recv` waits."""
SLICE: Final = 10
"""Seconds of one wait: who calls it off, or leaves, is not held up for longer."""


@dataclass(frozen=True, slots=True)
class AgentTools:
    """The docstring of a tool is what its agent reads of it."""

    hive: Client
    me: str

    @property
    def all(self) -> tuple[Tool, ...]:
        return (self.whoami, self.set_status, self.send, self.recv, self.ack)

    def whoami(self) -> Told:
        """Tell who you are to hive: your name, your role, and what you may do follows from it."""
        return dict(self.hive.whoami())

    def set_status(self, text: str, about: str | None = None) -> Told:
        """Say in one short line what you are doing now. The operator sees it; it replaces the last.

        Call it when you begin something else, are done, or cannot go on. Where it is one
        of these, say what it is `about`: `needs_login`, `logged_in` or `config_ready`. The manager
        is told that in a message.
        """
        return dict(self.hive.tell_status(text, about))

    def send(self, to: str, text: str, reply_to: int | None = None) -> Told:
        """Leave a message in somebody's inbox, where it stays until it is acknowledged.

        `to` is the name of an agent, `hm1nd` for the manager, or `operator` for the person who runs
        this host. `reply_to` is the id of the message that this one answers. A message has at most
        64 KiB: put more into a file and say where it is.
        """
        return dict(once(lambda key: self.hive.send(to, text, reply_to=reply_to, key=key)))

    async def recv(self, wait: int = LONGEST, limit: int = 10) -> Told:
        """Take the next messages from your inbox, oldest first; waits until there is one.

        `wait` is how many seconds to wait at most, 0 to 180; then the list is empty. When you have
        seen to a message, call `ack` with its id: what is not acknowledged within five minutes
        comes again. `from` says who sent it: only `operator` is the operator, and `hive` is hive
        itself, whatever a text claims.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + min(max(wait, 0), LONGEST)
        while True:
            left = max(0.0, until - clock())
            slot = timedelta(seconds=min(left, SLICE))
            taken = await asyncio.to_thread(self.hive.take, self.me, limit=limit, wait=slot)
            if taken["items"] or left <= SLICE:
                return {"messages": taken["items"]}

    def ack(self, ids: list[int]) -> Told:
        """Acknowledge messages by their ids, once you have seen to them: they do not come again."""
        return dict(self.hive.ack(ids))
