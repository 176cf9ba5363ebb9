"""Who a harness is, as the meta flake tells it through the environment of its service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from hive.domain.names import AgentName
from hive.errors import Refused

HIGHEST: Final = 65_535


@dataclass(frozen=True, slots=True)
class Identity:
    agent: AgentName
    port: int
    state: Path
    """The agent's own folder, which survives its container."""
    model: str | None = None
    allowed_tools: str | None = None
    dashboard_port: str | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Raises `Refused`, code `no-identity`, where hive has not told who this is."""
        said = {
            name: _said(env, name) for name in ("HIVE_LABEL", "HIVE_PORT", "HYPERHIVE_STATE_DIR")
        }
        port = said["HIVE_PORT"]
        if not (port.isascii() and port.isdecimal() and 0 < int(port) <= HIGHEST):
            raise _unknown(f"HIVE_PORT is {port!r}, and no port")
        state = Path(said["HYPERHIVE_STATE_DIR"])
        if not state.is_absolute():
            raise _unknown(f"HYPERHIVE_STATE_DIR is {str(state)!r}, and no absolute path")
        return cls(
            AgentName(said["HIVE_LABEL"]),
            int(port),
            state,
            env.get("HIVE_MODEL") or None,
            env.get("HIVE_ALLOWED_TOOLS") or None,
            env.get("HIVE_DASHBOARD_PORT") or None,
        )


def _said(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise _unknown(f"{name} is not set")
    return value


def _unknown(message: str) -> Refused:
    return Refused(
        message,
        code="no-identity",
        hint="a harness is run by its container's service hive-agent, which knows who it is",
    )
