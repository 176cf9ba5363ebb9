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
    if any(letter in str(source) for letter in ' \t\n:"\\$*?['):
        raise Refused(
            f"{str(source)!r} cannot be bound: nspawn's flags are split at blanks and colons",
            code="bad-path",
            hint="choose a HIVE_STATE_DIR and HIVE_RUN_DIR of letters, digits, '-', '_' and '.'",
        )
    return f"{flag}={source}:{inside}{how}"


def read(text: str) -> Conf:
    """The keys and values; a value may stand in double quotes, as in an environment file."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {key.strip(): value.strip().strip('"') for key, sign, value in pairs if sign}


def rewritten(text: str, wanted: Conf) -> str:
    """`text` with the wanted lines, and every other line as it was."""
    kept = [line for line in text.splitlines() if line.partition("=")[0].strip() not in wanted]
    ours = [
        f'{key}="{value}"' if " " in value else f"{key}={value}" for key, value in wanted.items()
    ]
    return "\n".join([*kept, *ours]) + "\n"
