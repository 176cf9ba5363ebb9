"""The two repos of an agent: proposed, which its manager writes, and applied, which hive writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hive.adapters.beneath import Beneath
from hive.adapters.git import MAIN
from hive.adapters.world import World
from hive.domain.names import AgentName
from hive.errors import Refused, Transient
from hive.steps.step import Differs, Finding, Holds

SEEDED: Final = "refs/tags/deployed/0"
REMOTE: Final = "remote.applied.url"

AGENT_NIX: Final = """\
# What {agent} is: an ordinary NixOS module. Change it, commit, and propose the commit.
{{ config, pkgs, lib, ... }}:
{{
  # imports = [ ./more.nix ];
  # environment.systemPackages = with pkgs; [ ];
}}
"""

FLAKE_NIX: Final = """\
# Exports one module, for the meta flake to build on its base. What you add to `inputs` reaches
# agent.nix as `flakeInputs`; run `nix flake lock` and commit flake.lock with it.
{
  description = "an agent of hyperhive";
  inputs = { };
  outputs = { self, ... }@inputs: {
    nixosModules.default = {
      imports = [ ./agent.nix ];
      _module.args.flakeInputs = removeAttrs inputs [ "self" ];
    };
  };
}
"""


@dataclass(frozen=True, slots=True)
class ProposedPlaced:
    """The proposed repo of `agent`, if there is one, lies where the manager is shown it."""

    agent: AgentName

    def check(self, world: World) -> Finding:
        if Beneath(world.layout.hidden).exists(f"{self.agent}/config"):
            return Differs(f"the proposed repo of {self.agent} lies in {world.layout.hidden} yet")
        return Holds(f"the proposed repo of {self.agent} is in no other place")

    def apply(self, world: World) -> None:
        world.files.make_folder(world.layout.shown, mode=0o700)
        hidden, shown = Beneath(world.layout.hidden), world.shown()
        with hidden.unsealed(self.agent), shown.unsealed(self.agent):
            shown.make_folder(self.agent, mode=0o755)
            shown.take_from(hidden, f"{self.agent}/config")


@dataclass(frozen=True, slots=True)
class ProposedSeeded:
    """The proposed repo of `agent` is in its place, and its remote `applied` points home.

    The remote is the path as the manager's container sees it. After the first commit hive writes
    nothing else here: the manager does, so this is hostile ground.
    """

    agent: AgentName

    def check(self, world: World) -> Finding:
        placed = ProposedPlaced(self.agent).check(world)
        if isinstance(placed, Differs):
            return placed
        if not world.shown().is_folder(f"{self.agent}/config/.git"):
            return Differs(f"{self.agent} has no proposed repo")
        config = world.shown().read(self._config) or b""
        remote = world.git.config_value(config, REMOTE)
        if remote != self._remote:
            return Differs(f"the remote applied of {self.agent} points at {remote}")
        return Holds(f"the proposed repo of {self.agent} is there")

    def apply(self, world: World) -> None:
        placed = ProposedPlaced(self.agent)
        if isinstance(placed.check(world), Differs):
            placed.apply(world)
        if world.shown().is_folder(f"{self.agent}/config/.git"):
            self._point_remote(world)
        else:
            self._seed(world)

    def _seed(self, world: World) -> None:
        repo = world.scratch(self.agent, "proposed")
        files = {"agent.nix": AGENT_NIX.format(agent=self.agent), "flake.nix": FLAKE_NIX}
        world.git.init(repo)
        subject = f"seed {self.agent}"
        world.git.commit(repo, MAIN, files, parent=None, subject=subject, at=world.clock.now())
        world.git.reset_tree(repo)
        config = repo / ".git" / "config"
        world.files.write(config, (world.files.read(config) or "") + self._remote_section())
        world.files.make_folder(world.layout.shown, mode=0o700)
        shown = world.shown()
        with shown.unsealed(self.agent):
            shown.make_folder(self.agent, mode=0o755)
            shown.take_in(repo, f"{self.agent}/config")

    def _point_remote(self, world: World) -> None:
        """As git does it, a lock beside the config is respected; no git runs in that repo."""
        if world.shown().exists(f"{self._config}.lock"):
            raise Transient(
                f"the config of {self.agent}'s proposed repo is locked",
                code="git-locked",
                hint="the manager may be at work there; if not, remove config.lock",
            )
        copy = world.scratch(self.agent, "config") / "config"
        config = world.shown().read(self._config) or b""
        world.files.write(copy, config.decode(errors="surrogateescape"))
        world.git.set_config(copy, REMOTE, self._remote)
        changed = world.files.read(copy) or ""
        world.shown().write(self._config, changed.encode(errors="surrogateescape"))

    def _remote_section(self) -> str:
        fetch = "+refs/heads/*:refs/remotes/applied/*"
        return f'[remote "applied"]\n\turl = {self._remote}\n\tfetch = {fetch}\n'

    @property
    def _config(self) -> str:
        return f"{self.agent}/config/.git/config"

    @property
    def _remote(self) -> str:
        return f"/applied/{self.agent}/.git"


@dataclass(frozen=True, slots=True)
class AppliedSeeded:
    """The applied repo of `agent` is there, seeded once from proposed's main, as `deployed/0`."""

    agent: AgentName

    def check(self, world: World) -> Finding:
        repo = world.layout.applied(self.agent)
        if not world.git.is_repo(repo):
            return Differs(f"{self.agent} has no applied repo")
        if not {SEEDED, MAIN} <= set(world.git.refs(repo)):
            return Differs(f"the applied repo of {self.agent} has no deployed/0")
        return Holds(f"the applied repo of {self.agent} is seeded")

    def apply(self, world: World) -> None:
        to = world.layout.applied(self.agent)
        if isinstance(self.check(world), Holds):
            return
        if world.git.is_repo(to):
            raise Refused(
                f"{to} has no tag deployed/0: it predates this layout",
                code="foreign-repo",
                hint="move it away, or tag the commit that is deployed as deployed/0",
            )
        repo = world.scratch(self.agent, "applied")
        world.git.init(repo)
        seed = (f"{MAIN}:{MAIN}", f"{MAIN}:{SEEDED}")
        copy = world.scratch(self.agent, "copy")
        world.git.fetch(repo, world.proposed(self.agent), *seed, scratch=copy)
        world.git.reset_tree(repo)
        world.files.make_folder(world.layout.applied_root, mode=0o700)
        world.files.move(repo, to)
