"""One of each: what every request, answer and error looks like, for who reads the description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from hive.api import shapes
from hive.api.problems import MEDIA, as_json, status_of
from hive.api.said import OwnStatus
from hive.errors import Fault, HiveError, IllegalMove, NotFound, Refused, Transient

AT: Final = "2026-03-01T09:30:00.000Z"
SHA: Final = "1f0c5a3b9d7e2f4a6c8b0d1e3f5a7c9b2d4e6f80"
SYSTEM: Final = "/nix/store/0c1b2a3d4f5g6h7i8j9k0l1m2n3p4q5r-nixos-system-alice"
JOB: Final[Mapping[str, Any]] = {
    "id": 12, "kind": "apply", "node": "here", "agent": "alice", "state": "waiting", "attempt": 1,
    "steps": [
        {"name": "Built", "state": "applied", "because": "the closure is there", "seconds": 41.7}
    ],
    "result": {"closure": SYSTEM}, "error": None, "ask": {"rev": SHA}, "requested_by": "hm1nd",
    "approved_by": None, "approved_at": None, "created_at": AT, "started_at": AT,
    "finished_at": None, "note": "a newer model", "failures": 0, "losses": 0, "restoring": False,
    "worker": None, "parent": None, "superseded_by": None, "run_at": None,
    "cancel_requested_at": None,
}  # fmt: skip
AGENT: Final[Mapping[str, Any]] = {
    "name": "alice", "node": "here", "container": "h-alice", "port": 8879,
    "url": "http://127.0.0.1:8879/", "desired": "running", "running": True, "state": "active",
    "privileged": False, "system": SYSTEM, "deployed": {"job": 7, "sha": SHA},
    "job": 12, "failed_at": None, "settings": {"memory_max": 4294967296},
}  # fmt: skip
EVENT: Final[Mapping[str, Any]] = {
    "seq": 311, "at": AT, "kind": "agent.status", "node": "here", "agent": "alice", "job": None,
    "data": {"text": "reading"},
}  # fmt: skip
SCHEDULE: Final[Mapping[str, Any]] = {
    "name": "nightly", "cron": "0 4 * * *", "zone": "UTC", "verb": "sweep", "catch_up": "last",
    "enabled": True, "last_fire": AT, "next_fire": AT, "note": None,
}  # fmt: skip
TOKEN: Final[Mapping[str, Any]] = {
    "id": 3, "role": "viewer", "agent": None, "created_at": AT, "created_by": "root",
    "expires_at": None, "used_at": AT, "revoked_at": None,
}  # fmt: skip
NODE: Final[Mapping[str, Any]] = {
    "name": "here", "silent": False, "seen_at": AT, "paused_at": None, "paused_by": None,
    "disk": None,
}  # fmt: skip

SHAPES: Final[Mapping[type[BaseModel], Mapping[str, Any]]] = {
    shapes.NewJob: {"kind": "spawn", "agent": "alice"},
    shapes.Approval: {"expected": SYSTEM},
    shapes.Denial: {"note": "not before Monday"},
    shapes.Settings: {"settings": ["memory_max=4G", "model=opus"]},
    shapes.Take: {"limit": 10, "wait": 30},
    shapes.NewMessage: {"to": "alice", "text": "the tests are red"},
    shapes.Acked: {"ids": [4, 5]},
    OwnStatus: {"text": "reading"},
    shapes.NewSchedule: {"name": "nightly", "cron": "0 4 * * *", "verb": "sweep"},
    shapes.NewToken: {"role": "viewer", "expires": 86400},
    shapes.Job: JOB,
    shapes.Submitted: {**JOB, "new": True},
    shapes.Agent: AGENT,
    shapes.ChangedAgent: {**AGENT, "limit": None},
    shapes.Kept: {"name": "carol", "bytes": 18230, "since": AT, "login": True},
    shapes.Diff: {
        "job": 12, "agent": "alice", "state": "waiting", "rev": SHA, "deployed": "0" * 40,
        "descends": True, "commits": [f"{SHA[:12]} a newer model"], "undone": [],
        "files": [{"letter": "M", "path": "agent.nix"}], "patch": "-  a\n+  b\n",
        "closure": SYSTEM, "packages": None,
    },
    shapes.Planned: {"name": "Running", "holds": False, "because": "the unit is inactive"},
    shapes.Surveyed: {
        "agents": 3,
        "differ": [{"agent": "alice", "job": "start", "because": "the unit is inactive",
                    "wait": 0.0, "gives_up": False}],
        "orphans": [], "reports": [],
    },
    shapes.Line: {
        "seq": 88, "attempt": 1, "step": "Built", "stream": "err", "at": AT,
        "text": "building the system",
    },
    shapes.Event: EVENT,
    shapes.OwnWord: {name: EVENT[name] for name in ("at", "kind", "agent", "data")},
    shapes.Message: {
        "id": 4, "node": "here", "to": "alice", "from": "operator", "text": "the tests are red",
        "topic": None, "data": None, "reply_to": None, "sent_at": AT, "delivered_at": None,
        "deliveries": 0, "acked_at": None,
    },
    shapes.AckedCount: {"acked": 2},
    shapes.Waiting: {"waiting": 3},
    shapes.Schedule: SCHEDULE,
    shapes.AddedSchedule: {**SCHEDULE, "new": True},
    shapes.Worker: {
        "id": "here-4711-0", "node": "here", "role": "worker", "pid": 4711, "alive": True,
        "draining": False, "concurrency": 4, "version": "1", "since": AT, "beat_at": AT,
        "jobs": [{"id": 12, "kind": "apply", "agent": "alice", "attempt": 1}],
    },
    shapes.Node: NODE,
    shapes.Token: TOKEN,
    shapes.MadeToken: {**TOKEN, "token": "hive_3_…"},
    shapes.Whoami: {
        "name": "alice", "role": "agent", "agent": "alice", "node": "here", "version": "1",
        "may": {"greet": "all", "show-agent": "itself"},
    },
    shapes.Status: {
        "at": AT,
        "agents": [{"name": "alice", "node": "here", "desired": "running", "state": "active",
                    "job": None, "memory": 1073741824, "cpu_seconds": 12.5, "event": None,
                    "failed_at": None, "attention": []}],
        "nodes": [NODE], "jobs": {"queued": 0, "waiting": 1},
    },
    shapes.Well: {"ok": True, "version": "1"},
}  # fmt: skip
TEXTS: Final[Mapping[str, str]] = {
    "/v1/metrics": 'hive_jobs{kind="spawn",state="queued"} 1\n',
    "/v1/events/live": 'id: 311\nevent: agent.status\ndata: {"seq": 311, …}\n\n',
    "/v1/jobs/{number}/logs/live": 'id: 88\nevent: line\ndata: {"seq": 88, …}\n\n',
}
"""Of answers that are no JSON, by their path."""
DESCRIPTION: Final = {"openapi": "3.1.0", "info": {"title": "hive", "version": "1"}, "paths": {}}

ERRORS: Final[tuple[HiveError, ...]] = (
    Refused(
        "over TCP each request brings a token",
        code="no-token", hint="Authorization: Bearer hive_…; `hive token create` makes one",
    ),
    Refused(
        "alice, a agent, may not cancel of bob",
        code="not-allowed", hint="see docs/api.md for who may do what",
    ),
    NotFound("there is no job 4711", code="no-such-job", hint="see `hive jobs`"),
    IllegalMove("cannot cancel job 12: it is succeeded", hint="see `hive job show 12`"),
    Refused("a body has at most a mebibyte", code="too-large", hint="send less, or in parts"),
    Refused("body.kind: Field required", code="bad-request", hint="see docs/api.md"),
    Transient(
        "PostgreSQL 'hive' at its socket: connection refused",
        code="database-unavailable",
        hint="check HIVE_DATABASE_URL, and that the database runs; 'hive doctor' looks",
    ),
    Fault(
        "hive is wrong; its journal says where",
        code="fault", hint="report it, with what stands there",
    ),
)  # fmt: skip
"""One for each status that there can be."""


def put_into(said: dict[str, Any]) -> None:
    """Beside the schema of every body and answer of an OpenAPI description."""
    named = {shape.__name__: dict(example) for shape, example in SHAPES.items()}
    wrong = {str(status_of(error)): as_json(error) for error in ERRORS}
    for path, operations in said["paths"].items():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                content["example"] = _of(content["schema"], named)
            for status, answer in operation["responses"].items():
                for media, content in answer.get("content", {}).items():
                    content["example"] = (
                        wrong[status] if media == MEDIA
                        else TEXTS[path] if path in TEXTS
                        else _of(content["schema"], named)
                    )  # fmt: skip


def _of(schema: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]) -> Any:  # noqa: ANN401 - JSON
    """Of the first shape that a schema names; of a page, with one item."""
    name = next(_names(schema), None)
    if name is None:
        return DESCRIPTION
    if name in named:
        return named[name]
    return {"items": [named[name.removesuffix("Page")]], "next": None}


def _names(schema: Mapping[str, Any]) -> Iterator[str]:
    for one in (schema, *schema.get("anyOf", ())):
        if "$ref" in one:
            yield str(one["$ref"]).rpartition("/")[2]
