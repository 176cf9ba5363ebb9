"""What hive answers: the JSON of its views, key for key, as a test holds them to it."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypedDict, TypeVar, cast

from hive.client.problem import not_hive
from hive.client.wire import Json

T = TypeVar("T")

Kind = Literal[
    "spawn", "apply", "propose", "rebuild", "rollback", "start", "stop", "restart", "destroy",
    "purge", "update-base", "reconcile",
]  # fmt: skip
"""What can be asked for as a job."""


class Page(TypedDict, Generic[T]):
    """A part of a list; `next` is the cursor of what comes behind it, if anything does."""

    items: list[T]
    next: str | None


class Step(TypedDict):
    name: str
    state: str
    because: str
    seconds: float


class Trouble(TypedDict):
    code: str
    message: str
    hint: str


class Job(TypedDict):
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
    """A job, and whether this request made it: equal work that is live already is that job."""

    new: bool


class Deployed(TypedDict):
    job: int | None
    sha: str


class AgentSettings(TypedDict):
    memory_max: int
    cpu_quota: int
    tasks_max: int | None
    health: str
    privileged: bool
    autostart: bool
    model: str | None
    allowed_tools: str | None


class Agent(TypedDict):
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
    settings: AgentSettings


class ChangedAgent(Agent):
    """An agent, and the job that applies limits which hold at once."""

    limit: Job | None


class Kept(TypedDict):
    name: str
    bytes: int | None
    since: str | None
    login: bool


class FileChange(TypedDict):
    letter: str
    path: str


class Package(TypedDict):
    name: str
    before: list[str]
    after: list[str]
    bytes_before: int
    bytes_after: int
    rebuilt: bool


class Packages(TypedDict):
    added: list[Package]
    removed: list[Package]
    changed: list[Package]
    size_before: int
    size_after: int


class Diff(TypedDict):
    job: int
    agent: str
    state: str
    rev: str
    deployed: str
    descends: bool
    commits: list[str]
    undone: list[str]
    files: list[FileChange]
    patch: str
    closure: str | None
    packages: Packages | None


class Line(TypedDict):
    """One line of a job's log; `stream` is `$` for the command itself."""

    seq: int
    attempt: int
    step: str
    stream: str
    at: str
    text: str


class PlannedStep(TypedDict):
    name: str
    holds: bool
    because: str


class Differing(TypedDict):
    agent: str
    job: str | None
    """The kind of the job that would mend it; null: nobody but an operator can."""
    because: str
    wait: float
    gives_up: bool


class Told(TypedDict):
    kind: str
    agent: str | None
    said: str


class Sweep(TypedDict):
    """What a sweep would find right now."""

    agents: int
    differ: list[Differing]
    orphans: list[int]
    reports: list[Told]


class Event(TypedDict):
    seq: int
    at: str
    kind: str
    node: str
    agent: str | None
    job: int | None
    data: dict[str, Any]


class OwnWord(TypedDict):
    """What an agent said of itself: an event that has no number yet."""

    at: str
    kind: str
    agent: str
    data: dict[str, Any]


Message = TypedDict(
    "Message",
    {
        "id": int,
        "node": str | None,
        "to": str,
        "from": str,
        "text": str,
        "topic": str | None,
        "data": dict[str, Any] | None,
        "reply_to": int | None,
        "sent_at": str,
        "delivered_at": str | None,
        "deliveries": int,
        "acked_at": str | None,
    },
)


class Waiting(TypedDict):
    waiting: int
    """How many messages nobody has acknowledged."""


class Acknowledged(TypedDict):
    acked: int
    """How many were not acknowledged before."""


class Schedule(TypedDict):
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
    """A schedule, and whether it was not there before."""

    new: bool


class WorkersJob(TypedDict):
    id: int
    kind: str
    agent: str | None
    attempt: int


class Worker(TypedDict):
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
    jobs: list[WorkersJob]


class Node(TypedDict):
    name: str
    silent: bool
    seen_at: str | None
    paused_at: str | None
    paused_by: str | None
    disk: str | None


class AtWork(TypedDict):
    id: int
    kind: str
    state: str
    attempt: int
    step: str | None
    started_at: str | None


class LastEvent(TypedDict):
    seq: int
    at: str
    kind: str
    job: int | None


class AgentStatus(TypedDict):
    name: str
    node: str
    desired: str
    state: str
    job: AtWork | None
    memory: int | None
    cpu_seconds: float | None
    event: LastEvent | None
    failed_at: str | None
    attention: list[str]


class Live(TypedDict):
    """How many jobs are in each state that is not an end."""

    running: int
    waiting: int
    queued: int


class Status(TypedDict):
    at: str
    agents: list[AgentStatus]
    nodes: list[Node]
    jobs: Live


class Me(TypedDict):
    """Whom hive takes the caller for; `may` is what may be done, and about whom."""

    role: str
    name: str
    agent: str | None
    node: str
    version: str
    may: dict[str, str]


class Token(TypedDict):
    id: int
    role: str
    agent: str | None
    created_at: str
    created_by: str
    expires_at: str | None
    used_at: str | None
    revoked_at: str | None


class MadeToken(Token):
    """A token with what its owner brings, which is told this once."""

    token: str


def of(kind: type[T], said: object) -> T:
    """Raises `Refused`, code `not-hive`, where a key of `kind` is missing."""
    required: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
    missing = sorted(required - said.keys()) if isinstance(said, dict) else ["all of it"]
    if missing:
        raise not_hive(f"the answer lacks {missing[0]!r} of {kind.__name__.lower()}")
    return cast(T, said)


def page_of(kind: type[T], said: Json) -> Page[T]:
    items = said.get("items")
    if not isinstance(items, list):
        raise not_hive("the answer is no list")
    return {"items": [of(kind, item) for item in items], "next": said.get("next")}
