"""What a job deploys: a reference that is resolved by looking, and the key of its closure.

A revision and a closure are not known when a recipe is made: spawn's revision exists after seeding,
a closure after the build. So steps carry a target and look it up each time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hive.domain.agent import Variables
from hive.domain.meta import Base, Block, quoted
from hive.domain.names import AgentName, Rev
from hive.errors import Refused


@dataclass(frozen=True, slots=True)
class AppliedMain:
    """What the agent's applied `main` names."""

    agent: AgentName
    overrides: Variables = ()
    """What the operator's settings tell the harness."""
    base: Base | None = None
    """What it is to stand on; None: what it stands on already."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """One commit, for good."""

    agent: AgentName
    rev: Rev
    overrides: Variables = ()
    base: Base | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What meta's main pins: the last closure that was deployed."""

    agent: AgentName


Target = AppliedMain | Pinned | Recorded

KEY_DIGITS = 16
_CONTENT = ("rev", "narHash", "dir")  # the rest (lastModified, revCount, …) varies with nix's cache
_PLACE = ("path",)  # of an input within its flake, which has neither rev nor narHash


def closure_key(block: Block, lock: str) -> str:
    """Sixteen hex digits of all that decides the closure of one agent.

    The agent's rev, its transitive lock nodes, the base's rev and narHash with its own nodes, and
    the identity block. Two equal keys are one closure; the bytes of `flake.lock` are not compared.
    """
    return closure_keys([block], lock)[block.agent]


def closure_keys(blocks: Iterable[Block], lock: str) -> dict[AgentName, str]:
    """The key of each agent; `Refused` where the lock lacks what one of them stands on."""
    try:
        found = json.loads(lock)
        nodes = Nodes(found["nodes"], found["nodes"][found["root"]].get("inputs", {}))
        return {block.agent: _key(block, nodes) for block in blocks}
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise Refused(
            f"the lock of the meta flake does not hold together: {type(error).__name__} {error}",
            code="foreign-meta",
            hint="see its `git log`; only nix writes this file",
        ) from None


def _key(block: Block, nodes: Nodes) -> str:
    inputs = [nodes.content(nodes.root[label]) for label in (f"agent-{block.agent}", block.base)]
    identity = [f"{key}={quoted(value)}" for key, value in block.environment]
    return _digest([block.agent, block.rev, block.configuration, identity, inputs])[:KEY_DIGITS]


@dataclass(frozen=True, slots=True)
class Nodes:
    """A lock's nodes. A node that many share is read once, or the work would double at each."""

    nodes: Mapping[str, Any]
    root: Mapping[str, Any]
    known: dict[str, str] = field(default_factory=dict)

    def content(self, named: str | list[str], above: tuple[str, ...] = ()) -> str:
        """Of a node and all below it, by the names of the inputs, never by label."""
        label = self.follow(named)
        if label in above:
            return f"{len(above) - above.index(label)} above"
        if label not in self.known:
            self.known[label] = self._read(self.nodes[label], (*above, label))
        return self.known[label]

    def _read(self, node: Mapping[str, Any], above: tuple[str, ...]) -> str:
        locked, inputs = node.get("locked", {}), node.get("inputs", {})
        telling = _CONTENT if "narHash" in locked or "rev" in locked else (*_CONTENT, *_PLACE)
        held = {key: locked[key] for key in telling if key in locked}
        below = {name: self.content(inputs[name], above) for name in sorted(inputs)}
        return _digest([held, node.get("flake", True), below])

    def follow(self, named: str | list[str]) -> str:
        """The label itself, or the one at the end of a `follows` path, which begins at the root."""
        if isinstance(named, str):
            return named
        inputs, label = self.root, ""
        for name in named:
            label = self.follow(inputs[name])
            inputs = self.nodes[label].get("inputs", {})
        return label


def _digest(value: list[Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
