"""What a job deploys: a reference that is resolved by looking, and the key of its closure.

A revision and a closure are not known when a recipe is made: spawn's revision exists after seeding,
a closure after the build. So steps carry a target and look it up each time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hive.domain.meta import Block, quoted
from hive.domain.names import AgentName, Rev


@dataclass(frozen=True, slots=True)
class AppliedMain:
    """What the agent's applied `main` names."""

    agent: AgentName


@dataclass(frozen=True, slots=True)
class Pinned:
    """One commit, for good."""

    agent: AgentName
    rev: Rev


@dataclass(frozen=True, slots=True)
class Recorded:
    """What meta's main pins: the last closure that was deployed."""

    agent: AgentName


Target = AppliedMain | Pinned | Recorded

KEY_DIGITS = 16
_CONTENT = ("rev", "narHash")  # the rest (lastModified, revCount, …) varies with nix's cache


def closure_key(block: Block, lock: str) -> str:
    """Sixteen hex digits of all that decides the closure of one agent.

    The agent's rev, its transitive lock nodes, the base's rev and narHash with its own nodes, and
    the identity block. Two equal keys are one closure; the bytes of `flake.lock` are not compared.
    """
    nodes: Mapping[str, Any] = json.loads(lock)["nodes"]
    root = nodes[json.loads(lock)["root"]]["inputs"]
    decides = {
        "agent": block.agent,
        "rev": block.rev,
        "configuration": block.configuration,
        "identity": [f"{key}={quoted(value)}" for key, value in block.environment],
        "inputs": [
            _content(nodes, root, root[f"agent-{block.agent}"]),
            _content(nodes, root, root[block.base]),
        ],
    }
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def _content(
    nodes: Mapping[str, Any],
    root: Mapping[str, Any],
    label: Any,  # noqa: ANN401 - a node's label, or a path of inputs from the root
    above: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401 - JSON
    """What a lock node and all below it hold, by the names of the inputs, never by label."""
    if isinstance(label, list):
        label = _follow(nodes, root, label)
    if label in above:
        return "cycle"
    node = nodes[label]
    locked = node.get("locked", {})
    inputs = node.get("inputs", {})
    return {
        "locked": {key: locked[key] for key in _CONTENT if key in locked},
        "flake": node.get("flake", True),
        "inputs": {
            name: _content(nodes, root, inputs[name], (*above, label)) for name in sorted(inputs)
        },
    }


def _follow(nodes: Mapping[str, Any], root: Mapping[str, Any], path: list[str]) -> str:
    """The label at the end of a `follows` path, which begins at the root."""
    inputs, label = root, ""
    for name in path:
        found = inputs[name]
        label = _follow(nodes, root, found) if isinstance(found, list) else found
        inputs = nodes[label].get("inputs", {})
    return label
