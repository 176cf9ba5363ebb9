"""A host and its programs, as plain argv: what the suites here say of both, pretend and real."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

from hive.adapters.shell import LocalShell, Ran
from hive.sim import install
from hive.sim.places import Places, address_of

WITHIN = timedelta(seconds=90)
DEADLINE = 20.0
PORT = 8879
ANY = range(-64, 256)
GIT = {
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@t", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_DATE": "2031-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2031-01-01T00:00:00Z",
}  # fmt: skip


class Answer(NamedTuple):
    agent: str
    system: str
    body: str


@dataclass(frozen=True, slots=True)
class Host:
    """One pretend host in a folder of its own."""

    root: Path
    environment: Mapping[str, str]

    @classmethod
    def made(cls, folder: Path) -> Host:
        root = folder / "sim"
        install.install(install.folder(), root, sys.executable)
        path = f"{root}/bin{os.pathsep}{os.environ['PATH']}"
        return cls(root, {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", **GIT})

    @property
    def places(self) -> Places:
        return Places(str(self.root), {})

    @property
    def address(self) -> str:
        return address_of(self.root)

    def run(self, *argv: str | Path, accept: range | tuple[int, ...] = (0,)) -> Ran:
        return LocalShell(self.environment).run(*argv, within=WITHIN, accept=accept)

    def fails(self, *argv: str | Path) -> Ran:
        ran = self.run(*argv, accept=ANY)
        assert ran.exit_code != 0, ran
        return ran

    def show(self, container: str) -> dict[str, str]:
        shown = self.run("systemctl", "show", f"container@{container}").out
        return dict(line.split("=", 1) for line in shown.splitlines())

    def state(self, container: str) -> str:
        return self.show(container)["ActiveState"]

    def system(self, name: str = "one", *, port: int = PORT, **variables: str) -> Path:
        """A system that a container of this host can run."""
        system = self.root / "store" / f"{name:0>32}-nixos-system-alice"
        system.mkdir(parents=True)
        (system / "init").write_text('#!/bin/sh\nexec "$HIVE_SIM_INIT" "$0"\n')
        (system / "init").chmod(0o755)
        facts = {"agent": "alice", "port": port, "variables": variables}
        (system / "agent.json").write_text(json.dumps(facts))
        return system

    def created(self, container: str = "h-alice", **variables: str) -> Path:
        system = self.system(container, port=PORT, **variables)
        self.run("nixos-container", "create", container, "--system-path", system)
        return system

    def set_profile(self, system: Path, container: str = "h-alice") -> None:
        self.run("nix-env", "-p", self.places.profile(container), "--set", system)

    def conf(self, container: str = "h-alice") -> Path:
        return Path(self.places.conf(container))

    def leader(self, container: str = "h-alice") -> Path:
        pid = self.run("machinectl", "show", container, "-p", "Leader", "--value").out.strip()
        return Path(self.places.process(int(pid)))

    def ask(self, port: int = PORT) -> Answer:
        url = f"http://{self.address}:{port}/anything"
        with urllib.request.urlopen(url, timeout=10) as answer:
            said = answer.headers
            return Answer(said["Hive-Agent"], said["Hive-System"], answer.read().decode())

    def is_silent(self, port: int = PORT) -> bool:
        try:
            self.ask(port)
        except OSError:
            return True
        return False

    def begin(self, *argv: str) -> int:
        """A program that nobody waits for; its pid."""
        program = shutil.which(argv[0], path=self.environment["PATH"])
        assert program
        return os.posix_spawn(program, argv, dict(self.environment))


def killed(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def until(holds: Callable[[], object]) -> None:
    """`holds` does, within the deadline."""
    pause = Event()
    for _ in range(int(DEADLINE / 0.02)):
        if holds():
            return
        pause.wait(0.02)
    raise AssertionError(f"{holds} did not come to hold within {DEADLINE:.0f} s")


AGENT_FLAKE = """\
{
  description = "an agent";
  outputs = inputs@{ self, ... }: {
    nixosModules.default = { ... }: {
      imports = [ ./agent.nix ];
      _module.args.flakeInputs = builtins.removeAttrs inputs [ "self" ];
    };
  };
}
"""
AGENT = """\
# A comment may say throw, or assert false, or }.
{ config, lib, pkgs, flakeInputs, ... }:
{
  environment.variables.COLOUR = "blue { throw";
}
"""


@dataclass(frozen=True, slots=True)
class Flakes:
    """An agent's repo, a base and a meta flake, and the nix that builds them."""

    folder: Path
    environment: Mapping[str, str]
    features = ("--extra-experimental-features", "nix-command flakes")

    def run(self, *argv: str | Path, accept: range | tuple[int, ...] = (0,)) -> Ran:
        return LocalShell(self.environment).run(
            *argv, cwd=self.folder, within=WITHIN, accept=accept
        )

    def nix(self, *words: str | Path, accept: range | tuple[int, ...] = (0,)) -> Ran:
        return self.run("nix", *self.features, *words, accept=accept)

    def git(self, repo: str, *words: str) -> str:
        return self.run("git", "-C", self.folder / repo, *words).out.strip()

    def commit(self, repo: str, **files: str) -> str:
        """The commit with these files (`agent_nix` is `agent.nix`); an empty one is taken out."""
        at = self.folder / repo
        if not (at / ".git").exists():
            at.mkdir(parents=True, exist_ok=True)
            self.git(repo, "init", "--quiet", "--initial-branch=main")
        for name, content in files.items():
            path = at / name.replace("_", ".")
            path.write_text(content) if content else path.unlink()
        self.git(repo, "add", "--all")
        self.git(repo, "commit", "--quiet", "--allow-empty", "--message", "t")
        return self.git(repo, "rev-parse", "HEAD")

    def agent(self, text: str = AGENT, flake: str = AGENT_FLAKE) -> str:
        return self.commit("alice", flake_nix=flake, agent_nix=text)

    def metadata(self, reference: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.nix("flake", "metadata", "--json", reference).raw)
        return found

    def base(self) -> Path:
        """A copy of the shipped base."""
        at = self.folder / "base"
        if not at.exists():
            shutil.copytree(install.folder() / "base", at)
        return at

    def meta(self, rev: str, base_url: str = "") -> Path:
        from hive.domain.meta import Base, Block, Meta, render
        from hive.domain.names import AgentName, Rev

        url = base_url or self.metadata(f"path:{self.base()}")["url"]
        base = Base("base-0123456789ab", url, "path:base")
        agent = f"git+file://{self.folder}/alice"
        block = Block.of(AgentName("alice"), url=agent, rev=Rev(rev), base=base.label)
        self.commit("meta", flake_nix=render(Meta().with_block(block, base)))
        return self.folder / "meta"

    def locked_meta(self, rev: str) -> str:
        """The commit of a meta flake with its lock."""
        meta = self.meta(rev)
        self.nix("flake", "lock", f"path:{meta}")
        return self.commit("meta")

    def build(self, rev: str, *words: str, agent: str = "alice", accept: Any = (0,)) -> Ran:  # noqa: ANN401
        attribute = f'nixosConfigurations."{agent}".config.system.build.toplevel'
        wanted = f"git+file://{self.folder}/meta?rev={rev}#{attribute}"
        link = self.folder / "out"
        lock = "--no-update-lock-file"
        return self.nix("build", "--out-link", link, "--json", lock, wanted, *words, accept=accept)

    def error_of(self, agent_nix: str, flake: str = AGENT_FLAKE) -> str:
        """What nix says when it builds this agent."""
        ran = self.build(self.locked_meta(self.agent(agent_nix, flake)), accept=ANY)
        assert ran.exit_code == 1, ran
        return plain(ran.tail)


def plain(text: str) -> str:
    """Without colours, and with store paths shortened."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return re.sub(r"/[^\s'\"]*/[0-9a-z]{32}-source", "SOURCE", text)
