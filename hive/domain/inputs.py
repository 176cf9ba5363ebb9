"""What an agent's flake may stand on: what its own lock says, and no file of this host.

nix copies an input into the store, which everybody reads, and runs as root: a `path:` or a
`git+file:` input would hand out whatever it names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hive.domain.names import AgentName
from hive.domain.target import Nodes
from hive.errors import Refused

_FILES: Final = ("file:", "git+file:", "hg+file:", "/")
_BY_SSH: Final = re.compile(r"[^/]*@.*:.*")


def refuse_stale(agent: AgentName, own: str | None, lock: str) -> None:
    """Raises `Refused`, code `stale-lock`, where the agent's own `flake.lock` lacks an input.

    nix takes over what that lock says, and fills in what it does not: so what the meta flake's
    lock has below the agent must be what the agent's own has.
    """
    known = _contents(own, None) if own else {}
    for name, content in _contents(lock, f"agent-{agent}").items():
        if known.get(name) != content:
            raise Refused(
                f"the input {name!r} of {agent} is not locked by the commit's own flake.lock",
                code="stale-lock",
                hint="run `nix flake lock` there, commit flake.lock with it, and propose that",
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
        raise Refused(
            f"a flake.lock does not hold together: {type(error).__name__} {error}",
            code="stale-lock",
            hint="run `nix flake lock` there, commit flake.lock with it, and propose that",
        ) from None


def refuse_host_inputs(agent: AgentName, lock: str) -> None:
    """Raises `Refused`, code `host-input`, for what lies below the agent in the meta flake's lock.

    The agent's own repo is on this host, and is hive's; what it leads to is the agent's choice.
    """
    found = json.loads(lock)
    nodes = found["nodes"]
    root = nodes[found["root"]].get("inputs", {}).get(f"agent-{agent}")
    if root is None:
        return
    for label in _below(nodes, root):
        named = _on_host(nodes[label].get("locked", {}))
        if named:
            raise Refused(
                f"the input {label!r} of {agent} names a file of this host: {named!r}",
                code="host-input",
                hint="an input is a repo or an archive elsewhere; commit what it needs",
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


def _on_host(locked: Mapping[str, Any]) -> str | None:
    """The file that it names. A relative path is within its own flake."""
    path, url = str(locked.get("path", "")), str(locked.get("url", "")).strip()
    if locked.get("type") == "path" and (path.startswith("/") or ".." in path.split("/")):
        return path
    is_far = "://" in url or _BY_SSH.fullmatch(url)  # nix takes any other for a path
    return url if url and (not is_far or url.lower().startswith(_FILES)) else None
