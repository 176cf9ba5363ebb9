"""`flake.lock`, version 7: what is missing or points elsewhere is filled in, the rest stays."""

from __future__ import annotations

import json

from hive.sim import sources, text
from hive.sim.sources import NixError, Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hive.sim.places import Places
    from hive.sim.text import Value

NAME = "flake.lock"
EMPTY: dict[str, Any] = {"nodes": {"root": {}}, "root": "root", "version": 7}


def written(graph: dict[str, Any]) -> str:
    return json.dumps(graph, indent=2, sort_keys=True) + "\n"


def inputs_of(source: Source) -> dict[str, dict[str, Value]]:
    """The inputs that a flake's text names."""
    said = text.attributes(source.text("flake.nix")).get("inputs")
    found = said if isinstance(said, dict) else {}
    return {name: value for name, value in found.items() if isinstance(value, dict)}


def locked(
    places: Places, source: Source, above: tuple[str, ...] = (), *, anew: str | None = None
) -> dict[str, Any]:
    """The complete graph of `source`, beginning with what its own lock file says.

    `anew`: the input that is locked again, whatever the file says of it.
    """
    if source.path in above:
        raise NixError(f"input '{source.path}' is part of a cycle")
    old = source.json(NAME) or EMPTY
    return _Graph(places, old, (*above, source.path), anew).of(inputs_of(source))


class _Graph:
    def __init__(
        self, places: Places, old: dict[str, Any], above: tuple[str, ...], anew: str | None
    ) -> None:
        self.places, self.old, self.above, self.anew = places, old, above, anew
        self.nodes: dict[str, Any] = {}

    def of(self, inputs: dict[str, dict[str, Value]]) -> dict[str, Any]:
        known = self.old["nodes"][self.old["root"]].get("inputs", {})
        chosen: dict[str, Any] = {}
        for name, said in inputs.items():
            if "follows" in said:
                chosen[name] = str(said["follows"]).split("/")
            elif name == self.anew:
                continue
            elif isinstance(known.get(name), str) and self._is_same(known[name], said):
                chosen[name] = self._keep(known[name])
        for name, said in inputs.items():
            if name not in chosen:
                chosen[name] = self._new(name, said)
        return self._whole(chosen)

    def _whole(self, chosen: dict[str, Any]) -> dict[str, Any]:
        root = {"inputs": chosen} if chosen else {}
        return {"nodes": {**self.nodes, "root": root}, "root": "root", "version": 7}

    def _is_same(self, label: str, said: dict[str, Value]) -> bool:
        """Whether the node was locked for this very URL."""
        node = self.old["nodes"].get(label, {})
        is_flake = said.get("flake") != "false"
        try:
            wanted = sources.parsed(str(said.get("url"))).attributes
        except NixError:  # from elsewhere: the sim cannot spell it, so it believes the lock
            return "locked" in node
        return bool(node.get("original") == wanted and node.get("flake", True) == is_flake)

    def _keep(self, label: str) -> str:
        if label not in self.nodes:
            self.nodes[label] = self.old["nodes"][label]
            for below in self.nodes[label].get("inputs", {}).values():
                if isinstance(below, str):
                    self._keep(below)
        return label

    def _new(self, name: str, said: dict[str, Value]) -> str:
        """A new node, and below it what that flake's own lock file says."""
        reference = sources.parsed(str(said.get("url")))
        source = sources.fetch(self.places, reference)
        label = self._free(name)
        node: dict[str, Any] = {"locked": source.locked, "original": reference.attributes}
        self.nodes[label] = node
        if said.get("flake") == "false":
            node["flake"] = False
        else:
            graph = locked(self.places, source, self.above)
            below = self._adopted(name, graph) | _overrides(said)
            node |= {"inputs": below} if below else {}
        return label

    def _adopted(self, name: str, graph: dict[str, Any]) -> dict[str, Any]:
        """The other graph's nodes under labels that are free here; paths now begin at our root."""
        labels = {label: self._reserve(label) for label in graph["nodes"] if label != graph["root"]}

        def here(inputs: dict[str, Any]) -> dict[str, Any]:
            return {
                key: labels[value] if isinstance(value, str) else [name, *value]
                for key, value in inputs.items()
            }

        for old, new in labels.items():
            node = dict(graph["nodes"][old])
            if node.get("inputs"):
                node["inputs"] = here(node["inputs"])
            self.nodes[new] = node
        return here(graph["nodes"][graph["root"]].get("inputs", {}))

    def _reserve(self, label: str) -> str:
        free = self._free(label)
        self.nodes[free] = {}
        return free

    def _free(self, name: str) -> str:
        label, number = name, 2
        while label in self.nodes or label == "root":
            label, number = f"{name}_{number}", number + 1
        return label


def _overrides(said: dict[str, Value]) -> dict[str, Any]:
    """`inputs.<name>.inputs.<other>.follows = "a/b"`."""
    inner = said.get("inputs")
    found: dict[str, Any] = {}
    for key, value in (inner if isinstance(inner, dict) else {}).items():
        if isinstance(value, dict) and isinstance(value.get("follows"), str):
            found[key] = str(value["follows"]).split("/")
    return found


def node_of(graph: dict[str, Any], name: str) -> dict[str, Any]:
    """The node of an input of the root, through `nodes[root].inputs`, never by label."""
    label = graph["nodes"][graph["root"]].get("inputs", {}).get(name)
    while isinstance(label, list):
        at: Any = graph["root"]
        for part in label:
            at = graph["nodes"][at]["inputs"][part]
        label = at
    if label is None:
        raise NixError(f"attribute '{name}' missing")
    found: dict[str, Any] = graph["nodes"][label]
    return found


def content(graph: dict[str, Any], node: dict[str, Any], depth: int = 0) -> object:
    """What decides a closure: the hashes of a node and of all below it."""
    if depth > 50:
        return "deep"
    below = {
        name: content(graph, graph["nodes"][label], depth + 1) if isinstance(label, str) else label
        for name, label in node.get("inputs", {}).items()
    }
    return [node.get("locked", {}).get("narHash"), node.get("locked", {}).get("rev"), below]
