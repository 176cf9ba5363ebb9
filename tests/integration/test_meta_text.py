"""What hive writes as nix is nix, and says to nix what it says to hive."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

from hive.adapters.shell import LocalShell
from hive.domain.meta import Base, Block, Meta, quoted, render
from hive.domain.names import AgentName, Rev

PIECES = [
    "\\",
    '"',
    "${",
    "$${",
    "$",
    "{",
    "}",
    "\n",
    "\r",
    "\t",
    "''",
    "n",
    "é",
    "\u2028",
    "#",
    ";",
]
HOSTILE = ["".join(pieces) for pieces in product(PIECES, repeat=3)]


def test_nix_reads_every_string_as_it_was(real_nix: dict[str, str], tmp_path: Path) -> None:
    text = tmp_path / "strings.nix"
    text.write_text("[\n" + "\n".join(map(quoted, HOSTILE)) + "\n]\n", newline="")
    ran = LocalShell(real_nix).run("nix-instantiate", "--eval", "--strict", "--json", text)
    assert json.loads(ran.raw) == HOSTILE


def test_a_meta_flake_says_to_nix_what_it_says_to_hive(
    real_nix: dict[str, str], tmp_path: Path
) -> None:
    evil = '"; evil = "${builtins.abort "no"}\\\n'
    meta = Meta()
    for name in ("alice", "bob", "hm1nd"):
        base = Base("base-0123456789ab", f"path:/base?{evil}", evil)
        variables = (("HIVE_LABEL", evil), ("HIVE_PORT", "8000"))
        block = Block(AgentName(name), f"git+file:///{evil}", Rev("a" * 40), base.label, variables)
        meta = meta.with_block(block, base)
    text = tmp_path / "flake.nix"
    text.write_text(render(meta), newline="")
    shell = LocalShell(real_nix)
    shell.run("nix-instantiate", "--parse", text)
    said = "{ inputs, outputs, ... }: { inherit inputs; inherit ((outputs {}).hive) origins; }"
    command = ("nix-instantiate", "--eval", "--strict", "--json", "-E")
    found = json.loads(shell.run(*command, f"({said}) (import {text})").raw)
    pinned = f"git+file:///{evil}?rev={'a' * 40}"
    assert found["inputs"] == {
        "base-0123456789ab": {"url": f"path:/base?{evil}"},
        **{f"agent-{block.agent}": {"url": pinned} for block in meta.blocks},
    }
    assert found["origins"] == {"base-0123456789ab": evil}
