"""Values that the tests of the domain begin with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hive.domain.layout import Layout
from hive.domain.meta import Base, Block, Meta
from hive.domain.names import AgentName, Rev

ALICE, BOB, MANAGER = AgentName("alice"), AgentName("bob"), AgentName("hm1nd")
REV, OTHER_REV, BASE_REV = Rev("a" * 40), Rev("b" * 40), Rev("c" * 40)
_HASH = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

_LAYOUT = Layout(
    state=Path("/var/lib/hyperhive"),
    run=Path("/run/hyperhive"),
    conf_dir=Path("/etc/nixos-containers"),
    container_state=Path("/var/lib/nixos-containers"),
    profiles=Path("/nix/var/nix/profiles/per-container"),
    systemd=Path("/run/systemd/system"),
    gcroots=Path("/nix/var/nix/gcroots/hive"),
    proc=Path("/proc"),
)


def a_layout(**overrides: Any) -> Layout:  # noqa: ANN401 - any field
    return replace(_LAYOUT, **overrides)


def a_base(**overrides: str) -> Base:
    base = Base("base-cccccccccccc", f"git+file:///srv/base?rev={BASE_REV}", "git+file:///srv/base")
    return replace(base, **overrides)


def a_block(agent: AgentName = ALICE, **overrides: Any) -> Block:  # noqa: ANN401 - any field
    url = f"git+file:///var/lib/hyperhive/applied/{agent}"
    return replace(Block.of(agent, url=url, rev=REV, base=a_base().label), **overrides)


def a_meta(*agents: AgentName) -> Meta:
    meta = Meta()
    for agent in agents:
        meta = meta.with_block(a_block(agent), a_base())
    return meta


def a_node(**locked: object) -> dict[str, Any]:
    """A node of a lock file, as nix writes it."""
    git = {"narHash": _HASH, "lastModified": 1, "type": "git", "url": "https://example.org/repo"}
    return {"locked": {**git, **locked}, "inputs": {}}


def a_lock(change: Callable[[dict[str, Any]], object] = lambda nodes: None) -> dict[str, Any]:
    """The lock of a meta flake: alice has an input with an input, and follows the base's lib."""
    alice, base = a_node(rev=REV, revCount=3), a_node(rev=BASE_REV)
    alice["inputs"] = {"tool": "tool", "lib": [a_base().label, "lib"]}
    base["inputs"] = {"lib": "lib"}
    tool = a_node(rev="d" * 40)
    tool["inputs"] = {"deep": "deep"}
    nodes = {
        "agent-alice": alice,
        a_base().label: base,
        "lib": a_node(rev="e" * 40),
        "tool": tool,
        "deep": a_node(rev="f" * 40),
        "root": {"inputs": {"agent-alice": "agent-alice", a_base().label: a_base().label}},
    }
    nodes = copy.deepcopy(nodes)
    change(nodes)
    return {"nodes": nodes, "root": "root", "version": 7}
