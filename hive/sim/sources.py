"""Flake references and what they name: trees, copied into the pretend store by their narHash."""

from __future__ import annotations

import json
import os
import re

from hive.sim import gitread, nar
from hive.sim.files import read_json, write_beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hive.sim.nar import Tree
    from hive.sim.places import Places


class NixError(Exception):
    """What nix would say, without its `error: `."""

    def __init__(self, words: str, code: int = 1) -> None:
        super().__init__(words)
        self.code = code


class Reference:
    """`path:DIR?…` or `git+file://REPO?…`; anything else needs a network, and there is none."""

    def __init__(self, kind: str, path: str, query: dict[str, str]) -> None:
        self.kind, self.path, self.query = kind, path, query

    @property
    def attributes(self) -> dict[str, Any]:
        """As a lock file spells it."""
        query: dict[str, Any] = dict(self.query)
        for number in ("lastModified", "revCount"):
            if number in query:
                query[number] = int(query[number])
        if self.kind == "git":
            return {**query, "type": "git", "url": f"file://{self.path}"}
        return {**query, "path": self.path, "type": "path"}

    @property
    def url(self) -> str:
        return url_of(self.attributes)


def parsed(text: str) -> Reference:
    url, _, asked = text.partition("#")[0].partition("?")
    pairs = (pair.partition("=") for pair in asked.split("&") if pair)
    query = {key: _decoded(value) for key, _, value in pairs}
    if url.startswith("git+file:"):
        path = _decoded(url.removeprefix("git+file:"))
        return Reference("git", path.removeprefix("//"), query)
    if url.startswith("path:"):
        return Reference("path", os.path.abspath(_decoded(url.removeprefix("path:"))), query)
    if re.match(r"[a-z+]+:", url):
        raise NixError(
            f"unable to download '{url}': Could not resolve host (the sim has no network)"
        )
    return _plain(os.path.abspath(url), query)


def _plain(path: str, query: dict[str, str]) -> Reference:
    """A folder's name: the git repository that it is, or is in; else the folder."""
    at = path
    while at != os.path.dirname(at):
        if os.path.exists(os.path.join(at, ".git")):
            below = os.path.relpath(path, at)
            return Reference("git", at, query | ({} if below == "." else {"dir": below}))
        at = os.path.dirname(at)
    return Reference("path", path, query)


def _encoded(value: object) -> str:
    return str(value).replace("%", "%25").replace("/", "%2f").replace("&", "%26")


def _decoded(text: str) -> str:
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), text)


def url_of(attributes: dict[str, Any]) -> str:
    """The URL of what a lock file spells; the hash of a git tree is not part of it."""
    shown = ("dir", "ref", "rev") if attributes["type"] == "git" else (
        "dir", "lastModified", "narHash", "rev", "revCount",
    )  # fmt: skip
    query = "&".join(f"{key}={_encoded(attributes[key])}" for key in shown if key in attributes)
    at = "git+" + attributes["url"] if attributes["type"] == "git" else f"path:{attributes['path']}"
    return f"{at}?{query}" if query else at


