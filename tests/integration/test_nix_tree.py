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
from typing import Any

import pytest

from hive.adapters.shell import LocalShell
from tests.house.tree import files
from tests.nix_tree import CHECKS, ROOT, checked, evaluated

Nix = dict[str, str]
#: Looked up before the tests scrub it.
NIX_PATH = os.environ.get("NIX_PATH", "")
NIX_FILES = sorted(path for path in files() if path.suffix == ".nix")
OURS = [path for path in NIX_FILES if path.is_relative_to(ROOT / "nix")] + [ROOT / "flake.nix"]
LONGEST = 120


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
    assert [line for line in text.splitlines() if len(line) > LONGEST and '= "' not in line] == []
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


# What is broken, where, and which check sees it.
BREAKS = [
    ("module/unit.nix", '"yes"', '"no"', "what containers have bound outlives each unit"),
    ("module/unit.nix", '"mixed"', '"process"', "a daemon says when it is ready, is ended alone, and"),
    ("module/unit.nix", "      pkgs.e2fsprogs\n", "", "programs come from the store, and none from"),
    (
        "module/unit.nix",
        "      pkgs.git\n",
        '      pkgs.git\n      "/run/current-system/sw"\n',
        "programs come from the store, and none from",
    ),
    ("module/unit.nix", '"%d/${name}"', "name", "a secret comes to each unit as a credential"),
    ("module/unit.nix", '"daemon"', '"auto"', "builds are the daemon's, and nix has a home"),
    ("module/unit.nix", "++ servers", "", "units come after the servers that they need"),
    (
        "module/unit.nix",
        'after = [ "hyperhive-migrate.service" ]',
        "after = [ ]",
        "the schema is there before anything else",
    ),
    ("module/unit.nix", 'partOf = [ "hyperhive.target" ]', "partOf = [ ]", "the target has all that"),
    ("module/unit.nix", "restartTriggers = [", "restartTriggers = [ ] ++ lib.optionals false [", "a change of"),
    (
        "module/unit.nix",
        "serviceConfig = import ./hardening.nix //",
        'serviceConfig = removeAttrs (import ./hardening.nix) [ "ProtectClock" ] //',
        "every unit is hardened alike",
    ),
    ("module/workers.nix", "drain + 30", "drain", "workers are as many, and as patient, as asked for"),
    ("module/workers.nix", "range 1 count", "range 1 1", "workers are as many, and as patient"),
    ("module/maintenance.nix", "TimeoutStopSec", "WatchdogSec", "only who says each second that it is"),
    ("module/maintenance.nix", " maintenance\"", " up\"", "each unit runs the words that it is there for"),
    ("module/migrate.nix", "db upgrade", "db check", "each unit runs the words that it is there for"),
    ("module/sweep.nix", '"15s"', '"1h"', "a sweep comes at boot, and every five minutes"),
    ("module/settings.nix", "inherit (cfg) node;", "", "units and operators read the same settings"),
    ("module/settings.nix", "cfg.database.urlFile", "null", "an operator's hive reads the same file"),
    ("module/settings.nix", "cfg.redis.url;", "null;", "a URL without a password is a setting"),
    ("module/host.nix", "cfg.adminUsers", "[ ]", "operators are who was named, and have hive at hand"),
    ("module/host.nix", "lib.optional cfg.api.openFirewall port", "[ 7000 ]", "nothing is open until"),
    ("module/host.nix", "lib.mkForce cfg.", 'lib.mkForce "1min"; #', "a container has ten minutes"),
    ("module/host.nix", "mkOverride 900", "mkForce", "there are containers, and inotify instances"),
    ("module/host.nix", "d /etc/nixos", "d /srv/nixos", "what a unit may write to is there before it"),
    ("module/api.nix", "--listen ", "", "the API answers where it was told to"),
    ("module/databases.nix", "unixSocketPerm = 600", "unixSocketPerm = 666", "Redis listens on no port"),
    ("module/databases.nix", "root hive\"", "root root\"", "PostgreSQL knows root as hive, who owns"),
    ("module/databases.nix", "host=/run/", "host=/srv/", "servers of the host's own are reached over"),
    ("module/assertions.nix", "[^:]+://[^/@]*:", "x", "refused: a password of the database in the store"),
    ("module/assertions.nix", "builtins.storeDir}/", "builtins.storeDir}x", "refused: a secret that lies"),
    ("module/assertions.nix", "<= 1", "<= 2", "refused: two places for one Redis"),
    ("module/assertions.nix", "cfg.baseFlake != null", "true", "refused: no base"),
    ("module/assertions.nix", "= config.nix.enable", "= true", "refused: no nix daemon"),
    ("module/assertions.nix", '"22.05"', '"20.05"', "refused: old places of containers"),
    ("module/assertions.nix", "-> cfg.api.listen != null", "-> true", "refused: a firewall opened for"),
    ("module/assertions.nix", ":[0-9]+\"", ".*\"", "refused: an address without a port"),
    ("module/assertions.nix", "cfg.database\n", "cfg.redis\n", "refused: two places for one database"),
    ("hive-ci.nix", "assertion = !forge.enable", "assertion = true", "refused: a forge, in this version"),
    ("hive-ci.nix", "assertion = !ci.enable", "assertion = true", "refused: a runner without a forge"),
    ("hive-ci.nix", "ephemeral = false", "ephemeral = true", "the runner keeps its credentials"),
    ("hive-ci.nix", "privateNetwork = false", "privateNetwork = true", "the runner keeps its credentials"),
    ("hive-ci.nix", "isReadOnly = true", "isReadOnly = false", "of the host it sees one token, to read"),
    ("hive-ci.nix", "sandbox-fallback = true", "sandbox-fallback = false", "it builds without a sandbox"),
    ("hive-ci.nix", "capacity = ci.concurrency", "capacity = 1", "it registers under its name"),
    ("hive-ci.nix", "before = [", "before = [ ] ++ lib.optionals false [", "the token is there before"),
    ("agent-base/harness.nix", "_: lib.mkDefault", "_: value: value", "!has conflicting definitions"),
    ("agent-base/harness.nix", "_: lib.mkDefault", "_: lib.mkForce", "an operator's word wins over agent"),
    ("agent-base/harness.nix", '"/state";', '"/srv";', "a base is nobody yet, and knows its places"),
    ("agent-base/harness.nix", '        "/run/current-system/sw"\n', "", "what an agent adds to its system"),
    ("agent-base/harness.nix", '"/root/.claude"', '"/root"', "the harness starts where the binds are"),
    ("agent-base/harness.nix", "cfg.command", '"true"', "the harness is hive's own, or what agent.nix"),
    ("agent-base/options.nix", "hive\"} harness", "hive\"} mcp", "the harness is hive's own, or what"),
    ("agent-base/manager.nix", '      "/meta"\n', "", "the manager has the folders of the others besides"),
    ("agent-base/container.nix", "isContainer = true", "isContainer = false", "it is a container, by the"),
    ("agent-base/container.nix", "firewall.enable = false", "firewall.enable = true", "it leaves the"),
    ("agent-base/git.nix", 'name = lib.mkDefault "nobody"', 'name = "nobody"', "!conflicting definitions"),
    ("agent-base/git.nix", "enable = true", "enable = false", "git commits as whom meta names"),
    ("agent-base/claude-code.nix", '== "claude-code"', '!= ""', "!another-unfree-package"),
    ("agent-base/claude-code.nix", '== "claude-code"', '== "steam"', "!claude-code is unfree"),
    ("agent-base/container.nix", "networking.hostName", "networking.hostname", "!`networking.hostname' does"),
    ("module/maintenance.nix", "description =", "descriptions =", "!descriptions' does not exist"),
    ("package.nix", "    nixos-container\n", "", "hive has its own git, nix, nixos-container and systemd"),
    ("package.nix", "HYPERHIVE_GIT ${lib.getExe git}", "HYPERHIVE_GIT git", "git is named by its absolute"),
    ("package.nix", "--require-hashes ", "", "what is installed is what the lock names"),
    ("outputs.nix", "path:${self.outPath}", "path:.", "one line enables hive: its base is the flake"),
    ("outputs.nix", "inherit system;\n", 'system = "i686-linux";\n', "a base can be had for another system"),
]  # fmt: skip


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


@pytest.mark.parametrize(("file", "old", "new", "seen"), BREAKS, ids=lambda word: str(word)[:40])
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
    ("systemd.services.a.serviceconfig = { };", "`systemd.services.a.serviceconfig' does not exist"),
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
    """Each row of docs/nixos.md is what the modules say, and each option has one."""
    text = (ROOT / "docs" / "nixos.md").read_text()
    found = [line for line in text.splitlines() if line.startswith("| `services.")]
    assert found == [row(option) for option in checked(real_nix, "options")]


def row(option: dict[str, Any]) -> str:
    cells = (f"`{option['name']}`", option["type"], f"`{option['default']}`", option["description"])
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
