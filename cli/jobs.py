"""Looking at jobs, their logs, and working on one."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from cli.boundary import ENDED_BADLY, agent_name, connected, say
from cli.follow import AsJson, Detach, Id, follow, tell
from cli.output import show_job, show_jobs, show_json
from cli.plain import plain
from hive.domain.job import ENDED, JobId, JobState

app = typer.Typer(no_args_is_help=True, help="One job.")

POLL = timedelta(milliseconds=100)


def jobs(
    state: Annotated[JobState | None, typer.Option(help="Only those in this state.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only those of this agent.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only those of this kind.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest jobs first."""
    name = agent_name(agent) if agent is not None else None
    with connected() as host:
        from hive.service import jobs

        views = jobs.listed(host, state=state, agent=name, kind=kind, limit=limit)
        if as_json:
            show_json([view.as_json() for view in views])
        else:
            show_jobs(views)


@app.callback()
def one() -> None:
    """One job."""


@app.command()
def show(job: Id, as_json: AsJson = False) -> None:
    """One job, and the steps of its last attempt."""
    with connected() as host:
        from hive.service import jobs

        view = jobs.show(host, JobId(job))
        if as_json:
            show_json(view.as_json())
        else:
            show_job(view)


@app.command()
def run(job: Id, as_json: AsJson = False) -> None:
    """Work on a job in this process, until it has ended or waits."""
    with connected() as host:
        from hive.service import jobs

        found = jobs.show(host, JobId(job)).job
        jobs.refuse_elsewhere(host, found)
        follow(host, found, detach=False, as_json=as_json)


def retry(job: Id, detach: Detach = False, as_json: AsJson = False) -> None:
    """Run a failed or cancelled job again, under its own number."""
    with connected() as host:
        from hive.service import agents

        again = agents.retry(host, JobId(job))
        follow(host, again, detach=detach, as_json=as_json)


def cancel(job: Id, detach: Detach = False, as_json: AsJson = False) -> None:
    """Stop a job: at once where it has not begun; else its program is ended first."""
    with connected() as host:
        from hive.service import jobs

        asked = jobs.cancel(host, JobId(job))
        if asked.state not in ENDED and not detach:
            asked = jobs.run(host, asked.id)
        if as_json:
            show_json(jobs.show(host, asked.id).as_json())
        if asked.state in ENDED:
            say(f"job {job} is {asked.state}")
            if asked.state is not JobState.CANCELLED:
                raise typer.Exit(ENDED_BADLY)
        else:
            say(f"job {job} is being cancelled; `hive wait {job}` tells when it is")


def wait(job: Id, as_json: AsJson = False) -> None:
    """Wait until a job has ended or waits at its gate, and exit as it did."""
    with connected() as host:
        from hive.service import jobs

        tell(host, jobs.wait(host, JobId(job)), as_json=as_json)


def logs(
    job: Id,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")
    ] = False,
) -> None:
    """Every line of every program of a job, with its step."""
    with connected() as host:
        from hive.service import jobs

        seen = 0
        while True:
            is_over = jobs.show(host, JobId(job)).job.state in ENDED
            while lines := jobs.lines(host, JobId(job), after=seen):
                seen = lines[-1].seq
                for line in lines:
                    typer.echo(plain(f"{line.step or '-':<16} {line.stream:<3} {line.text}"))
            if is_over or not follow:
                return
            host.clock.sleep(POLL)
