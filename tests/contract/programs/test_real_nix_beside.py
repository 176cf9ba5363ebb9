"""HIVE_SIM=containers: pretend containers run what a real nix has built."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hive.sim import install
from hive.sim.stop import stop_all
from tests.contract.programs.hosts import AGENT, GIT, Flakes, Host


def test_a_pretend_container_runs_what_a_real_nix_has_built(
    real_nix: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "sim"
    install.install(install.folder(), root, sys.executable, frozenset({"containers"}))
    path = f"{root}/bin{os.pathsep}{real_nix['PATH']}"
    host = Host(root, {**real_nix, **GIT, "PATH": path})
    flakes = Flakes(tmp_path, host.environment)
    try:
        flakes.build(flakes.locked_meta(flakes.agent()))
        first = (tmp_path / "out").readlink()
        host.run("nixos-container", "create", "h-alice", "--system-path", first)
        host.run("nixos-container", "start", "h-alice")
        assert host.ask()[:2] == ("alice", str(first))

        flakes.build(flakes.locked_meta(flakes.agent(AGENT.replace("blue", "green"))))
        second = (tmp_path / "out").readlink()
        host.set_profile(second)
        host.run("systemctl", "reload", "container@h-alice")

        assert host.ask().system == str(second) != str(first)
        assert "green { throw" in host.ask().body
    finally:
        stop_all(root)
