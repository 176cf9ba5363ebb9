"""The nix files: they parse, they are formatted, and what they say holds. By Debian's nix, offline.

There is no nixpkgs in CI, so a stub stands in for it (`nix/checks/stub`). Where one is on NIX_PATH
the same checks are asked of that.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from docs import options
from hive.adapters.shell import LocalShell
from tests.house.tree import files
from tests.integration.nix_breaks import BREAKS
from tests.nix_tree import CHECKS, ROOT, checked, evaluated

Nix = dict[str, str]
#: Looked up before the tests scrub it.
NIX_PATH = os.environ.get("NIX_PATH", "")
NIX_FILES = sorted(path for path in files() if path.suffix == ".nix")
OURS = [path for path in NIX_FILES if path.is_relative_to(ROOT / "nix")] + [ROOT / "flake.nix"]
LONGEST = 100


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", NIX_FILES, ids=named)
def test_every_nix_file_parses(real_nix: Nix, path: Path) -> None:
    LocalShell(real_nix).run("nix-instantiate", "--parse", path)


@pytest.mark.parametrize("path", OURS, ids=named)
def test_a_nix_file_is_formatted(path: Path) -> None:
    """As nixfmt has it, where that can be had; what everybody can see, where it cannot."""
    if nixfmt := shutil.which("nixfmt"):
        LocalShell(os.environ).run(nixfmt, "--check", path)
    text = path.read_text()
    assert text.endswith("\n") and not text.endswith("\n\n")
    # A string is not broken, however long.
    assert [line for line in text.splitlines() if len(line) > LONGEST and '"' not in line] == []
    assert not re.search(r"\t|[ ]+$|\n\n\n", text, re.MULTILINE)
    # Two blanks a level. Inside a text of several lines the indentation is that text's own.
    code = re.sub(r"''(?!\$).*?(?<!')''(?![$'\\])", "''''", text, flags=re.DOTALL)
    assert [line for line in code.splitlines() if (len(line) - len(line.lstrip(" "))) % 2] == []


def test_a_module_opens_with_what_it_is_for() -> None:
    silent = [named(path) for path in OURS if not path.read_text().startswith(("# ", "{\n  desc"))]
    assert silent == []


def test_all_that_must_be_so_is_so(real_nix: Nix) -> None:
    assert checked(real_nix, "failed") == []
    results = checked(real_nix, "results")
    names = [result["name"] for result in results]
    assert len(names) == len(set(names)) > 50


def test_it_is_so_in_a_real_nixpkgs(real_nix: Nix) -> None:
    if "nixpkgs" not in NIX_PATH:
        pytest.skip("no nixpkgs on NIX_PATH")
    env = {**real_nix, "NIX_PATH": NIX_PATH}
    given = ("--arg", "nixpkgs", "<nixpkgs>")
    assert evaluated(env, CHECKS, "-A", "missing", *given) == {"options": [], "packages": []}
    assert evaluated(env, CHECKS, "-A", "failed", *given) == []
    assert evaluated(env, CHECKS, "-A", "failed", "--arg", "lib", "<nixpkgs/lib>") == []


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The nix files, and what they name, to be broken."""
    for name in ("nix", "flake.nix", "requirements.lock", "alembic", "cli", "hive", "workers"):
        at = ROOT / name
        if at.is_dir() and name != "nix":
            (tmp_path / name).mkdir()
        elif at.is_dir():
            shutil.copytree(at, tmp_path / name)
        else:
            shutil.copy(at, tmp_path / name)
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        (tmp_path / name).touch()
    return tmp_path


EACH = [(file, *one) for file, breaks in BREAKS.items() for one in breaks]


@pytest.mark.parametrize(("file", "old", "new", "seen"), EACH, ids=lambda word: word[:40])
def test_what_is_broken_is_seen(
    real_nix: Nix, copied: Path, file: str, old: str, new: str, seen: str
) -> None:
    """Behind a `!`: nothing can be evaluated any more, and nix says so."""
    path = copied / "nix" / file
    text = path.read_text()
    assert old in text, "this breaks nothing any more"
    path.write_text(text.replace(old, new))
    command = ("nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode")
    asked = (copied / "nix" / "checks", "-A", "failed")
    ran = LocalShell(real_nix).run(*command, *asked, accept=(0, 1))
    if seen.startswith("!"):
        assert ran.exit_code == 1
        assert seen[1:] in ran.tail
        return
    assert ran.exit_code == 0, ran.tail
    assert any(check["name"].startswith(seen) for check in json.loads(ran.raw))


