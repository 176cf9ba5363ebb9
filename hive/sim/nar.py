"""Trees of files as nix sees them: their NAR, its hash, and the store path that the hash names."""

from __future__ import annotations

import base64
import hashlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    #: A folder is a dict; a file is (is it executable, its bytes); a link is its target.
    Tree = dict[str, "Tree"] | tuple[bool, bytes] | str

BASE32 = "0123456789abcdfghijklmnpqrsvwxyz"


def read(path: str) -> Tree:
    """What lies at `path` on this machine."""
    if os.path.islink(path):
        return os.readlink(path)
    if os.path.isdir(path):
        return {name: read(os.path.join(path, name)) for name in os.listdir(path)}
    with open(path, "rb") as file:
        return bool(os.fstat(file.fileno()).st_mode & 0o100), file.read()


def write(tree: Tree, path: str) -> None:
    """The same tree, on disk; files are read-only, as in a store."""
    if isinstance(tree, dict):
        os.makedirs(path)
        for name, child in tree.items():
            write(child, os.path.join(path, name))
    elif isinstance(tree, str):
        os.symlink(tree, path)
    else:
        is_executable, content = tree
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o555 if is_executable else 0o444)


def text(tree: Tree, name: str) -> str | None:
    """The text of the file at `name` below, or None where there is none."""
    for part in name.split("/"):
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree[1].decode("utf-8", errors="replace") if isinstance(tree, tuple) else None


def nar(tree: Tree) -> bytes:
    return b"".join((_string(b"nix-archive-1"), *_node(tree)))


def _node(tree: Tree) -> Iterator[bytes]:
    yield _string(b"(") + _string(b"type")
    if isinstance(tree, dict):
        yield _string(b"directory")
        for name in sorted(tree, key=os.fsencode):
            yield from map(_string, (b"entry", b"(", b"name", os.fsencode(name), b"node"))
            yield from _node(tree[name])
            yield _string(b")")
    elif isinstance(tree, str):
        yield from map(_string, (b"symlink", b"target", os.fsencode(tree)))
    else:
        is_executable, content = tree
        yield _string(b"regular")
        if is_executable:
            yield _string(b"executable") + _string(b"")
        yield _string(b"contents") + _string(content)
    yield _string(b")")


def _string(content: bytes) -> bytes:
    """Its length, itself, and zeros up to a multiple of eight."""
    return len(content).to_bytes(8, "little") + content + b"\0" * (-len(content) % 8)


def nar_hash(tree: Tree) -> str:
    """As `nix hash path --sri` prints it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(nar(tree)).digest()).decode()


def store_hash(*parts: str) -> str:
    """The 32 characters at the head of a store path: 160 bits of a sha256, in nix's base 32."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    folded = bytearray(20)
    for at, byte in enumerate(digest):
        folded[at % 20] ^= byte
    return base32(bytes(folded))


def base32(digest: bytes) -> str:
    """Nix's own: its alphabet, and the last digit first."""
    number = int.from_bytes(digest, "little")
    count = (len(digest) * 8 - 1) // 5 + 1
    return "".join(BASE32[number >> (5 * at) & 31] for at in reversed(range(count)))