class Source:
    """A tree in the store, and how a lock file pins it."""

    def __init__(self, path: str, locked: dict[str, Any], directory: str = "") -> None:
        self.path, self.locked, self.directory = path, locked, directory

    def at(self, name: str) -> str:
        return os.path.join(self.path, self.directory, name)

    def text(self, name: str) -> str:
        try:
            with open(self.at(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            raise NixError(
                f"getting status of '{self.at(name)}': No such file or directory"
            ) from None

    def json(self, name: str) -> dict[str, Any]:
        return read_json(self.at(name))


def fetch(places: Places, reference: Reference) -> Source:
    """What it names now; what is pinned by its narHash and lies in the store, needs no origin."""
    wanted = reference.query.get("narHash")
    if wanted and os.path.isdir(path_of(places, wanted)):
        return _pinned(places, reference, wanted)
    if reference.kind == "git":
        source = _fetch_git(places, reference)
    else:
        source = _fetch_path(places, reference)
    if wanted and wanted != source.locked["narHash"]:
        raise NixError(
            f"NAR hash mismatch in input '{reference.url}' ({source.path}), "
            f"expected '{wanted}', got '{source.locked['narHash']}'",
            code=102,
        )
    return source


def fetch_locked(places: Places, locked: dict[str, Any]) -> Source:
    """The tree of a lock node."""
    path, directory = path_of(places, locked["narHash"]), str(locked.get("dir", ""))
    if os.path.isdir(path):
        return Source(path, locked, directory)
    if locked.get("type") not in ("git", "path"):
        raise NixError(f"unable to download '{locked.get('type')}': the sim has no network")
    reference = parsed(url_of(locked))
    reference.query["narHash"] = locked["narHash"]
    return fetch(places, reference)


def _pinned(places: Places, reference: Reference, narhash: str) -> Source:
    directory = reference.query.get("dir", "")
    return Source(path_of(places, narhash), reference.attributes, directory)


def _fetch_path(places: Places, reference: Reference) -> Source:
    if not os.path.lexists(reference.path):
        raise NixError(f"getting status of '{reference.path}': No such file or directory")
    tree = nar.read(reference.path)
    locked = reference.attributes | {"narHash": nar.nar_hash(tree)}
    locked.setdefault("lastModified", _youngest(reference.path))
    return Source(add(places, tree, locked["narHash"]), locked, reference.query.get("dir", ""))


def _youngest(path: str) -> int:
    times = [os.lstat(path).st_mtime]
    for folder, _, names in os.walk(path):
        times += [os.lstat(os.path.join(folder, name)).st_mtime for name in names]
    return int(max(times))


def _fetch_git(places: Places, reference: Reference) -> Source:
    try:
        return _fetch_repository(places, reference)
    except gitread.GitFailed as failed:
        raise NixError(f"{failed}\nerror: program 'git' failed with exit code 128") from None


def _fetch_repository(places: Places, reference: Reference) -> Source:
    if not gitread.is_repository(reference.path):
        raise gitread.GitFailed(f"fatal: '{reference.path}' does not appear to be a git repository")
    rev, ref = reference.query.get("rev"), reference.query.get("ref")
    directory = reference.query.get("dir", "")
    locked = reference.attributes
    if not rev and not ref and gitread.is_dirty(reference.path):
        tree = gitread.tracked(reference.path)
        locked |= {"narHash": nar.nar_hash(tree), "lastModified": 0}
        return Source(add(places, tree, locked["narHash"]), locked, directory)
    if not rev:
        rev, locked["ref"] = gitread.head(reference.path, ref)
    locked |= {"rev": rev} | _commit(places, reference.path, rev)
    return Source(path_of(places, locked["narHash"]), locked, directory)


def _commit(places: Places, repo: str, rev: str) -> dict[str, Any]:
    """A commit never changes, so what was once read of it is kept, as nix keeps it."""
    kept = os.path.join(places.root, "fetched", rev)
    known = read_json(kept)
    if known and os.path.isdir(path_of(places, known["narHash"])):
        return known
    try:
        tree = gitread.tree_at(repo, rev)
    except gitread.GitFailed as failed:
        raise NixError(
            f"Cannot find Git revision '{rev}' in repository '{repo}'! Please make sure that the "
            f"rev exists on the ref you've specified or add allRefs = true; to fetchGit.\n{failed}"
        ) from None
    made_at, count = gitread.facts(repo, rev)
    found: dict[str, Any] = {
        "lastModified": made_at,
        "narHash": nar.nar_hash(tree),
        "revCount": count,
    }
    add(places, tree, found["narHash"])
    write_beside(kept, json.dumps(found), tmp=places.tmp)
    return found


def path_of(places: Places, narhash: str) -> str:
    return os.path.join(places.store, f"{nar.store_hash('source', narhash)}-source")


def add(places: Places, tree: Tree, narhash: str) -> str:
    """The tree's place in the store; it is there whole, or not at all."""
    return put(places, tree, path_of(places, narhash))


def put(places: Places, tree: Tree, path: str) -> str:
    from hive.sim.files import remove_tree

    if os.path.lexists(path):
        return path
    os.makedirs(places.store, exist_ok=True)
    os.makedirs(places.tmp, exist_ok=True)
    beside = os.path.join(places.tmp, f"{os.getpid()}-{os.path.basename(path)}")
    remove_tree(beside)
    nar.write(tree, beside)
    try:
        os.rename(beside, path)
    except OSError:  # another build of the same thing was quicker
        remove_tree(beside)
        if not os.path.lexists(path):
            raise
    return path
