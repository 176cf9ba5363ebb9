"""A first look: two agents on a pretend host in a folder; a change, and one that fails."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import ENDED_BADLY, boundary, requester, say
from cli.output import show_agents, show_diff
from hive.errors import Refused

if TYPE_CHECKING:
    from hive.domain.job import Job
    from hive.domain.names import Rev
    from hive.queue.host import Host
    from hive.settings import Settings

AGENTS = ("alice", "bob")
ANSWER = timedelta(seconds=5)
FILES = ("agent.nix", "flake.nix")
GREETING = """\
{ config, pkgs, lib, ... }:
{
  environment.variables.GREETING = "hello";
}
"""
BROKEN = """\
{ config, pkgs, lib, ... }:
{
  environment.variables.HIVE_SIM_BUILD = "fails";
}
"""


def demo(
    folder: Annotated[Path, typer.Option(help="Where the pretend host lies.")] = Path("hive-demo"),
    stop: Annotated[bool, typer.Option("--stop", help="End the demo's agents.")] = False,
) -> None:
    """Spawn two agents on a pretend host in a folder, and show where they answer."""
    with boundary():
        from hive.settings import Settings

        _refuse_blanks(folder.resolve())

        settings = Settings.from_env(_environment(folder), config=Path(os.devnull))
        if stop:
            _stop(settings)
        else:
            _run(settings)


def _refuse_blanks(folder: Path) -> None:
    """What a container binds is named in flags that are split at blanks, on a real host too."""
    if any(letter.isspace() for letter in str(folder)):
        raise Refused(
            f"the path of the demo's folder holds a blank: {str(folder)!r}",
            code="bad-path",
            hint="name another with --folder, or clone into a path without blanks",
        )


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of a real hive's settings reaches the demo."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "TZ") if key in os.environ}
    return {**kept, "HIVE_BACKEND": "sim", "HIVE_STATE_DIR": str(folder.resolve())}


def _run(settings: Settings) -> None:
    from hive import bootstrap

    say(f"A pretend host (HIVE_BACKEND=sim) in {settings.state_dir}: no root, no NixOS.")
    host = bootstrap.build(settings, _environment(settings.state_dir))
    try:
        for name in AGENTS:
            _spawn(host, name)
        _change(host, AGENTS[0])
        _break(host, AGENTS[0])
        _show(host, settings)
    finally:
        host.database.dispose()


def _spawn(host: Host, name: str) -> None:
    from hive.domain.job import JobState
    from hive.domain.names import AgentName
    from hive.service import agents

    say(f"\n$ hive spawn {name}")
    job = agents.spawn(host, AgentName(name), requested_by=requester()).job
    if _seen_through(host, job).state is not JobState.SUCCEEDED:
        raise typer.Exit(ENDED_BADLY)


def _change(host: Host, name: str) -> None:
    """What the manager does, and what an operator says to it."""
    from cli.here import Here
    from hive.domain.job import JobState
    from hive.domain.names import AgentName
    from hive.service import approvals, lifecycle

    rev = _committed(host, name, "main", GREETING, "greet")
    if (found := lifecycle.deploys(host, AgentName(name))) and found[0][1] == rev:
        say(f"\n{name} has its greeting already")
        return
    say(f"\nThe manager commits a change of {name}, and proposes it:")
    say(f"$ hive propose {name} {rev[:12]} -m 'a greeting'")
    asked = lifecycle.Asked(requester())
    job = lifecycle.propose(host, AgentName(name), rev, asked, message="a greeting").job
    if _seen_through(host, job).state is not JobState.WAITING:
        raise typer.Exit(ENDED_BADLY)
    say(f"\nIt is built, and waits. An operator looks at it:\n$ hive diff {job.id}")
    show_diff(Here(host, requester()).diff(job.id), patch=True)
    say(f"\n$ hive approve {job.id}")
    approved = approvals.approve(host, job.id, by=requester())
    if _seen_through(host, approved).state is not JobState.SUCCEEDED:
        raise typer.Exit(ENDED_BADLY)


def _break(host: Host, name: str) -> None:
    """A change that does not build is refused, and the agent runs on."""
    from hive.domain.names import AgentName
    from hive.service import lifecycle

    rev = _committed(host, name, "broken", BROKEN, "break the build")
    say("\nA change that does not build leaves the agent as it is:")
    say(f"$ hive apply {name} {rev[:12]}")
    asked = lifecycle.Asked(requester())
    job = lifecycle.propose(host, AgentName(name), rev, asked, approved=True).job
    error = _seen_through(host, job).error
    if error is None or error.code != "build-failed":
        raise typer.Exit(ENDED_BADLY)
    say(f"as it should: {error.message} [{error.code}]")


def _committed(host: Host, name: str, branch: str, text: str, subject: str) -> Rev:
    """The commit of the agent's proposed repo that holds this `agent.nix`: the same each time."""
    from hive.adapters.git import MAIN
    from hive.domain.names import AgentName
    from hive.service.ground import looked_at

    world = looked_at(host)
    repo = world.layout.proposed(AgentName(name))
    main = world.git.ref(repo, MAIN)
    files = {path: world.git.file(repo, main, path) or "" for path in FILES} if main else {}
    if main is not None and files["agent.nix"] == text:
        return main
    said = {**files, "agent.nix": text}
    ref = f"refs/heads/{branch}"
    made = world.git.commit(repo, ref, said, parent=main, subject=subject, at=None)
    world.git.reset_tree(repo)
    return made


def _seen_through(host: Host, job: Job) -> Job:
    from cli.here import Here
    from cli.live import in_view
    from hive.service import jobs

    with in_view(Here(host, requester()), job.id):
        return jobs.run(host, job.id)


def _show(host: Host, settings: Settings) -> None:
    from cli.here import Here
    from hive.adapters.http import Http

    say("\n$ hive agents")
    found = Here(host, requester()).agents()["items"]
    show_agents(found)
    typer.echo("")
    for one in found:
        url = one["url"] or ""
        address = url.removeprefix("http://").partition(":")[0]
        answer = Http().knock(address, one["port"], within=ANSWER)
        if answer is None:
            say(f"hive: {one['name']} does not answer at {url} [not-ready]")
            raise typer.Exit(ENDED_BADLY)
        typer.echo(f"{one['name']} answers at {url}")
    _next(settings)


def _next(settings: Settings) -> None:
    hive = _hive()
    say("\nTo go on with this pretend host:")
    say(f"  export HIVE_BACKEND=sim HIVE_STATE_DIR={settings.state_dir}")
    say(f"  {hive} spawn carol      # another agent")
    say(f"  {hive} rollback alice   # back to what it was before the change")
    say(f"  {hive} plan rebuild bob # what would change now: nothing")
    say(f"  {hive} job show 1       # how alice came to be; `logs 1` has every line")
    say(f"To end its agents: {hive} demo --stop --folder {settings.state_dir}")


def _hive() -> str:
    """What to type to run this very command."""
    ours = Path(sys.argv[0]).resolve()
    on_path = shutil.which("hive")
    return "hive" if on_path and Path(on_path).resolve() == ours else str(ours)


def _stop(settings: Settings) -> None:
    from hive.sim.stop import stop_all

    stop_all(settings.sim_root)
    say("the demo's agents have ended; its folder is kept")
