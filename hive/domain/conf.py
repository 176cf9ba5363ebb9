"""A container's conf: the lines that hive owns, and the flags that systemd-nspawn is given.

The conf is an environment file of the unit, and is also read by regular expression: one `KEY=value`
a line. Contract: nixos-container and the start script of `container@.service`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from hive.domain.layout import Layout
from hive.domain.names import AgentName
from hive.errors import Refused

Conf = Mapping[str, str]
FLAGS: Final = "EXTRA_NSPAWN_FLAGS"
PLACES: Final = frozenset({"/run/hive", "/root/.claude", "/state", "/agents", "/applied", "/meta"})
"""Inside a container: a bind of one of these is hive's. Any other flag is an operator's."""
_SPECIAL = frozenset(" :;\"'`\\$*?[")
_BINDS: Final = frozenset({"--bind", "--bind-ro"})


def owned(agent: AgentName, layout: Layout, *, privileged: bool) -> Conf:
    """What hive wants in the conf of `agent`.

    Any address makes the network private, and the web port would vanish from the host.
    """
    return {
        "PRIVATE_NETWORK": "0",
        "HOST_ADDRESS": "",
        "LOCAL_ADDRESS": "",
        "HOST_ADDRESS6": "",
        "LOCAL_ADDRESS6": "",
        "HOST_BRIDGE": "",
        "PRIVATE_USERS": "no" if privileged else "pick",
        FLAGS: " ".join(_binds(agent, layout, "" if privileged else ":idmap")),
    }


def _binds(agent: AgentName, layout: Layout, how: str) -> list[str]:
    home = layout.home(agent)
    binds = [
        _bind("--bind", layout.runtime(agent), "/run/hive", how),
        _bind("--bind", home / "claude", "/root/.claude", how),
        _bind("--bind", home / "state", "/state", how),
    ]
    if agent.is_manager:
        binds += [
            _bind("--bind", layout.shown, "/agents", how),
            _bind("--bind-ro", layout.applied_root, "/applied", how),
            _bind("--bind-ro", layout.meta, "/meta", how),
        ]
    return binds


def _bind(flag: str, source: Path, inside: str, how: str) -> str:
    if any(letter in _SPECIAL or not letter.isprintable() for letter in str(source)):
        raise Refused(
            f"{str(source)!r} cannot be bound: nspawn's flags are split at blanks and colons",
            code="bad-path",
            hint="choose a HIVE_STATE_DIR and HIVE_RUN_DIR of letters, digits, '-', '_' and '.'",
        )
    return f"{flag}={source}:{inside}{how}"


def read(text: str) -> Conf:
    """The keys and values; a value may stand in double quotes, as in an environment file."""
    lines = (line.strip() for line in text.split("\n"))
    pairs = (line.partition("=") for line in lines if not line.startswith(("#", ";")))
    return {key.strip(): _bare(value.strip()) for key, sign, value in pairs if sign}


def _bare(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def foreign(flags: str) -> list[str]:
    """The flags that are not hive's own, in their order: what an operator gave the container."""
    return [flag for flag in _split(flags) if not _is_own(flag)]


def _split(flags: str) -> Iterator[str]:
    """Each flag, with the word behind it where that is its value: `--bind /srv`."""
    words = iter(flags.split())
    for word in words:
        value = next(words, None) if word in _BINDS else None
        yield word if value is None else f"{word} {value}"


def _is_own(flag: str) -> bool:
    """A bind of a place of hive's: `--bind=SOURCE:PLACE:OPTIONS`; a colon may be escaped."""
    name, _, bind = flag.replace(" ", "=", 1).partition("=")
    if name not in _BINDS:
        return False
    parts = re.split(r"(?<!\\):", bind)
    place = parts[1] if len(parts) > 1 and parts[1] else parts[0].lstrip("+-")
    return posixpath.normpath(f"/{place.lstrip('/')}") in PLACES


def drift(wanted: Conf, found: Conf) -> str | None:
    """The first key that is another in `found`; absent and empty are the same.

    Of the flags only hive's own are compared.
    """
    return next((key for key, value in wanted.items() if _own(key, found) != value), None)


def mine(found: Conf) -> Conf:
    """What `found` says of all that hive owns, whatever it is."""
    keys = ("PRIVATE_NETWORK", "HOST_ADDRESS", "LOCAL_ADDRESS", "HOST_ADDRESS6", "LOCAL_ADDRESS6",
            "HOST_BRIDGE", "PRIVATE_USERS", FLAGS)  # fmt: skip
    return {key: _own(key, found) for key in keys}


def _own(key: str, found: Conf) -> str:
    value = found.get(key, "")
    return " ".join(filter(_is_own, _split(value))) if key == FLAGS else value


def rewritten(text: str, wanted: Conf) -> str:
    """`text` with the wanted lines, and every other line as it was; flags of others stay, last."""
    lines = text.removesuffix("\n").split("\n") if text else []
    kept = [line for line in lines if line.partition("=")[0].strip() not in wanted]
    others = {FLAGS: foreign(read(text).get(FLAGS, ""))}
    values = {key: " ".join((value, *others.get(key, ()))).strip() for key, value in wanted.items()}
    ours = [
        f'{key}="{value}"' if " " in value else f"{key}={value}" for key, value in values.items()
    ]
    return "".join(f"{line}\n" for line in (*kept, *ours))
