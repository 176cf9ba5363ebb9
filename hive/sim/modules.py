"""What the files of an agent and of a base say, as text: would they evaluate, and what shows."""

from __future__ import annotations

import os

from hive.sim import text
from hive.sim.sources import NixError, Source
from hive.sim.text import Wrong


def check_syntax(source: Source, name: str = "flake.nix") -> None:
    """The brackets of one file: all that `nix flake metadata` reads."""
    content = source.text(name)
    try:
        text.check_syntax(content)
    except Wrong as wrong:
        raise _worded(source, name, content, wrong) from None


def check_all(source: Source) -> None:
    """`flake.nix` and all files that it leads to are there, have their brackets, throw nothing."""
    seen: set[str] = set()
    waiting = ["flake.nix"]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _check_one(source, name)


def _check_one(source: Source, name: str) -> list[str]:
    content = source.text(name)
    try:
        text.check_syntax(content)
        named = [
            os.path.normpath(os.path.join(os.path.dirname(name), p)) for p in text.paths(content)
        ]
        for path in named:
            if not os.path.lexists(source.at(path)):
                where = source.at(path)
                raise NixError(f"getting status of '{where}': No such file or directory")
        text.check_throws(content)
    except Wrong as wrong:
        raise _worded(source, name, content, wrong) from None
    return [found for path in named if (found := _file(source, path))]


def _file(source: Source, path: str) -> str | None:
    """What an import of `path` reads, where it is nix."""
    if os.path.isdir(source.at(path)):
        default = os.path.join(path, "default.nix")
        return default if os.path.isfile(source.at(default)) else None
    return path if path.endswith(".nix") else None


def _worded(source: Source, name: str, content: str, wrong: Wrong) -> NixError:
    if wrong.offset < 0:
        return NixError(wrong.words)
    return NixError(
        f"{wrong.words}\n\n       at {source.at(name)}:{text.where(content, wrong.offset)}:"
    )


def check_base(base: Source, configuration: str) -> None:
    """It evaluates, and has the configuration that the agent stands on."""
    check_all(base)
    known = text.words(base.text("flake.nix"))
    for attribute in ("nixosConfigurations", configuration):
        if attribute not in known:
            raise NixError(f"attribute '{attribute}' missing")


def check_agent(agent: Source) -> None:
    check_all(agent)
    if "nixosModules" not in text.words(agent.text("flake.nix")):
        raise NixError("attribute 'nixosModules' missing")


def variables(agent: Source) -> dict[str, str]:
    """`environment.variables` of `agent.nix`: what an agent shows on its page as its changes."""
    try:
        content = agent.text("agent.nix")
    except NixError:  # a flake may keep its module elsewhere
        return {}
    return text.strings(text.attributes(content), "environment", "variables")
