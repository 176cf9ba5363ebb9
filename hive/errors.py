"""Everything that can go wrong, in one tree.

    HiveError
    ├── Refused                the ask is wrong, or cannot be built; a person must change it
    │   ├── NotFound           there is no such thing
    │   └── IllegalMove        the thing is not in a state that allows this
    ├── Transient              the world misbehaved; the same ask may work later
    │   ├── CommandFailed      a program ran and said no
    │   ├── CommandTimedOut    a program was still running at its deadline
    │   ├── StepDidNotHold     a step was applied, and its check still says no
    │   └── FencedOut          another attempt has the job
    └── Fault                  hive is wrong; never retried, always reported
        └── ProgramMissing     a program that hive needs is not on the listed PATH

Each carries `message` (what is so), `code` (kebab-case, stable, in `docs/errors.md`) and `hint`
(what to do next). This module imports nothing from hive, so every floor may import it.

`Halted` is no error: like `KeyboardInterrupt`, it is how a thread is told to stop from outside.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

TAIL_LINES = 20


class HiveError(Exception):
    """Base of every error that hive raises on purpose."""

    default_code: ClassVar[str] = "hive-error"

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint


class Refused(HiveError):
    """The ask cannot be granted as it stands."""

    default_code = "refused"


class NotFound(Refused):
    """There is no such thing."""

    default_code = "not-found"


class IllegalMove(Refused):
    """The thing is not in a state that allows this."""

    default_code = "illegal-move"


class Transient(HiveError):
    """Something outside hive failed. Trying again is reasonable."""

    default_code = "transient"


class CommandFailed(Transient):
    """A program ran and said no."""

    default_code = "command-failed"

    def __init__(self, argv: Sequence[str], exit_code: int, tail: str) -> None:
        self.argv = tuple(argv)
        self.exit_code = exit_code
        self.tail = "\n".join(tail.splitlines()[-TAIL_LINES:])
        last = self.tail.strip().splitlines()
        said = f": {last[-1].strip()}" if last else ""
        super().__init__(f"{shlex.join(self.argv)} exited {exit_code}{said}")


class CommandTimedOut(Transient):
    """A program was still running at its deadline, and was ended with all it started."""

    default_code = "command-timed-out"


class StepDidNotHold(Transient):
    """A step was applied, and its check still says no."""

    default_code = "step-did-not-hold"


class FencedOut(Transient):
    """Another attempt has the job: this one writes nothing more."""

    default_code = "fenced-out"


class Fault(HiveError):
    """A bug in hive, or state that should be impossible."""

    default_code = "fault"


class ProgramMissing(Fault):
    """A program that hive needs is not on the listed PATH."""

    default_code = "program-missing"


class Reason(StrEnum):
    """Why an attempt is halted from outside."""

    FENCED = "fenced"  #: another attempt has the job, or its lease cannot be kept
    CANCELLED = "cancelled"  #: an operator cancelled it
    OUTRANKED = "outranked"  #: a more urgent job of its lock waits, and it can go first
    DRAINED = "drained"  #: its worker stops


class Halted(BaseException):
    """Raised in an attempt's own thread, as soon as its program has ended, for `reason`.

    Not an `Exception`: no step may take it for a failure of what it did.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason
