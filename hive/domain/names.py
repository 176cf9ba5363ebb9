"""Names that have been checked once. Holding one means it is safe in a path, a unit, an argv."""

from __future__ import annotations

import re
from typing import ClassVar, Self

from hive.errors import Refused

MANAGER = "hm1nd"


class Name(str):
    """A string that passed its own `pattern`."""

    __slots__ = ()
    pattern: ClassVar[re.Pattern[str]] = re.compile(r".+")
    what: ClassVar[str] = "a name"
    code: ClassVar[str] = "bad-name"
    advice: ClassVar[str] = ""

    def __new__(cls, text: str) -> Self:
        if not cls.pattern.fullmatch(text):
            raise Refused(f"{text!r} is not {cls.what}", code=cls.code, hint=cls.advice)
        return super().__new__(cls, text)


class AgentName(Name):
    """An agent: `alice`, or the manager, `hm1nd`."""

    __slots__ = ()
    pattern = re.compile(r"[a-z0-9]([a-z0-9-]{0,7}[a-z0-9])?", re.ASCII)
    what = "an agent's name"
    advice = "1 to 9 of a-z, 0-9 and -, with no - at either end"

    @property
    def is_manager(self) -> bool:
        return self == MANAGER

    @property
    def container(self) -> ContainerName:
        return ContainerName(self if self.is_manager else f"h-{self}")


class ContainerName(Name):
    """At most 11 characters: `nixos-container` encodes the name in a network link."""

    __slots__ = ()
    pattern = re.compile(r"[a-z0-9][a-z0-9-]{0,10}", re.ASCII)
    what = "a container's name"
    advice = "at most 11 of a-z, 0-9 and -"

    @property
    def unit(self) -> str:
        return f"container@{self}.service"

    @property
    def agent(self) -> AgentName | None:
        """The agent whose container this is, or None when the container is not hive's."""
        name = self if self == MANAGER else self.removeprefix("h-")
        ours = self == MANAGER or (self.startswith("h-") and name != MANAGER)
        return AgentName(name) if ours and AgentName.pattern.fullmatch(name) else None


class NodeName(Name):
    """A host of the fleet."""

    __slots__ = ()
    pattern = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?", re.ASCII)
    what = "a node's name"
    advice = "1 to 63 of a-z, A-Z, 0-9, '.', '_' and -; set HIVE_NODE"


class Rev(Name):
    """A commit, in full."""

    __slots__ = ()
    pattern = re.compile(r"[0-9a-f]{40}", re.ASCII)
    what = "a full commit"
    code = "bad-rev"
    advice = "40 hex digits; a branch or a tag can move, so it is not taken"
