"""What a chore has done."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Tally:
    rescued: int = 0  #: jobs taken back from workers that are gone
    rung: int = 0  #: bells, for jobs that are due
    traced: int = 0  #: verdicts whose traces on the host were made
    pruned: int = 0  #: jobs, of which only the row is left
    forgotten: int = 0  #: events, messages, rows of workers, jobs that changed nothing
    told: int = 0  #: what somebody must know
    crashed: int = 0  #: containers that went down by themselves
    fired: int = 0  #: fires of schedules
    notified: int = 0  #: calls of notifiers, that were queued

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def is_nothing(self) -> bool:
        return self == Tally()

    def as_dict(self) -> dict[str, int]:
        return asdict(self)
