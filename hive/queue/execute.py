"""Run a claimed job to its end: the steps, the way back, and the move that ends it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from hive.adapters.locks import Locks
from hive.adapters.shell import Stream
from hive.adapters.world import World
from hive.domain.agent import Agent
from hive.domain.job import ENDED, FAIL, FINISH, GIVE_BACK, RESTORE, Job, Move
from hive.errors import Fault, HiveError
from hive.jobs import catalog
from hive.jobs.recipe import Recipe, switch_at
from hive.jobs.runner import run
from hive.queue.host import Host
from hive.queue.journal import FencedOut, JobJournal
from hive.queue.lines import LineWriter
from hive.steps.leftovers import clear_leftovers
from hive.steps.step import Step
from hive.store import agents, jobs


def execute(host: Host, job: Job, locks: Locks) -> None:
    """Raises nothing that the job did: its row says how it ended.

    Whoever took the job over writes its end: a fenced attempt leaves quietly. Interrupted, the job
    is given back, and the interrupt goes on.
    """
    with _journal(host, job) as journal:
        world = host.world(journal.tell, locks)
        try:
            _attempt(host, job, world, journal)
        except FencedOut:
            return
        except KeyboardInterrupt:
            _end(host, job, GIVE_BACK)
            raise


@contextmanager
def _journal(host: Host, job: Job) -> Iterator[JobJournal]:
    lines = LineWriter(host.database)
    try:
        yield JobJournal(host.database, host.clock, job, lines)
    finally:
        lines.close()


def _attempt(host: Host, job: Job, world: World, journal: JobJournal) -> None:
    try:
        recipe = catalog.recipe(job, _agent(host, job))
        error = _run(host, job, recipe, world, journal)
        result = recipe.result(world) if error is None else None
    except FencedOut:
        raise
    except HiveError as early:
        _end(host, job, FAIL, error=_as_json(early))
        return
    if error is None:
        _end(host, job, FINISH, error=None, result=result)
    else:
        _give_up(host, job, recipe, world, error)


def _run(
    host: Host, job: Job, recipe: Recipe, world: World, journal: JobJournal
) -> HiveError | None:
    """What went wrong, when the way back is gone; None where every step holds."""
    clear_leftovers(world, recipe.agent)
    journal.begin()
    steps = recipe.plan()
    if job.restoring:
        return _restored(recipe, world, journal, len(steps), _remembered(job))
    error = _tried(steps, world, journal)
    if error and journal.at >= switch_at(steps) and not recipe.is_recorded(world):
        also = {"restoring": True, "error": _as_json(error)}
        with host.database.write() as session:
            jobs.make(session, job.id, RESTORE, attempt=job.attempt, **also)
        error = _restored(recipe, world, journal, len(steps), error)
    clear_leftovers(world, recipe.agent)
    return error


def _tried(
    steps: tuple[Step, ...], world: World, journal: JobJournal, first: int = 0
) -> HiveError | None:
    """The error of the first step that cannot be made to hold, written down."""
    try:
        run(steps, world, journal, first=first)
    except FencedOut:
        raise
    except HiveError as error:
        journal.failed(error.message)
        return error
    except Exception as bug:  # noqa: BLE001 - whatever it is, the row must say so
        for line in traceback.format_exc().splitlines():
            journal.tell(Stream.ERR, line)
        fault = Fault(f"{type(bug).__name__}: {bug}", hint="a bug in hive: `hive logs` has it all")
        journal.failed(fault.message)
        return fault
    return None


def _restored(
    recipe: Recipe, world: World, journal: JobJournal, first: int, error: HiveError
) -> HiveError:
    """The error that the job ends with, once what was before is so again."""
    failed = _tried(recipe.restore(), world, journal, first)
    if failed is None:
        return error
    return Fault(
        f"{error.message}; and then what was before could not be restored: {failed.message}",
        code="not-restored",
        hint=failed.hint or "look at the container, then run it again",
    )


def _give_up(host: Host, job: Job, recipe: Recipe, world: World, error: HiveError) -> None:
    _end(host, job, FAIL, error=_as_json(error))
    if recipe.left_nothing(world):
        with host.database.write() as session:
            agents.forget(session, job.node, recipe.agent)


def _end(host: Host, job: Job, move: Move, **also: object) -> None:
    now = host.clock.now()
    ended = {"finished_at": now} if move.end in ENDED else {"queued_at": now}
    with host.database.write() as session:
        jobs.make(session, job.id, move, attempt=job.attempt, **ended, **also)


def _agent(host: Host, job: Job) -> Agent:
    with host.database.read() as session:
        agent = agents.find(session, job.node, job.agent) if job.agent else None
    if agent is None:
        raise Fault(f"job {job.id} is about an agent that has no row: {job.agent}")
    return agent


def _as_json(error: HiveError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "hint": error.hint}


def _remembered(job: Job) -> HiveError:
    """The error that an earlier attempt wrote down before it began to restore."""
    if job.error is None:
        return Fault(f"job {job.id} restores, and nothing says why")
    return HiveError(job.error.message, code=job.error.code, hint=job.error.hint)
