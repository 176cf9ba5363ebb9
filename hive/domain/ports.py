"""The port of an agent: a pure function of its name, so that everyone computes the same one."""

from __future__ import annotations

from hive.domain.names import AgentName

MANAGER_PORT = 8000
DASHBOARD_PORT = 7000
BASE, RANGE = 8100, 900
OFFSET_BASIS, PRIME = 2166136261, 16777619


def fnv1a32(text: str) -> int:
    """FNV-1a over the UTF-8 bytes, 32 bits."""
    digest = OFFSET_BASIS
    for byte in text.encode():
        digest = (digest ^ byte) * PRIME % 2**32
    return digest


def port_of(agent: AgentName) -> int:
    return MANAGER_PORT if agent.is_manager else BASE + fnv1a32(agent) % RANGE
