"""What requests and answers look like. Answers are the views' own JSON: a test holds both equal."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from hive.domain.authority import Role
from hive.domain.schedule import CatchUp, Verb

LONGEST_WAIT: Final = 180
LAST: Final = 2**31 - 1
MOST: Final = 1000

Number = Annotated[int, Field(ge=1, le=2**63 - 1)]
Text = Annotated[str, Field(max_length=65_536)]
Short = Annotated[str, Field(max_length=1000)]


class Ask(StrEnum):
    """Kinds of jobs that can be asked for."""

    SPAWN = "spawn"
    APPLY = "apply"
    PROPOSE = "propose"
    REBUILD = "rebuild"
    ROLLBACK = "rollback"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    DESTROY = "destroy"
    PURGE = "purge"
    UPDATE_BASE = "update-base"
    RECONCILE = "reconcile"


class Body(BaseModel):
    """A request: what it does not know is refused, not passed over."""

    model_config = ConfigDict(extra="forbid")


class NewJob(Body):
    """A lifecycle job. `agent` is null only for update-base, reconcile, and rebuild of all."""

    kind: Ask
    agent: Short | None = None
    node: Short | None = None
    rev: Short | None = None
    message: Short | None = None
    restart: Short | None = None
    to: Annotated[int, Field(ge=1, le=LAST)] | None = None
    all_nodes: bool = False


class Approval(Body):
    expected: Short | None = None
    """The closure that was looked at: 409, code `other-closure`, where it is not so."""


class Denial(Body):
    note: Short = ""


class Settings(Body):
    settings: Annotated[list[Short], Field(min_length=1, max_length=50)]


class Take(Body):
    limit: Annotated[int, Field(ge=1, le=MOST)] = 100
    wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT)] = 0
    """Seconds to wait where there is nothing to take."""


class NewMessage(Body):
    to: Short
    text: Text
    reply_to: Number | None = None
    node: Short | None = None


class Acked(Body):
    ids: Annotated[list[Number], Field(min_length=1, max_length=MOST)]


class NewSchedule(Body):
    name: Short
    cron: Short
    verb: Verb
    zone: Short = "UTC"
    catch_up: CatchUp = CatchUp.LAST


class NewToken(Body):
    role: Role
    agent: Short | None = None
    expires: Annotated[int, Field(ge=1, le=100 * 365 * 86_400)] | None = None
    """Seconds from now; null: never."""


class Shape(BaseModel):
    """An answer. Keys may be added, and none goes away."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")


class Problem(Shape):
    """`application/problem+json`: the code is one of docs/errors.md, and stays."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str


class Trouble(Shape):
    code: str
    message: str
    hint: str


class Step(Shape):
    name: str
    state: str
    because: str
    seconds: float


class Job(Shape):
    id: int
    kind: str
    node: str
    agent: str | None
    state: str
    attempt: int
    steps: list[Step]
    result: dict[str, Any] | None
    error: Trouble | None
    ask: dict[str, Any]
    requested_by: str
    approved_by: str | None
    approved_at: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    note: str | None
    failures: int
    losses: int
    restoring: bool
    worker: str | None
    parent: int | None
    superseded_by: int | None
    run_at: str | None
    cancel_requested_at: str | None


class Submitted(Job):
    new: bool
    """False: equal work was live already, and this is that job."""


class Deployed(Shape):
    job: int | None
    sha: str


class Agent(Shape):
    name: str
    node: str
    container: str
    port: int
    url: str | None
    desired: str
    running: bool | None
    state: str
    privileged: bool
    system: str | None
    deployed: Deployed | None
    job: int | None
    failed_at: str | None
    settings: dict[str, Any]


class Kept(Shape):
    name: str
    bytes: int | None
    since: str | None
    login: bool


class Change(Shape):
    letter: str
    path: str


class Diff(Shape):
    job: int
    agent: str
    state: str
    rev: str
    deployed: str
    descends: bool
    commits: list[str]
    undone: list[str]
    files: list[Change]
    patch: str
    closure: str | None
    packages: dict[str, Any] | None


class Planned(Shape):
    name: str
    holds: bool
    because: str


class Differing(Shape):
    agent: str
    job: str | None
    because: str
    wait: float
    gives_up: bool


class Report(Shape):
    kind: str
    agent: str | None
    said: str


class Surveyed(Shape):
    """What a sweep would find."""

    agents: int
    differ: list[Differing]
    orphans: list[int]
    """Jobs that wait for an agent whose folder is gone."""
    reports: list[Report]


class Line(Shape):
    seq: int
    attempt: int
    step: str
    stream: str
    at: str
    text: str


class Event(Shape):
    seq: int
    at: str
    kind: str
    node: str
    agent: str | None
    job: int | None
    data: dict[str, Any]


class OwnWord(Shape):
    """An event that has no number yet: it gets one with the commit."""

    at: str
    kind: str
    agent: str
    data: dict[str, Any]


class Message(Shape):
    id: int
    node: str | None
    to: str
    sender: Annotated[str, Field(alias="from")]
    text: str
    topic: str | None
    data: dict[str, Any] | None
    reply_to: int | None
    sent_at: str
    delivered_at: str | None
    deliveries: int
    acked_at: str | None


class Waiting(Shape):
    waiting: int


class AckedCount(Shape):
    acked: int
    """How many were not acknowledged before."""


class Schedule(Shape):
    name: str
    cron: str
    zone: str
    verb: str
    catch_up: str
    enabled: bool
    last_fire: str | None
    next_fire: str | None
    note: str | None


class AddedSchedule(Schedule):
    new: bool


class WorkerJob(Shape):
    id: int
    kind: str
    agent: str | None
    attempt: int


class Worker(Shape):
    id: str
    node: str
    role: str
    pid: int
    alive: bool
    draining: bool
    concurrency: int
    version: str
    since: str
    beat_at: str
    jobs: list[WorkerJob]


class Node(Shape):
    name: str
    silent: bool
    seen_at: str | None
    paused_at: str | None
    paused_by: str | None
    disk: str | None


class Token(Shape):
    id: int
    role: str
    agent: str | None
    created_at: str
    created_by: str
    expires_at: str | None
    used_at: str | None
    revoked_at: str | None


class MadeToken(Token):
    token: str
    """Said this once."""


class Whoami(Shape):
    name: str
    role: str
    agent: str | None
    node: str
    version: str
    may: dict[str, str]
    """Actions, and about whom."""


class AgentStatus(Shape):
    name: str
    node: str
    desired: str
    state: str
    job: dict[str, Any] | None
    memory: int | None
    cpu_seconds: float | None
    event: dict[str, Any] | None
    failed_at: str | None
    attention: list[str]


class ChangedAgent(Agent):
    limit: Job | None
    """The job that makes the new limits hold, where they were changed."""


class Status(Shape):
    at: str
    agents: list[AgentStatus]
    nodes: list[Node]
    jobs: dict[str, int]


class Well(Shape):
    ok: bool
    version: str