MODULES = [
    ("boot.isNspawnContainers = true;", "The option `boot.isNspawnContainers' does not exist"),
    ("systemd.services.a.serviceconfig = { };", "`systemd.services.a.serviceconfig' does not"),
    ("services.hyperhive.enable = 1;", "is not of type `boolean'"),
    ("services.hyperhive.workers.count = 0;", "is not of type `positive integer'"),
    ("services.hyperhive.node = \"a b\";", "is not of type `string matching"),
    ("services.hyperhive.database.urlFile = ./secret;", "is not of type `null or string'"),
    ("services.hyperhive.nodes = \"a\";", "The option `services.hyperhive.nodes' does not exist"),
    ("environment.systemPackages = [ pkgs.cowsay ];", "attribute 'cowsay' missing"),
    ("networking.hostName = lib.mkMerge [ \"a\" \"b\" ];", "conflicting definitions"),
    ("networking.hostName = lib.toUpper \"a\";", "attribute 'toUpper' missing"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "said"), MODULES, ids=lambda word: word[:50])
def test_the_stub_refuses_what_it_does_not_know(real_nix: Nix, module: str, said: str) -> None:
    system = f"""
        (import {CHECKS}/stub {{ }}).nixosSystem {{
          modules = [ {ROOT}/nix/module ({{ lib, pkgs, ... }}: {{ {module} }}) ];
        }}"""
    asked = f"let c = ({system}).config; in builtins.deepSeq "
    asked += "[ c.services c.networking c.environment c.systemd.services ] true"
    command = ("nix-instantiate", "--eval", "--strict", "--read-write-mode", "-E", asked)
    ran = LocalShell(real_nix).run(*command, accept=(1,))
    assert said in ran.tail


def test_a_nixpkgs_is_told_what_it_lacks(real_nix: Nix) -> None:
    lacking = f"""
        let evaluator = (import {CHECKS} {{ }}).evaluator; in import {CHECKS}/missing.nix (
          evaluator // {{ used = {{
            packages = [ "git" "cowsay" ];
            options = {{
              "boot.enableContainers" = 1;
              "boot.enableWonders" = 1;
              "systemd.services.<name>.path" = 1;
              "systemd.services.<name>.paths" = 1;
              "containers.<name>.bindMounts.<name>.hostPath" = 1;
              "containers.<name>.bindMounts.<name>.guestPath" = 1;
            }};
          }}; }})"""
    assert evaluated(real_nix, "-E", lacking) == {
        "options": [
            "boot.enableWonders",
            "containers.<name>.bindMounts.<name>.guestPath",
            "systemd.services.<name>.paths",
        ],
        "packages": ["cowsay"],
    }


def test_a_copy_out_of_the_store_can_be_written() -> None:
    copies = [
        f"{named(path)}: {line.strip()}"
        for path in OURS
        for line in path.read_text().splitlines()
        if re.search(r"\bcp -", line) and "--no-preserve=mode,ownership" not in line
    ]
    assert copies == []


def test_the_wheels_are_those_of_the_lock() -> None:
    known = json.loads((ROOT / "nix" / "wheels.json").read_text())
    lock = hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()
    assert known["lock"] == lock, "run scripts/wheels"
    assert set(known["hashes"]) == {"x86_64", "aarch64"}


def test_docs_have_every_option(real_nix: Nix) -> None:
    text = options.PAGE.read_text()
    assert text == options.rewritten(text, checked(real_nix, "options")), options.__doc__


def test_every_check_is_seen_to_fail(real_nix: Nix) -> None:
    """By `test_what_is_broken_is_seen`, of which each names one."""
    names = {result["name"] for result in checked(real_nix, "results")}
    # These end in words of nix's: the breaks with a `!`.
    aloud = "nothing is said that nobody knows: "
    begins = (aloud, *(seen for *_, seen in EACH))
    assert [name for name in sorted(names) if not name.startswith(begins)] == []


@pytest.mark.parametrize("unit", ["api", "maintenance", "migrate", "sweep", "worker@"])
def test_docs_have_the_figure_of_how_each_unit_is_shut_in(
    real_nix: Nix, tmp_path: Path, unit: str
) -> None:
    shell = LocalShell(os.environ)
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze on this machine")
    version = shell.run("systemd-analyze", "--version").out.split()[1]
    if version != "252":
        pytest.skip(f"the figure in the docs is of systemd 252, and this one is {version}")
    text = checked(real_nix, "units")[f"hyperhive-{unit}.service"]
    # An instance: of a template nothing can be said.
    file = tmp_path / f"hyperhive-{unit.replace('@', '@1')}.service"
    file.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text))
    # It tells of a key that it does not know, and goes on.
    assert shell.run("systemd-analyze", "verify", file).tail == ""
    asked = ("systemd-analyze", "security", "--offline=yes", "--no-pager", file)
    figure = re.search(r"exposure level for \S+: ([0-9.]+)", shell.run(*asked).out)
    assert figure
    docs = (ROOT / "docs" / "nixos.md").read_text()
    assert f"gives each of them **{figure[1]}**" in docs
