"""A container's conf: the lines that hive owns, and the flags that systemd-nspawn is given.

The conf is an environment file of the unit, and is also read by regular expression: one `KEY=value`
a line. Contract: nixos-container and the start script of `container@.service`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hive.domain.layout import Layout
from hive.domain.names import AgentName
from hive.errors import Refused

Conf = Mapping[str, str]
_SPECIAL = frozenset(" :;\"'`\\$*?[")


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
        "EXTRA_NSPAWN_FLAGS": " ".join(_binds(agent, layout, "" if privileged else ":idmap")),
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
            _bind("--bind", layout.agents, "/agents", how),
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
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if is_quoted else value


def drift(wanted: Conf, found: Conf) -> str | None:
    """The first key that is another in `found`; absent and empty are the same."""
    return next((key for key, value in wanted.items() if found.get(key, "") != value), None)


def rewritten(text: str, wanted: Conf) -> str:
    """`text` with the wanted lines, and every other line as it was."""
    lines = text.removesuffix("\n").split("\n") if text else []
    kept = [line for line in lines if line.partition("=")[0].strip() not in wanted]
    ours = [
        f'{key}="{value}"' if " " in value else f"{key}={value}" for key, value in wanted.items()
    ]
    return "".join(f"{line}\n" for line in (*kept, *ours))
