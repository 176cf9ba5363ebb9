"""What an agent's flake names of this host stays out of the store, with a real nix."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.git import MAIN, Git
from hive.adapters.shell import LocalShell
from hive.domain.names import Rev
from tests.integration.test_real_nix import Real, real

__all__ = ["real"]
SECRET = "nobody else may read this"
PLAIN = "outputs = _: { nixosModules.default = { }; };"
EMPTY_HASH = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

NAMED: dict[str, str] = {
    "a folder": 'inputs.leak = { url = "path:@SECRET@"; flake = false; };',
    "a folder by its name alone": 'inputs.leak = { url = "@SECRET@"; flake = false; };',
    "a folder in attributes": (
        'inputs.leak = { type = "path"; path = "@SECRET@"; flake = false; };'
    ),
    "a folder that is a flake": 'inputs.leak.url = "path:@SECRET@";',
    "a folder with a hash that is wrong": (
        f'inputs.leak = {{ url = "path:@SECRET@?narHash={EMPTY_HASH}"; flake = false; }};'
    ),
    "a folder through a link of its own": (
        'inputs.leak = { url = "path:./root@SECRET@"; flake = false; };'
    ),
    "a repo": 'inputs.leak = { url = "git+file://@SECRET@"; flake = false; };',
    "a repo by its folder": 'inputs.leak = { url = "git+file:@SECRET@"; flake = false; };',
    "a file": 'inputs.leak = { url = "file+file://@SECRET@/key"; flake = false; };',
    "an archive": 'inputs.leak = { url = "tarball+file://@SECRET@/key.tar.gz"; flake = false; };',
    "what a registry says": 'inputs.leak = { url = "flake:secret"; flake = false; };',
    "what another flake of its own names": 'inputs.other.url = "path:./other";',
}


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    """A folder of the host, which is also a repo, a flake, and holds an archive of itself."""
    folder, shell = tmp_path / "secret", LocalShell({"PATH": os.environ["PATH"]})
    git = Git(shell)
    git.init(folder)
    files = {"key": SECRET, "flake.nix": "{ outputs = _: { }; }\n"}
    git.commit(folder, MAIN, files, parent=None, subject="kept", at=None)
    git.reset_tree(folder)
    shell.run("tar", "-czf", tmp_path / "key.tar.gz", "-C", tmp_path, "secret/key")
    (tmp_path / "key.tar.gz").rename(folder / "key.tar.gz")
    yield folder


@pytest.mark.parametrize("inputs", NAMED.values(), ids=NAMED)
def test_what_a_flake_names_of_this_host_does_not_reach_the_store(
    real: Real, real_nix: dict[str, str], secret: Path, inputs: str
) -> None:
    named = _registry(real, secret)
    real.hive("spawn", "alice")
    flake = f"{{ {inputs.replace('@SECRET@', str(secret))} {PLAIN} }}\n"
    rev = _proposed(real, {"flake.nix": flake, "other/flake.nix": _other(secret)})

    ran = real.hive("apply", "alice", rev, accept=(1,))

    assert "[host-input]" in ran.tail or "[lock-failed]" in ran.tail, ran.tail
    assert not _holders(real_nix, real)
    assert named.exists()


def test_what_its_own_lock_names_is_refused_before_nix_reads_anything(
    real: Real, real_nix: dict[str, str], secret: Path
) -> None:
    real.hive("spawn", "alice")
    node = {
        "locked": {"type": "path", "path": str(secret), "narHash": EMPTY_HASH, "lastModified": 1},
        "original": {"type": "path", "path": str(secret)},
        "flake": False,
    }
    root: dict[str, Any] = {"inputs": {"leak": "leak"}}
    lock = {"nodes": {"leak": node, "root": root}, "root": "root", "version": 7}
    flake = f'{{ inputs.leak = {{ url = "path:{secret}"; flake = false; }}; {PLAIN} }}\n'
    rev = _proposed(real, {"flake.nix": flake, "flake.lock": json.dumps(lock)})

    ran = real.hive("apply", "alice", rev, accept=(1,))

    assert "[host-input]" in ran.tail
    assert "flake lock" not in real.hive("logs", "2").out
    assert not _holders(real_nix, real)


def _other(secret: Path) -> str:
    return f'{{ inputs.leak = {{ url = "path:{secret}"; flake = false; }}; outputs = _: {{ }}; }}\n'


def _registry(real: Real, secret: Path) -> Path:
    """One of the user's, as `nix registry add` writes it."""
    said = {
        "version": 2,
        "flakes": [
            {
                "from": {"type": "indirect", "id": "secret"},
                "to": {"type": "path", "path": str(secret)},
            }
        ],
    }
    path = Path(real.env["HOME"]) / ".config" / "nix" / "registry.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said))
    return path


def _proposed(real: Real, files: Mapping[str, str]) -> Rev:
    """A commit of alice's proposed repo, with a link to the host's root beside them."""
    repo, shell = real.folder / "state/agents/alice/config", LocalShell(dict(real.env))
    for name, text in files.items():
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text(text)
    (repo / "root").symlink_to("/")
    who = ("-c", "user.name=m", "-c", "user.email=m@x")
    shell.run("git", "-C", repo, *who, "add", "--all")
    shell.run("git", "-C", repo, *who, "commit", "-qm", "take this")
    return Rev(shell.run("git", "-C", repo, "rev-parse", "HEAD").out.strip())


def _holders(real_nix: Mapping[str, str], real: Real) -> list[Path]:
    """Files in a store, and what hive keeps, that hold the secret."""
    private = [real.folder / "state" / name for name in ("fetched", "scratch", "applied", "meta")]
    return [
        file
        for folder in (Path(real_nix["NIX_STORE_DIR"]), *private)
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink() and SECRET in file.read_text(errors="replace")
    ]
