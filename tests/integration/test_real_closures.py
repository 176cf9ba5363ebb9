"""Closures that a real nix built, and what hive says two of them differ in."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.adapters.nix import Nix
from hive.adapters.shell import LocalShell
from hive.domain.closure import difference

FEATURES = ("--extra-experimental-features", "nix-command flakes")
TEXT = """\
{ version, compiler }:
let
  package = name: text: more: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/bin:/usr/bin";
    args = [ "-c" text ];
  } // more);
  lib = package "libfoo-${version}" "printf %1000s ${version} > $out" { };
  same = package "same-1.0" "echo same > $out" { };
  built = package "built-2.0-dev" "echo built by ${compiler} > $out" { };
  kept = package "kept-${if version == "1.9" then "old" else "new"}" "echo > $out" { };
in package "nixos-system-alice-23.05" "echo $lib $same $built $kept > $out" {
  inherit lib same built kept;
}
"""


@pytest.fixture
def shell(real_nix: dict[str, str]) -> LocalShell:
    return LocalShell(real_nix)


def built(shell: LocalShell, folder: Path, version: str, compiler: str) -> Path:
    (folder / "system.nix").write_text(TEXT)
    link = folder / f"out-{version}-{compiler}"
    arguments = ("--argstr", "version", version, "--argstr", "compiler", compiler)
    shell.run("nix-build", folder / "system.nix", *arguments, "--out-link", link)
    return link


def test_the_difference_of_two_real_closures_is_told_by_package(
    shell: LocalShell, tmp_path: Path
) -> None:
    nix = Nix(shell)
    before = nix.closure(built(shell, tmp_path, "1.9", "a"))
    after = nix.closure(built(shell, tmp_path, "1.11", "b"))

    found = difference(before, after)

    assert len(before) == len(after) == 5
    assert (found.size_before, found.size_after) == (sum(before.values()), sum(after.values()))
    assert list(found.lines()) == [
        "built: 2.0 rebuilt",
        "kept-new: added, +120 bytes",
        "kept-old: removed, -120 bytes",
        "libfoo: 1.9 → 1.11",
        "nixos-system-alice: 23.05 rebuilt",
    ]


def test_nix_itself_counts_the_same_bytes(shell: LocalShell, tmp_path: Path) -> None:
    link = built(shell, tmp_path, "1.9", "a")
    said = shell.run("nix", *FEATURES, "path-info", "--closure-size", link).out
    assert sum(Nix(shell).closure(link).values()) == int(said.split()[1])
