"""Run a claimed job to its end: the steps, the way back, and the move that ends it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from hive.adapters.locks import Locks
from hive.adapters.shell import Stream
from hive.adapters.world import World
from hive.domain.agent import Agent
from hive.domain.job import ENDED, FAIL, FINISH, GIVE_BACK, RESTORE, Job, JobState, Move
from hive.domain.names import AgentName
from hive.errors import Fault, FencedOut, HiveError, IllegalMove
from hive.jobs import catalog
from hive.jobs.recipe import Recipe, switch_at
from hive.jobs.runner import run
from hive.queue.host import Host
from hive.queue.journal import JobJournal
from hive.queue.lines import LineWriter
from hive.steps.leftovers import clear_leftovers
from hive.steps.step import Step
from hive.store import agents, jobs

T = TypeVar("T")


def execute(host: Host, job: Job, locks: Locks) -> None:
    """Raises nothing that the job did: its row says how it ended.

    Whoever took the job over writes its end: a fenced attempt leaves quietly. Interrupted, the job
    is given back, and the interrupt goes on. A database that takes no move leaves the row
    `running`: who gets the lock next takes it over.
    """
    with _journal(host, job) as journal:
        try:
            _attempt(host, job, host.world(journal.tell, locks), journal)
        except FencedOut:
            return
        except KeyboardInterrupt:
            with suppress(HiveError):
                _move(host, job, GIVE_BACK)
            raise


@contextmanager
def _journal(host: Host, job: Job) -> Iterator[JobJournal]:
    lines = LineWriter(host.database)
    try:
        yield JobJournal(host.database, host.clock, job, lines)
    finally:
        lines.close()


def _attempt(host: Host, job: Job, world: World, journal: JobJournal) -> None:
    recipe = _sure(journal, lambda: catalog.recipe(job, _agent(host, job)))
    if isinstance(recipe, HiveError):
        _fail(host, job, recipe)
        return
    error = _error(host, job, recipe, world, journal)
    result = error if error else _sure(journal, lambda: recipe.result(world))
    journal.flush()
    if isinstance(result, HiveError):
        is_new = _sure(journal, lambda: recipe.left_nothing(world)) is True
        _fail(host, job, result, forget=recipe.agent if is_new else None)
    else:
        _move(host, job, FINISH, error=None, result=result)


def _error(
    host: Host, job: Job, recipe: Recipe, world: World, journal: JobJournal
) -> HiveError | None:
    """What went wrong, when the way back is gone; None where every step holds."""
    steps = recipe.plan()
    begun = _sure(journal, lambda: _begin(world, recipe, journal))
    if job.restoring:  # whatever could not be cleared: what was before must be so again
        return _after(_remembered(job), _tried(recipe.restore(), world, journal, len(steps)))
    error = begun or _tried(steps, world, journal)
    if error and journal.at >= switch_at(steps) and not _is_recorded(recipe, world, journal):
        _move(host, job, RESTORE, restoring=True, error=_as_json(error))
        error = _after(error, _tried(recipe.restore(), world, journal, len(steps)))
    _sure(journal, lambda: clear_leftovers(world, recipe.agent))  # else the next attempt does
    return error


def _begin(world: World, recipe: Recipe, journal: JobJournal) -> None:
    clear_leftovers(world, recipe.agent)
    journal.begin()


def _tried(
    steps: tuple[Step, ...], world: World, journal: JobJournal, first: int = 0
) -> HiveError | None:
    """The error of the first step that cannot be made to hold, written down."""
    error = _sure(journal, lambda: run(steps, world, journal, first=first))
    if error:
        journal.failed(error.message)
    return error


def _sure(journal: JobJournal, act: Callable[[], T]) -> T | HiveError:
    """What `act` gives, or its trouble as ours: whatever it is, the row must be able to say so."""
    try:
        return act()
    except FencedOut:
        raise
    except HiveError as error:
        return error
    except Exception as bug:  # noqa: BLE001 - see above
        for line in "".join(traceback.format_exception(bug)).splitlines():
            journal.tell(Stream.ERR, line)
        said = f"{type(bug).__name__}: {bug}"
        return Fault(said, hint="a bug in hive: `hive logs` of the job has all of it")


def _is_recorded(recipe: Recipe, world: World, journal: JobJournal) -> bool:
    """Where meta cannot be read nothing is known to be recorded; the restore then says why."""
    return _sure(journal, lambda: recipe.is_recorded(world)) is True


def _after(error: HiveError, failed: HiveError | None) -> HiveError:
    """The error that the job ends with, when the restore has `failed`, or has not."""
    if failed is None:
        return error
    return Fault(
        f"{error.message}; and then what was before could not be restored: {failed.message}",
        code="not-restored",
        hint=failed.hint or "look at the container, then run it again",
    )


def _fail(host: Host, job: Job, error: HiveError, *, forget: AgentName | None = None) -> None:
    """The row says why. An agent of which nothing was made is forgotten in the same moment."""
    _move(host, job, FAIL, forget=forget, error=_as_json(error))


def _move(
    host: Host, job: Job, move: Move, *, forget: AgentName | None = None, **also: object
) -> None:
    """Made with the attempt, the fence; raises `FencedOut` when the job is another attempt's."""
    now = host.clock.now()
    if move.end in ENDED:
        also["finished_at"] = now
    elif move.end is JobState.QUEUED:
        also["queued_at"] = now
    try:
        with host.database.write() as session:
            jobs.make(session, job.id, move, attempt=job.attempt, **also)
            if forget is not None:
                agents.forget(session, job.node, forget)
    except IllegalMove as moved:
        raise FencedOut(moved.message) from moved


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
