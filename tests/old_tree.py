"""A hyperhive's tree for a test: what hive has spawned, as the old daemon would have left it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

from hive import bootstrap
from hive.adapters.gitsafe import ENVIRONMENT
from hive.adapters.shell import LocalShell
from hive.domain.layout import Layout
from hive.domain.names import AgentName
from hive.settings import Settings
from tests.pretend import ME, NO_FILE, environment

OLD_JOB: Final = 41
"""The number that the old daemon deployed each agent under."""
TEXT: Final = """\
{{
  description = "hyperhive meta";
  inputs.hyperhive.url = "{base}";
{inputs}
  outputs = {{ self, hyperhive, ... }}@inputs: {{
    nixosConfigurations = {{
{systems}
    }};
  }};
}}
"""


def layout_of(state: Path) -> Layout:
    return bootstrap.layout_of(Settings.from_env(environment(state), config=NO_FILE))


def git(repo: Path, *words: str | Path) -> str:
    shell = LocalShell({"PATH": os.environ["PATH"], "HOME": "/nonexistent", **ENVIRONMENT, **ME})
    return shell.run("git", "-C", repo, *words).out.strip()


def age(state: Path, *, extra_flags: str = "") -> None:
    """Meta names branches, its lock has the revs; no database, no roots; confs as of old."""
    layout = layout_of(state)
    agents = _meta(layout)
    for agent in agents:
        git(layout.applied(agent), "tag", f"deployed/{OLD_JOB}", "main")
        _conf(layout.conf(agent.container), extra_flags)
        shutil.rmtree(layout.gcroots / agent, ignore_errors=True)
    for file in state.glob("hive.sqlite*"):
        file.unlink()
    shutil.rmtree(layout.scratch, ignore_errors=True)


def _meta(layout: Layout) -> list[AgentName]:
    """Its agents. The history is another one, too."""
    meta = layout.meta
    lock = json.loads((meta / "flake.lock").read_text())
    nodes: dict[str, Any] = lock["nodes"]
    inputs: dict[str, str] = nodes[lock["root"]]["inputs"]
    base = next(name for name in inputs if not name.startswith("agent-"))
    inputs["hyperhive"] = inputs.pop(base)
    agents = [AgentName(name.removeprefix("agent-")) for name in inputs if name != "hyperhive"]
    for agent in agents:
        node = nodes[inputs[f"agent-{agent}"]]
        node["original"] = {"type": "git", "ref": "main", "url": node["locked"]["url"]}
        node["locked"]["ref"] = "main"
    locked = nodes[inputs["hyperhive"]]["locked"]
    origin = {key: locked[key] for key in ("type", "path")}
    nodes[inputs["hyperhive"]]["original"] = origin
    (meta / "flake.lock").write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n")
    (meta / "flake.nix").write_text(_text(layout, agents, f"path:{origin['path']}"))
    shutil.rmtree(meta / ".git")
    git(meta, "init", "--quiet", "--initial-branch=main")
    git(meta, "add", "--all")
    git(meta, "commit", "--quiet", "--allow-empty-message", "--message", "")
    git(meta, "commit", "--quiet", "--allow-empty", "--message", "deploy alice")
    return agents


def _text(layout: Layout, agents: list[AgentName], base: str) -> str:
    inputs = (
        f'  inputs.agent-{name}.url = "git+file://{layout.applied(name)}?ref=main";'
        for name in agents
    )
    systems = (
        f"      {name} = hyperhive.nixosConfigurations.agent-base.extendModules {{ }};"
        for name in agents
    )
    return TEXT.format(base=base, inputs="\n".join(inputs), systems="\n".join(systems))


def _conf(conf: Path, extra_flags: str) -> None:
    """No user namespace, no idmapped binds, and what an operator has added."""
    lines = [line for line in conf.read_text().splitlines() if "PRIVATE_USERS" not in line]
    flags = next(line for line in lines if line.startswith("EXTRA_NSPAWN_FLAGS="))
    kept = [line for line in lines if line != flags]
    old = flags.replace(":idmap", "").replace('="', f'="{extra_flags} ', 1)
    conf.write_text("\n".join((*kept, old)) + "\n")
