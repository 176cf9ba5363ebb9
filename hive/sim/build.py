"""`nix build` of one agent's system from a meta flake that hive rendered, read by its lines."""

from __future__ import annotations

import json
import os
import re

from hive.sim import lockfile, modules, nar, sources
from hive.sim.sources import NixError, Source
from hive.sim.text import literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hive.sim.nar import Tree
    from hive.sim.places import Places
    from hive.sim.voice import Voice

INIT = b'#!/bin/sh\nexec "$HIVE_SIM_INIT" "$0"\n'
_STRING = r'("(?:[^"\\]|\\.)*")'
_BLOCK = re.compile(
    rf"^\s*{_STRING} = inputs\.{_STRING}\.nixosConfigurations\.([a-z-]+)\.extendModules \{{\n"
    r"(.*?)^      \};$",
    re.MULTILINE | re.DOTALL,
)
_MODULE = re.compile(rf"inputs\.{_STRING}\.nixosModules\.default")
_VARIABLE = re.compile(rf"systemd\.services\.[a-z-]+\.environment\.([A-Z_]+) = {_STRING};")
_ATTRIBUTE = re.compile(r'nixosConfigurations\."?([^".]+)"?\.config\.system\.build\.toplevel')


class Wanted:
    """One agent's block: what it stands on, which input is its own, what it is told."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        for found in _BLOCK.finditer(text):
            if literal(found[1]) == name:
                self.base, self.configuration, self.body = literal(found[2]), found[3], found[4]
                break
        else:
            raise KeyError(name)
        module = _MODULE.search(self.body)
        if module is None:
            raise KeyError(name)
        self.module = literal(module[1])
        self.environment = {key: literal(value) for key, value in _VARIABLE.findall(self.body)}


def system_of(
    places: Places, meta: Source, graph: dict[str, Any], url: str, attribute: str
) -> System:
    """Evaluates: everything that can be wrong with the texts is raised here."""
    modules.check_syntax(meta)
    wanted = _wanted(meta, url, attribute)
    agent_node = lockfile.node_of(graph, wanted.module)
    base_node = lockfile.node_of(graph, wanted.base)
    base = sources.fetch_locked(places, base_node["locked"])
    agent = sources.fetch_locked(places, agent_node["locked"])
    modules.check_base(base, wanted.configuration)
    modules.check_agent(agent)
    decides = [lockfile.content(graph, agent_node), lockfile.content(graph, base_node)]
    return System(places, wanted, agent, base, decides)


def _wanted(meta: Source, url: str, attribute: str) -> Wanted:
    found = _ATTRIBUTE.fullmatch(attribute)
    try:
        return Wanted(found[1] if found else "", meta.text("flake.nix"))
    except KeyError:
        tried = [f"{prefix}{attribute}" for prefix in
                 ("packages.x86_64-linux.", "legacyPackages.x86_64-linux.", "")]  # fmt: skip
        raise NixError(
            f"flake '{url}' does not provide attribute '{tried[0]}', '{tried[1]}' or '{tried[2]}'"
        ) from None


class System:
    """An evaluated system. Its path is a function of what it is made of, and of nothing else."""

    def __init__(
        self, places: Places, wanted: Wanted, agent: Source, base: Source, decides: list[object]
    ) -> None:
        self.places, self.agent, self.base = places, agent, base
        self.facts: dict[str, Any] = {
            "agent": wanted.name,
            "port": int(wanted.environment.get("HIVE_PORT", "0")),
            "label": wanted.environment.get("HIVE_LABEL", wanted.name),
            "rev": agent.locked.get("rev", ""),
            "base": wanted.base,
            "configuration": wanted.configuration,
            "environment": wanted.environment,
            "variables": modules.variables(agent),
        }
        self.name = f"nixos-system-{wanted.name}"
        decided = json.dumps([decides, self.facts, wanted.body], sort_keys=True)
        self.path = self._in_store("out", decided)
        self.drv = self._in_store("drv", decided) + ".drv"

    def _in_store(self, kind: str, decided: str) -> str:
        digits = nar.store_hash(kind, self.places.store, decided)
        return os.path.join(self.places.store, f"{digits}-{self.name}")

    def realise(self, voice: Voice) -> None:
        """It is in the store. One that was there costs nothing and says nothing."""
        sources.put(self.places, (False, self._drv_text().encode()), self.drv)
        if os.path.lexists(self.path):
            return
        number = voice.building(self.drv)
        for line in self._log():
            voice.log_line(number, self.name, line)
        if self.facts["variables"].get("HIVE_SIM_BUILD") == "fails":
            voice.built(number, failed=True)
            raise NixError(self._builder_failed())
        sources.put(self.places, self._tree(), self.path)
        voice.built(number)

    def _log(self) -> list[str]:
        facts = self.facts
        return [
            f"composing {facts['agent']} from {facts['base']}#{facts['configuration']}",
            f"agent.nix at {facts['rev'] or self.agent.path}",
            "asked to fail (HIVE_SIM_BUILD)"
            if facts["variables"].get("HIVE_SIM_BUILD") == "fails"
            else f"answers on port {facts['port']}",
        ]

    def _builder_failed(self) -> str:
        lines = "".join(f"\n       > {line}" for line in self._log())
        return (
            f"builder for '{self.drv}' failed with exit code 1;\n"
            f"       last {len(self._log())} log lines:{lines}\n"
            f"       For full logs, run 'nix log {self.drv}'."
        )

    def _tree(self) -> Tree:
        references = f"{self.agent.path}\n{self.base.path}\n"
        tree: dict[str, Tree] = {
            "init": (True, INIT),
            "agent.json": (
                False,
                json.dumps(self.facts, indent=2, sort_keys=True).encode() + b"\n",
            ),
            "nix-support": {"references": (False, references.encode())},
        }
        if os.path.isfile(self.agent.at("agent.nix")):
            tree["agent.nix"] = (False, self.agent.text("agent.nix").encode())
        return tree

    def _drv_text(self) -> str:
        return json.dumps({"name": self.name, "outputs": {"out": self.path}}, sort_keys=True) + "\n"
