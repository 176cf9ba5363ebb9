"""A meta flake of another hand, such as the old daemon's: what its lock pins, as hive's own.

Its inputs name branches (`?ref=main`), so it is the lock that says what is deployed. Nothing is
guessed: what cannot be read is refused, code `foreign-meta`, with what was found.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

from hive.domain.meta import Base, Block, Meta
from hive.domain.names import AgentName, Rev
from hive.domain.target import Nodes
from hive.errors import Refused

VERSION: Final = 7
_AGENT: Final = "agent-"
_FORGES: Final = frozenset({"github", "gitlab", "sourcehut"})
_KEPT: Final = ("ref", "dir", "host", "submodules", "shallow", "narHash")
"""Of an input's attributes, what its URL carries behind the `?`, besides the rev."""


def read(text: str | None, lock: str | None, applied: Callable[[AgentName], str]) -> Meta:
    """Each agent at the rev that the lock names, on the one base, at its locked URL.

    `applied`: the URL of the agent's applied repo, as hive names it.
    """
    nodes = _nodes(lock)
    meta, ours = Meta(), [name for name in nodes.root if name.startswith(_AGENT)]
    if not ours:
        return meta
    name = _base_name(text or "", nodes.root)
    base = _base(name, _node(nodes, name))
    for name in ours:
        agent = _agent(name)
        rev = _rev(name, _node(nodes, name), applied(agent))
        block = Block.of(agent, url=applied(agent), rev=rev, base=base.label)
        meta = meta.with_block(block, base)
    return meta


@dataclass(frozen=True, slots=True)
class _Input:
    locked: Mapping[str, Any]
    original: Mapping[str, Any]


def refuse_other_content(text: str | None, old: str | None, new: str) -> None:
    """Raises `Refused` where an input under hive's text is another than the lock before says.

    Such as where the old text lets an input follow another one, which hive's text does not.
    """
    before, after = _nodes(old), _nodes(new)
    base, now = (
        _base_name(said, nodes.root) for said, nodes in ((text or "", before), ("", after))
    )
    others = [
        name
        for name in before.root
        if (name == base or name.startswith(_AGENT))
        and _content(before, name) != _content(after, now if name == base else name)
    ]
    if others:
        raise _foreign(
            f"in hive's text {', '.join(others)} would be another than its lock says",
            "take the `follows` of its inputs out, run `nix flake lock` there, and commit",
        )


def _content(nodes: Nodes, name: str) -> str:
    try:
        return nodes.content(nodes.root[name])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _foreign(f"its lock does not hold together at {name!r}: {error}") from None


def _nodes(lock: str | None) -> Nodes:
    if lock is None:
        raise _foreign("it has no flake.lock in its main")
    try:
        found = json.loads(lock)
        version, nodes = found["version"], found["nodes"]
        root = nodes[found["root"]].get("inputs", {})
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise _foreign(f"its lock is no lock: {type(error).__name__} {error}") from None
    if version != VERSION or not isinstance(root, dict):
        raise _foreign(f"its lock has version {version!r}, not {VERSION}")
    return Nodes(nodes, root)


def _node(nodes: Nodes, name: str) -> _Input:
    label = nodes.root[name]
    try:
        node = nodes.nodes[nodes.follow(label)]
        return _Input({**node["locked"]}, {**node["original"]})
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise _foreign(f"its input {name!r} is not locked") from None


def _agent(name: str) -> AgentName:
    try:
        return AgentName(name.removeprefix(_AGENT))
    except Refused as refused:
        raise _foreign(f"its input {name!r} is of no agent: {refused.message}") from None


def _rev(name: str, node: _Input, expected: str) -> Rev:
    """Of a git repo of this host, at the place where hive looks for it."""
    locked = node.locked
    found = unquote(f"git+{locked.get('url', '')}").rstrip("/")
    if locked.get("type") != "git" or found != unquote(expected) or "dir" in locked:
        raise _foreign(f"its input {name!r} is {_shown(locked)}, not {expected}")
    try:
        return Rev(str(locked.get("rev", "")))
    except Refused:
        raise _foreign(f"its input {name!r} is locked at no commit: {_shown(locked)}") from None


def _base_name(text: str, names: Iterable[str]) -> str:
    """The one input that is no agent; of several, the one whose `nixosConfigurations` it takes."""
    others = [name for name in names if not name.startswith(_AGENT)]
    if len(others) > 1:
        taken = re.findall(r'([\w-]+)"?\s*\.\s*nixosConfigurations\b', text)
        others = [name for name in others if name in taken] or others
    if len(others) != 1:
        said = ", ".join(sorted(others)) or "none"
        raise _foreign(f"one of its inputs must be the base, and these may be: {said}")
    return others[0]


def _base(name: str, node: _Input) -> Base:
    locked = node.locked
    if "rev" not in locked and "narHash" not in locked:
        raise _foreign(f"its input {name!r} is locked at nothing: {_shown(locked)}")
    try:
        digits = str(locked["rev"]) if "rev" in locked else _hex(str(locked["narHash"]))
        url, origin = url_of(locked), url_of(node.original)
    except (KeyError, ValueError):
        raise _foreign(f"its input {name!r} cannot be named by a URL: {_shown(locked)}") from None
    return Base(f"base-{digits[:12]}", url, origin)


def url_of(attributes: Mapping[str, Any]) -> str:
    """The flake reference of what a lock spells out. Raises `ValueError`, or `KeyError`."""
    kind, rev = attributes["type"], attributes.get("rev")
    last = attributes.get("lastModified")
    shown = {key: attributes[key] for key in _KEPT if key in attributes}
    if kind in _FORGES:
        at = f"{kind}:{attributes['owner']}/{attributes['repo']}"
        ref = rev or shown.pop("ref", None)
        shown.pop("ref", None)
        return _with(f"{at}/{ref}" if ref else at, {**shown, "narHash": None})
    if kind == "git":
        return _with(f"git+{attributes['url']}", {**shown, "rev": rev, "narHash": None})
    if kind == "path":
        return _with(
            f"path:{quote(str(attributes['path']))}", {**shown, "rev": rev, "lastModified": last}
        )
    if kind == "tarball":
        return _with(str(attributes["url"]), shown)
    raise ValueError(f"an input of type {kind!r}")


def _with(at: str, query: Mapping[str, object]) -> str:
    said = {key: value for key, value in query.items() if value not in (None, False)}
    pairs = (f"{key}={_value(value)}" for key, value in sorted(said.items()))
    behind = "&".join(pairs)
    return f"{at}{'&' if '?' in at else '?'}{behind}" if behind else at


def _value(value: object) -> str:
    return "1" if value is True else quote(str(value), safe="/")


def _hex(sri: str) -> str:
    return base64.b64decode(sri.removeprefix("sha256-"), validate=True).hex()


def _shown(locked: Mapping[str, Any]) -> str:
    return json.dumps(locked, sort_keys=True)[:300]


def _foreign(because: str, hint: str = "") -> Refused:
    return Refused(
        f"the meta flake cannot be adopted: {because}",
        code="foreign-meta",
        hint=hint or "bring it to where its flake.lock pins one base and each agent, and commit",
    )
