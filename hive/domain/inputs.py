"""What an agent's flake may stand on: what its own lock says, and nothing that is of this host.

nix copies an input into the store, which everybody reads, and runs as root: an input that names a
file of the host would hand it out. So only what is known to lie elsewhere is taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hive.domain.names import AgentName
from hive.domain.target import Nodes
from hive.errors import Refused

FORGES: Final = frozenset({"github", "gitlab", "sourcehut"})
FETCHED: Final = frozenset({"git", "hg", "tarball", "file"})
"""Kinds of inputs that have a URL."""
_FAR: Final = re.compile(r"((git|hg|tarball|file)\+)?(https?|ssh|git|s3)://[^-/].*", re.DOTALL)
_BY_SSH: Final = re.compile(r"[\w.]+@[\w.][\w.-]*:[^:].*", re.ASCII | re.DOTALL)
"""As git writes it: `git@example.org:repo.git`. nix and git take any other for a path."""


def refuse_stale(agent: AgentName, own: str | None, lock: str) -> None:
    """Raises `Refused`, code `stale-lock`, where the agent's own `flake.lock` lacks an input.

    nix takes over what that lock says, and fills in what it does not: so what the meta flake's
    lock has below the agent must be what the agent's own has.
    """
    known = _contents(own, None) if own else {}
    for name, content in _contents(lock, f"agent-{agent}").items():
        if known.get(name) != content:
            raise _stale(
                f"the input {name!r} of {agent} is not locked by the commit's own flake.lock"
            )


def _contents(lock: str, below: str | None) -> dict[str, str]:
    """What each input of a node holds; of the root, where none is named."""
    try:
        found = json.loads(lock)
        root = found["nodes"][found["root"]].get("inputs", {})
        nodes = Nodes(found["nodes"], root)
        named = root
        if below is not None:
            named = found["nodes"][nodes.follow(root[below])].get("inputs", {})
        return {name: nodes.content(where) for name, where in named.items()}
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise _stale(
            f"a flake.lock does not hold together: {type(error).__name__} {error}"
        ) from None


def _stale(said: str) -> Refused:
    hint = "run `nix flake lock` there, commit flake.lock with it, and propose that"
    return Refused(said, code="stale-lock", hint=hint)


def refuse_own_host_inputs(agent: AgentName, own: str) -> None:
    """The same for all that the agent's own `flake.lock` names, before nix reads any of it.

    What says a thing twice is refused: nix might read the other one.
    """
    try:
        found = json.loads(own, object_pairs_hook=_once)
        nodes = {label: dict(node) for label, node in found["nodes"].items()}
        root = found["root"]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise _stale(
            f"a flake.lock does not hold together: {type(error).__name__} {error}"
        ) from None
    for label, node in nodes.items():
        if label != root:
            _refuse(agent, label, node)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def refuse_host_inputs(agent: AgentName, lock: str) -> None:
    """Raises `Refused`, code `host-input`, for what lies below the agent in the meta flake's lock.

    The agent's own repo is on this host, and is hive's; what it leads to is the agent's choice.
    """
    found = json.loads(lock)
    nodes = found["nodes"]
    root = nodes[found["root"]].get("inputs", {}).get(f"agent-{agent}")
    if root is None:
        return
    if nodes[root].get("locked", {}).get("submodules"):
        raise _of_host(agent, root, "it has submodules, and they lead wherever they say")
    for label in _below(nodes, root):
        _refuse(agent, label, nodes[label])


def _refuse(agent: AgentName, label: str, node: Mapping[str, Any]) -> None:
    locked = node.get("locked")
    because = _why_not(locked) if isinstance(locked, dict) else "it is not locked"
    if because:
        raise _of_host(agent, label, because)


def _of_host(agent: AgentName, label: str, because: str) -> Refused:
    return Refused(
        f"the input {label!r} of {agent} may be a file of this host: {because}",
        code="host-input",
        hint="an input is a repo or an archive elsewhere; commit what it needs, and import it",
    )


def _below(nodes: Mapping[str, Any], root: str) -> Iterator[str]:
    """Every node that the agent's leads to, each once. A `follows` leads to what others have."""
    seen = {root}
    waiting = [root]
    while waiting:
        inputs = nodes[waiting.pop()].get("inputs", {}).values()
        found = [label for label in inputs if isinstance(label, str) and label not in seen]
        seen.update(found)
        waiting += found
        yield from found


def _why_not(locked: Mapping[str, Any]) -> str | None:
    """None where it is known to lie elsewhere.

    A path within its own flake is none of that: it may lead through a link of that flake, and some
    nix follows it (2.8 does).
    """
    kind, url = locked.get("type"), locked.get("url")
    if kind == "path":
        return f"the path {locked.get('path')!r}"
    if kind not in FORGES | FETCHED:
        return f"it is of the kind {kind!r}"
    if kind in FETCHED and not isinstance(url, str):
        return "it has no URL"
    if url is not None and not _is_far(kind, str(url)):
        return f"its URL is {url!r}"
    if locked.get("submodules"):
        return "it has submodules, and they lead wherever they say"
    folder = str(locked.get("dir", ""))
    return f"its folder is {folder!r}" if _climbs(folder) else None


def _is_far(kind: object, url: str) -> bool:
    return bool(_FAR.fullmatch(url) or (kind == "git" and _BY_SSH.fullmatch(url)))


def _climbs(folder: str) -> bool:
    return folder.startswith("/") or ".." in folder.split("/")
