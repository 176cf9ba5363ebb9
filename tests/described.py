"""What the description of the API lets anybody ask, made up by schemathesis and asked at a door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import Case as Made
from schemathesis import GenerationMode, Response, openapi
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from hive.api.app import build_app
from hive.api.routes import Endpoint, endpoints
from hive.api.shapes import Ask
from hive.domain.authority import Action, Role, may
from hive.domain.job import JobId
from hive.domain.names import AgentName
from hive.errors import NotFound
from hive.queue import drive
from hive.queue.host import Host
from hive.store.session import Changes
from tests.asking import Client

Case = Made[Any]
Operation = APIOperation[Any, Any, Any, Any]
Values = Mapping[str, Sequence[Any]]
"""What there is, by the name of what asks about it; or else most of what is asked is not there."""

load_all_checks()
CHECKED: Final[list[Any]] = CHECKS.get_by_names(
    ["not_a_server_error", "status_code_conformance", "content_type_conformance",
     "response_headers_conformance", "response_schema_conformance"]
)  # fmt: skip
ENDPOINTS: Final[Mapping[tuple[str, str], Endpoint]] = {
    (one.method, one.path): one for one in endpoints()
}


def operations() -> list[Operation]:
    described = openapi.from_dict(build_app(None).openapi())
    return [found.ok() for found in described.get_all_operations() if isinstance(found, Ok)]


MAIL: Final = frozenset(
    {"POST /v1/status", "POST /v1/messages", "POST /v1/messages/ack",
     "POST /v1/inbox/{recipient}/take"}
)  # fmt: skip
PROPOSES: Final = frozenset({"POST /v1/jobs", "POST /v1/jobs/{number}/withdraw"})
WRITES: Final[Mapping[Role, frozenset[str]]] = {
    Role.OPERATOR: frozenset(f"{method} {path}" for method, path in ENDPOINTS),
    Role.VIEWER: frozenset(),
    Role.MANAGER: MAIL | PROPOSES,
    Role.AGENT: MAIL,
    Role.CI: PROPOSES,
}
"""What may change anything, by hand: an endpoint may have been given the wrong action."""
KINDS: Final[Mapping[Role, frozenset[str]]] = {
    Role.OPERATOR: frozenset(kind.value for kind in Ask),
    Role.MANAGER: frozenset({"spawn", "propose", "start", "stop", "restart", "rebuild"}),
    Role.CI: frozenset({"propose"}),
}
"""Of jobs, likewise."""


@dataclass
class Asker:
    """Somebody at a door, who asks for whatever the description lets them ask."""

    host: Host
    client: Client
    role: Role
    agent: AgentName | None
    there: Values
    changes: Changes | None
    statuses: set[tuple[str, int]] = field(default_factory=set)
    """What was answered to which operation."""

    def asks(self, operation: Operation, *, examples: int) -> None:
        """So often as the description has it, and so often as it has it not."""
        for mode in GenerationMode:

            @settings(
                max_examples=examples, derandomize=True, database=None, deadline=None,
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=made_up(operation, mode, self.there))
            def holds(case: Case) -> None:
                self.ask(case)

            try:
                holds()
            except Unsatisfiable:  # of what takes any words at all none is wrong
                assert mode is GenerationMode.NEGATIVE, operation.label

    def ask(self, case: Case) -> None:
        """As described; nothing is written by who may not, by what is refused, nor by a look."""
        endpoint = ENDPOINTS[case.operation.method.upper(), case.operation.path]
        allowed = self._may(endpoint, case)
        self._has_changed()
        answer = asked(self.client, case)
        self.statuses.add((case.operation.label, answer.status_code))
        case.validate_response(answer, checks=CHECKED)
        wrote = self._has_changed()
        said = f"{self.role}: {case.operation.label} {case.body!r}: {answer.content!r}"
        if answer.status_code >= 400:
            assert all(answer.json()[key] for key in ("code", "detail", "hint")), said
            assert not wrote, said
            return
        assert allowed, said
        if endpoint.method == "GET":
            assert not wrote, said
            return
        assert case.operation.label in WRITES[self.role], said
        if case.operation.label == "POST /v1/jobs" and isinstance(case.body, dict):
            assert case.body["kind"] in KINDS[self.role], said

    def _has_changed(self) -> bool:
        """Where that can be told: on SQLite."""
        return self.changes is not None and self.changes.seen()

    def _may(self, endpoint: Endpoint, case: Case) -> bool:
        """By the table alone."""
        body = case.body if isinstance(case.body, dict) else {}
        action = endpoint.action or _action(body.get("kind"))
        about, own = self._about(endpoint, case, body)
        itself = self.agent is not None and about == self.agent
        return action is not None and may(self.role, action, itself=itself, own=own)

    def _about(self, endpoint: Endpoint, case: Case, body: Mapping[str, Any]) -> tuple[Any, bool]:
        """Whom it is about, and whether that is a job that they have asked for."""
        path = case.path_parameters
        match endpoint.of:
            case "agent" | "inbox":
                return path.get("name", path.get("recipient")), False
            case "itself":
                return self.agent, False
            case "job":
                return self._job(path.get("number"))
            case _:
                return body.get("agent") if endpoint.action is None else None, False

    def _job(self, number: object) -> tuple[Any, bool]:
        try:
            job = drive.find(self.host, JobId(int(str(number))))
        except (NotFound, ValueError):
            return None, False
        return job.agent, job.requested_by == self.client_name

    @property
    def has_asked_widely(self) -> bool:
        """Every operation was answered, many of them in more than one way."""
        asked = {name for name, _ in self.statuses}
        return len(asked) == len(ENDPOINTS) and len(self.statuses) > 1.5 * len(asked)

    @property
    def client_name(self) -> str:
        name: str = self.client.get("/whoami").json["name"]
        return name


def made_up(operation: Operation, mode: GenerationMode, there: Values) -> SearchStrategy[Case]:
    """Every other one is about what is there."""
    real = st.fixed_dictionaries({name: st.sampled_from(of) for name, of in there.items()})
    return st.builds(_about, operation.as_strategy(generation_mode=mode), st.none() | real)


def _about(case: Case, real: Mapping[str, Any] | None) -> Case:
    for asks in (case.path_parameters, case.query, case.body):
        if not isinstance(asks, dict):
            continue
        for name in asks.keys() & (real or {}).keys():
            if isinstance(asks[name], type((real or {})[name])):
                asks[name] = (real or {})[name]
    if isinstance(case.body, dict) and isinstance(wait := case.body.get("wait"), int | float):
        case.body["wait"] = min(wait, 0.01)  # nobody waits for minutes: there are tests of that
    return case


def asked(client: Client, case: Case) -> Response:
    """Of a stream only the first line."""
    words = case.as_transport_kwargs(base_url="http://hive")
    known = ("method", "url", "headers", "data", "json", "params", "cookies")
    sent = requests.Request(**{word: words[word] for word in known if word in words}).prepare()
    headers = dict(sent.headers)
    if client.token is not None:
        headers["Authorization"] = f"Bearer {client.token}"
    with closing(client.connection()) as connection:
        body: Any = sent.body
        connection.request(str(sent.method), sent.path_url, body, headers)
        got = connection.getresponse()
        is_stream = got.headers.get_content_type() == "text/event-stream"
        said = got.readline() if is_stream else got.read()
        return Response(got.status, _named(got.getheaders()), said, sent, 0.0, verify=False)


def _named(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def _action(kind: object) -> Action | None:
    try:
        return Action(str(kind))
    except ValueError:
        return None
