"""Looking at jobs, their logs, and working on one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import ENDED_BADLY, agent_name, asked, asked_here, say
from cli.follow import AsJson, Detach, Id, follow, tell
from cli.hive import CLOCK, EVERY, is_pending, newest
from cli.output import show_job, show_jobs, show_json
from cli.plain import plain
from hive.domain.job import ENDED, JobId, JobState

if TYPE_CHECKING:
    from cli.hive import Hive
    from hive.client.answers import Line

app = typer.Typer(no_args_is_help=True, help="One job.")


def jobs(
    state: Annotated[JobState | None, typer.Option(help="Only those in this state.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only those of this agent.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only those of this kind.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest jobs first."""
    if agent is not None:
        agent_name(agent)
    with asked() as hive:
        found = newest(hive, state=state, agent=agent, kind=kind, limit=limit)
        if as_json:
            show_json(found)
        else:
            show_jobs(found)


@app.callback()
def one() -> None:
    """One job."""


@app.command()
def show(job: Id, as_json: AsJson = False) -> None:
    """One job, and the steps of its last attempt."""
    with asked() as hive:
        found = hive.job(job)
        if as_json:
            show_json(found)
        else:
            show_job(found)


@app.command()
def run(job: Id, as_json: AsJson = False) -> None:
    """Work on a job in this process, until it has ended or waits."""
    with asked_here() as hive:
        from hive.service import jobs

        jobs.refuse_elsewhere(hive.host, jobs.show(hive.host, JobId(job)).job)
        follow(hive, hive.job(job), detach=False, as_json=as_json)


def retry(job: Id, detach: Detach = False, as_json: AsJson = False) -> None:
    """Run a failed or cancelled job again, under its own number."""
    with asked() as hive:
        follow(hive, hive.retry(job), detach=detach, as_json=as_json)


def cancel(job: Id, detach: Detach = False, as_json: AsJson = False) -> None:
    """Stop a job: at once where it has not begun; else its program is ended first."""
    with asked() as hive:
        found = hive.cancel(job)
        if JobState(found["state"]) not in ENDED and not detach:
            hive.see_through(job)
            found = hive.job(job)
        if as_json:
            show_json(found)
        state = JobState(found["state"])
        if state in ENDED:
            say(f"job {job} is {state}")
            if state is not JobState.CANCELLED:
                raise typer.Exit(ENDED_BADLY)
        else:
            say(f"job {job} is being cancelled; `hive wait {job}` tells when it is")


def wait(job: Id, as_json: AsJson = False) -> None:
    """Wait until a job has ended or waits at its gate, and exit as it did."""
    with asked() as hive:
        while is_pending(hive.job(job)):
            CLOCK.sleep(EVERY)
        tell(hive, job, as_json=as_json)


def logs(
    job: Id,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")
    ] = False,
) -> None:
    """Every line of every program of a job, with its step."""
    with asked() as hive:
        for line in hive.follow_logs(job) if follow else _written(hive, job):
            typer.echo(plain(f"{line['step'] or '-':<16} {line['stream']:<3} {line['text']}"))


def _written(hive: Hive, job: int) -> Iterator[Line]:
    """What there is by now."""
    after = 0
    while lines := hive.logs(job, after=after)["items"]:
        after = lines[-1]["seq"]
        yield from lines
