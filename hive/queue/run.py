"""One attempt's way through its recipe: forward, to a gate, or the way back."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hive.adapters.locks import Locks
from hive.adapters.shell import Stream
from hive.adapters.world import World
from hive.domain.job import CANCELLED, RESTORE, Job, Trouble
from hive.domain.names import AgentName
from hive.errors import Fault, FencedOut, Halted, HiveError, Reason, Transient
from hive.jobs.recipe import Recipe, firm_at, switch_at
from hive.jobs.runner import run
from hive.queue import ending
from hive.queue.attempt import Attempt
from hive.queue.ending import Cancelled, Ending, Failed, Finished, GivenBack, Parked
from hive.queue.host import Host
from hive.queue.journal import JobJournal
from hive.queue.written import surely
from hive.steps.leftovers import clear_leftovers
from hive.store import moves

T = TypeVar("T")


@dataclass(slots=True)
class Run:
    """One attempt's way through its recipe."""

    host: Host
    attempt: Attempt
    locks: Locks
    journal: JobJournal
    follows: bool = False
    """The lock was held since an attempt of which nothing lies about: there is nothing to clear."""
    world: World = field(init=False)
    _cleared_after: int | None = field(init=False, default=None)
    """So many looks at steps, after which nothing was left lying about."""

    @property
    def job(self) -> Job:
        return self.attempt.job

    @property
    def is_clear(self) -> bool:
        """Nothing of it lies about."""
        return self._cleared_after == self.journal.looks

    def ending(self) -> Ending:
        """Raises `FencedOut`, or `Halted` with the fence, when the end is another attempt's."""
        world = self._sure(self._world)
        if isinstance(world, HiveError):
            return self._not_begun(world)
        self.world = world
        recipe = self._sure(lambda: self.host.recipe(self.job))
        if isinstance(recipe, HiveError):
            return self._not_begun(recipe)
        self.journal.firm_at = firm_at(recipe.plan())
        try:
            return self._ending(recipe)
        except Halted as halted:
            if halted.reason is Reason.FENCED:
                raise
            if halted.reason is not Reason.CANCELLED:
                return GivenBack()
        return self._off(recipe)

    def _not_begun(self, error: HiveError) -> Ending:
        """Nothing can be done, nor restored."""
        if self.job.restoring and not isinstance(error, Transient):
            return Failed(_not_restored(_remembered(self.job), error), switched=True)
        return Failed(error)

    def _world(self) -> World:
        return self.host.world(self.journal.tell, self.locks, self.attempt.halt)

    def _ending(self, recipe: Recipe) -> Ending:
        begun = self._sure(lambda: self._begin(recipe))
        if self.job.restoring and not self._is_recorded(recipe):
            return self._back(recipe, _remembered(self.job))
        if self.job.cancel_requested_at is not None:
            return self._called_off(recipe)
        return self._ended(recipe, begun or self._forward(recipe))

    def _off(self, recipe: Recipe) -> Ending:
        """A cancel has halted it; what it takes to end it may be drained, and goes on later."""
        try:
            return self._called_off(recipe)
        except Halted as halted:
            if halted.reason is Reason.FENCED:
                raise
            return GivenBack()

    def _called_off(self, recipe: Recipe) -> Ending:
        """Nothing goes forward any more, unless it is recorded already: then a cancel is late."""
        self.attempt.going_back()
        if self._is_recorded(recipe):
            return self._for_good(self._ended(recipe, self._forward(recipe)))
        if self._may_have_switched(recipe):
            return self._back(recipe, None)
        self._clear(recipe)
        return Cancelled(self._new_agent(recipe))

    def _for_good(self, found: Ending) -> Ending:
        """What was cancelled is not tried again, or each try would find the cancel and fail."""
        return replace(found, switched=True) if isinstance(found, Failed) else found

    def _forward(self, recipe: Recipe) -> HiveError | bool:
        """Whether every step holds; False at a gate, else what went wrong."""
        found = self._sure(lambda: run(recipe.plan(), self.world, self.journal))
        if isinstance(found, HiveError):
            self.journal.failed(found.message)
        return found

    def _ended(self, recipe: Recipe, found: HiveError | bool | None) -> Ending:
        if found is False:
            return self._parked(recipe)
        if not isinstance(found, HiveError):
            return self._finished(recipe)
        if not self._may_have_switched(recipe) or self._is_worth_again(recipe, found):
            self._clear(recipe)
            return Failed(found, forget=self._new_agent(recipe))
        if self._is_recorded(recipe):
            return Failed(found, switched=True)
        return self._back(recipe, found)

    def _parked(self, recipe: Recipe) -> Ending:
        shown = self._sure(lambda: recipe.shown(self.world))
        self._clear(recipe)
        return Failed(shown) if isinstance(shown, HiveError) else Parked(shown)

    def _finished(self, recipe: Recipe) -> Ending:
        result = self._sure(lambda: recipe.result(self.world))
        after = self._sure(lambda: recipe.aftermath(self.world))
        self._clear(recipe)
        if isinstance(result, HiveError):
            return Failed(result)
        return Failed(after) if isinstance(after, HiveError) else Finished(result, after)

    def _back(self, recipe: Recipe, error: HiveError | None) -> Ending:
        """What was before is so again; `error` says why, or an operator's cancel does."""
        self.attempt.going_back()
        if not self.job.restoring:
            said = CANCELLED if error is None else ending.trouble(error)
            self._note(said)
        failed = self._restored(recipe)
        if isinstance(failed, Transient):  # nobody comes after it: it is worth another try at once
            failed = self._restored(recipe)
        if failed is not None:
            return Failed(_not_restored(error, failed), switched=True)
        self._clear(recipe)
        forget = self._new_agent(recipe)
        if error is None or error.code == CANCELLED.code:
            return Cancelled(forget)
        return Failed(error, switched=True, forget=forget)

    def _restored(self, recipe: Recipe) -> HiveError | None:
        """None where what was before is so again."""
        first = len(recipe.plan())
        found = self._sure(lambda: run(recipe.restore(), self.world, self.journal, first=first))
        if not isinstance(found, HiveError):
            return None
        self.journal.failed(found.message)
        return found

    def _note(self, said: Trouble) -> None:
        """From now on every attempt only restores."""

        def noted() -> None:
            host, job = self.host, self.job
            with host.database.write() as session:
                moves.make(
                    session, job.id, RESTORE, now=host.clock.now(), attempt=job.attempt,
                    restoring=True, error=said,
                )  # fmt: skip

        surely(self.host, self.attempt, noted)

    def _may_have_switched(self, recipe: Recipe) -> bool:
        """This attempt, or one before it that was killed."""
        return self.job.attempt > 1 or self._has_switched(recipe)

    def _has_switched(self, recipe: Recipe) -> bool:
        return self.journal.at >= switch_at(recipe.plan())

    def _is_worth_again(self, recipe: Recipe, error: HiveError) -> bool:
        switched = self._has_switched(recipe)
        return ending.is_worth_again(self.job, error, self.host.failure_limit, switched=switched)

    def _begin(self, recipe: Recipe) -> None:
        is_clear = self.follows and self.job.attempt == 1
        if is_clear or clear_leftovers(self.world, recipe.agent):
            self._cleared_after = self.journal.looks
        if self.job.attempt > 1:
            self.journal.begin()

    def _clear(self, recipe: Recipe) -> None:
        """What the steps left lying about; where that fails, the next attempt does it."""
        if self.is_clear:
            return
        if self._sure(lambda: clear_leftovers(self.world, recipe.agent)) is True:
            self._cleared_after = self.journal.looks

    def _is_recorded(self, recipe: Recipe) -> bool:
        """Where meta cannot be read nothing is known to be recorded; the restore then says why."""
        return self._sure(lambda: recipe.is_recorded(self.world)) is True

    def _new_agent(self, recipe: Recipe) -> AgentName | None:
        is_new = self._sure(lambda: recipe.left_nothing(self.world)) is True
        return recipe.agent if is_new else None

    def _sure(self, act: Callable[[], T]) -> T | HiveError:
        """What `act` gives, or its trouble as ours: the row must be able to say whatever it is."""
        try:
            return act()
        except FencedOut:
            raise
        except HiveError as error:
            return error
        except Exception as bug:  # noqa: BLE001 - see above
            for line in "".join(traceback.format_exception(bug)).splitlines():
                self.journal.tell(Stream.ERR, line)
            said = f"{type(bug).__name__}: {bug}"
            return Fault(said, hint="a bug in hive: `hive logs` of the job has all of it")


def _not_restored(error: HiveError | None, failed: HiveError) -> Fault:
    why = CANCELLED.message if error is None else error.message
    return Fault(
        f"{why}; and then what was before could not be restored: {failed.message}",
        code="not-restored",
        hint=failed.hint or "look at the container, then run it again",
    )


def _remembered(job: Job) -> HiveError:
    """The error that an earlier attempt wrote down before it began to restore."""
    if job.error is None:
        return Fault(f"job {job.id} restores, and nothing says why")
    return HiveError(job.error.message, code=job.error.code, hint=job.error.hint)
