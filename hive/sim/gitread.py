"""What the sim's nix asks of git: commits and the trees under them, and never a user's config."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hive.sim.nar import Tree

_CONFIG = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0",
    "-c", "safe.directory=*",
)  # fmt: skip


class GitFailed(Exception):
    """git said no; its words."""


def git(repo: str, *words: str, given: bytes = b"") -> bytes:
    import subprocess  # half of a start's time, and not every command asks git

    ours = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    program = os.environ.get("HYPERHIVE_GIT") or "git"
    ran = subprocess.run(
        [program, *_CONFIG, "-C", repo, *words],
        input=given,
        capture_output=True,
        env=inherited | ours,
        check=False,
    )
    if ran.returncode != 0:
        raise GitFailed(ran.stderr.decode(errors="replace").strip())
    return ran.stdout


def is_repository(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, ".git")) or os.path.isfile(
        os.path.join(folder, "HEAD")
    )


def head(repo: str, ref: str | None) -> tuple[str, str]:
    """The commit that a branch, or what is checked out, names; and the branch's short name."""
    try:
        rev = git(repo, "rev-parse", "--verify", f"{ref or 'HEAD'}^{{commit}}").decode().strip()
    except GitFailed as failed:
        raise GitFailed(f"ref '{ref or 'HEAD'}' does not name a commit: {failed}") from None
    if ref:
        return rev, ref
    name = git(repo, "rev-parse", "--abbrev-ref", "HEAD").decode().strip()
    return rev, name


def is_dirty(repo: str) -> bool:
    if not os.path.exists(os.path.join(repo, ".git")):
        return False
    return bool(git(repo, "status", "--porcelain", "--untracked-files=no").strip())


def facts(repo: str, rev: str) -> tuple[int, int]:
    """When the commit was made, and how many stand below it, itself included."""
    at = git(repo, "log", "-1", "--format=%ct", "--no-show-signature", rev).decode().strip()
    return int(at), int(git(repo, "rev-list", "--count", rev).decode().strip())


def tree_at(repo: str, rev: str) -> Tree:
    """All files of a commit, whether or not a branch leads to it."""
    listed = git(repo, "ls-tree", "-r", "-z", "--full-tree", rev)
    entries = [_entry(line) for line in listed.split(b"\0") if line]
    blobs = [entry for entry in entries if entry[1] == b"blob"]
    asked = b"".join(entry[2] + b"\n" for entry in blobs)
    return _assembled(blobs, git(repo, "cat-file", "--batch", given=asked) if blobs else b"")


def _entry(line: bytes) -> tuple[bytes, bytes, bytes, str]:
    facts, _, path = line.partition(b"\t")
    mode, kind, name = facts.split()
    return mode, kind, name, os.fsdecode(path)


def _assembled(entries: list[tuple[bytes, bytes, bytes, str]], answered: bytes) -> Tree:
    tree: dict[str, Tree] = {}
    at = 0
    for mode, _, _, path in entries:
        end = answered.index(b"\n", at)
        size = int(answered[at:end].split()[2])
        content = answered[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
        leaf: Tree = os.fsdecode(content) if mode == b"120000" else (mode == b"100755", content)
        _put(tree, path.split("/"), leaf)
    return tree


def tracked(repo: str) -> Tree:
    """The files of the work tree that git knows; what was never added is invisible."""
    from hive.sim import nar

    tree: dict[str, Tree] = {}
    for name in git(repo, "ls-files", "-z").split(b"\0"):
        path = os.fsdecode(name)
        if path and os.path.lexists(os.path.join(repo, path)):
            _put(tree, path.split("/"), nar.read(os.path.join(repo, path)))
    return tree


def _put(tree: dict[str, Tree], parts: list[str], leaf: Tree) -> None:
    for part in parts[:-1]:
        inner = tree.setdefault(part, {})
        assert isinstance(inner, dict)
        tree = inner
    tree[parts[-1]] = leaf
