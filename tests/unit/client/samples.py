"""What hive answers: the JSON of real views, as full as they get."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hive.adapters.systemd import Unit
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.closure import ClosureDifference, Package
from hive.domain.event import Event
from hive.domain.fullness import Fullness
from hive.domain.job import Job, JobId, JobState, StepRecord, StepState, Trouble
from hive.domain.message import Message
from hive.domain.names import AgentName, NodeName, Rev
from hive.domain.schedule import CatchUp, Cron, Schedule, ScheduleName, Verb
from hive.domain.worker import Node, Process, Role, Worker
from hive.service.diffs import DiffView, FileChange
from hive.service.fleet import NodeView, WorkerView
from hive.service.inbox import message_as_json
from hive.service.kept import KeptView
from hive.service.schedules import ScheduleView
from hive.service.status import AgentStatus, AtWork, Status
from hive.service.views import AgentView, DeployedView, JobView

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
ALICE, HERE, REV = AgentName("alice"), NodeName("here"), Rev("a" * 40)
SYSTEM = Path("/nix/store/x-system")
Json = dict[str, Any]

JOB = Job(
    id=JobId(7), kind="apply", node=HERE, agent=ALICE, ask={"rev": REV}, state=JobState.FAILED,
    attempt=2, failures=1, losses=1, restoring=False, lock="agent:here/alice", series=None,
    priority=0, worker="here:1:2:3", cancel_requested_at=NOW, parent_id=JobId(3),
    superseded_by=JobId(9), approved_at=NOW, approved_by="someone", seen=None,
    requested_by="someone", created_at=NOW, started_at=NOW, finished_at=NOW, run_at=NOW,
    error=Trouble("build-failed", "it does not build", "see the log"), result={"url": "http://x/"},
)  # fmt: skip
STEP = StepRecord(0, "Built", StepState.FAILED, "it does not build", 0.5)
AGENT = Agent(HERE, ALICE, 8879, Desired.RUNNING, AgentSettings(), failed_at=NOW)
EVENT = Event(5, NOW, "job.finish", HERE, JobId(7), ALICE, {"attempt": 1})
NODE = NodeView(Node(HERE, NOW, NOW, "someone", Fullness.OK), is_silent=False)
WORKER = WorkerView(
    Worker(Process(HERE, 1, "2", "boot", "ns"), Role.UP, "0.1", 2, False, NOW, NOW), True, (JOB,)
)
DEPLOYED = DeployedView(JobId(6), REV)
AGENT_VIEW = AgentView(
    name=ALICE, node=HERE, container=ALICE.container, port=8879, url=None, desired=Desired.RUNNING,
    running=True, state="active", privileged=False, system=SYSTEM, deployed=DEPLOYED, job=JobId(7),
    failed_at=NOW, settings=AgentSettings(),
)  # fmt: skip
PACKAGE = Package("openssl", ("3.0.9",), ("3.0.11",), 100, 200)
CLOSURE = ClosureDifference((PACKAGE,), (PACKAGE,), (PACKAGE,), 1000, 2000)
DIFF = DiffView(
    job=JobId(7), agent=ALICE, state="waiting", rev=REV, deployed=REV, commits=("a",),
    undone=("b",), files=(FileChange("M", "agent.nix"),), patch="+", system=SYSTEM, closure=CLOSURE,
)  # fmt: skip
SCHEDULE = ScheduleView(
    Schedule(ScheduleName("night"), Cron("0 3 * * *", "UTC"), Verb.SWEEP, CatchUp.LAST, True, NOW),
    NOW, NOW, "a note",
)  # fmt: skip
MESSAGE = Message(
    seq=4, node=HERE, recipient="alice", sender="hm1nd", body="hello", topic="spawned",
    data={"agent": "bob"}, reply_to=3, sent_at=NOW, delivered_at=NOW, deliveries=1, reader="r",
    leased_until=NOW, acked_at=NOW,
)  # fmt: skip
UNIT = Unit({"ActiveState": "active", "MemoryCurrent": "4096", "CPUUsageNSec": "1500000000"})
STATUS = Status(
    at=NOW,
    agents=(AgentStatus(AGENT, UNIT, AtWork(JOB, "Built"), EVENT, is_silent=False),),
    nodes=(NODE,),
    jobs={JobState.RUNNING: 1, JobState.WAITING: 2, JobState.QUEUED: 3},
)
KEPT = KeptView(ALICE, 4096, NOW, has_login=True)


def a_job(**overrides: Any) -> Json:  # noqa: ANN401 - any key
    return sent(JobView(JOB, (STEP,), "it waits").as_json() | overrides)


def an_agent(**overrides: Any) -> Json:  # noqa: ANN401 - any key
    return sent(AGENT_VIEW.as_json() | overrides)


def an_event(**overrides: Any) -> Json:  # noqa: ANN401 - any key
    return sent(EVENT.as_json() | overrides)


def a_message(**overrides: Any) -> Json:  # noqa: ANN401 - any key
    return sent(message_as_json(MESSAGE) | overrides)


def a_line(**overrides: Any) -> Json:  # noqa: ANN401 - any key
    line = {"seq": 1, "attempt": 1, "step": "Built", "stream": "out", "at": "2026", "text": "hi"}
    return line | overrides


def a_token(**overrides: Any) -> Json:  # noqa: ANN401 - any key
    token = {"id": 1, "role": "ci", "agent": None, "created_at": "2026", "created_by": "someone"}
    return {**token, "expires_at": None, "used_at": None, "revoked_at": None, **overrides}


def me(role: str = "agent", agent: str | None = "alice") -> Json:
    """Of whom the caller is."""
    named = {"role": role, "agent": agent, "name": agent or "someone"}
    return {**named, "node": "here", "version": "0.1", "may": {"send": "all"}}


def sent(value: Json) -> Json:
    """As it comes over the wire."""
    return dict(json.loads(json.dumps(value)))
