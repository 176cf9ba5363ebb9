"""Who is called when something happens: a command or a URL, and for which events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from hive.domain.event import Event
from hive.domain.names import Name, NodeName
from hive.errors import Refused

TEST: Final = "notify.test"
"""The kind of the event that only a test of a notifier tells."""
_GLOB: Final = re.compile(r"[a-z0-9.*_-]{1,100}", re.ASCII)
_PRINTED: Final = re.compile(r"[!-~]{1,4000}", re.ASCII)


class NotifierName(Name):
    """A notifier, as an operator calls it."""

    __slots__ = ()
    pattern = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
    what = "a notifier's name"
    advice = "1 to 32 of a-z, 0-9 and -, with no - at either end"


@dataclass(frozen=True, slots=True)
class Notifier:
    """One of `command`, `url` and `url_file` says whom it calls."""

    name: NotifierName
    node: NodeName
    """The host that calls: the command, and the file with the URL, are there."""
    kinds: tuple[str, ...]
    command: tuple[str, ...] | None = None
    url: str | None = None
    url_file: Path | None = None
    """Holds the URL, where that is a secret: it is read at each call, and never shown."""
    enabled: bool = True
    after_seq: int = 0
    """Events up to here were seen to."""

    def wants(self, event: Event) -> bool:
        return any(_matches(glob, event.kind) for glob in self.kinds)

    @property
    def lock(self) -> str:
        """One call at a time, in the order of what happened."""
        return f"notify:{self.node}/{self.name}"


def checked(notifier: Notifier) -> Notifier:
    """Itself, or `Refused` for what could never be called."""
    ways = [way for way in (notifier.command, notifier.url, notifier.url_file) if way]
    if len(ways) != 1:
        raise _bad("say one of --url, --url-file and, behind `--`, a command")
    if not notifier.kinds:
        raise _bad("say with --on which kinds of events it is called for")
    for glob in notifier.kinds:
        if not _GLOB.fullmatch(glob):
            raise _bad(f"{glob!r} is no kind of event: `hive events` shows them, * is any part")
    _check_way(notifier)
    return notifier


def address_of(url: str) -> str:
    """Scheme, host and port: all that may be said of a URL that holds a secret.

    Raises `Refused`, and does not quote it.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise _bad_url() from None
    if not _PRINTED.fullmatch(url) or parts.scheme not in ("http", "https") or not parts.hostname:
        raise _bad_url()
    return f"{parts.scheme}://{parts.hostname}{port}"


def _check_way(notifier: Notifier) -> None:
    if notifier.url is not None:
        address_of(notifier.url)
        if "@" in urlsplit(notifier.url).netloc:
            raise _bad("a URL with a password belongs into a file: --url-file PATH")
    if notifier.url_file is not None and not notifier.url_file.is_absolute():
        raise _bad("the path of --url-file is absolute, or it would be another one in each folder")
    if notifier.command and "/" in notifier.command[0] and notifier.command[0][0] != "/":
        raise _bad("a command is absolute, or a name on the PATH")


def _matches(glob: str, kind: str) -> bool:
    """`*` stands for any letters, and nothing else has a meaning of its own."""
    return re.fullmatch(".*".join(map(re.escape, glob.split("*"))), kind) is not None


def split(on: Sequence[str]) -> tuple[str, ...]:
    """What was said with `--on`, once or several times, with commas or without."""
    said = (kind.strip() for one in on for kind in one.split(","))
    return tuple(dict.fromkeys(kind for kind in said if kind))


def _bad(because: str) -> Refused:
    return Refused(
        f"this cannot be a notifier: {because}",
        code="bad-notifier",
        hint="see `hive notify add --help`",
    )


def _bad_url() -> Refused:
    return Refused(
        "the URL of a notifier is none of http or https",
        code="bad-notifier-url",
        hint="http://HOST/… or https://HOST/…, in ASCII, without blanks",
    )
