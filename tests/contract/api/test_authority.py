"""Every role on every endpoint: who may, is let in; who may not, is told so and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from hive.api.routes import Endpoint, endpoints
from hive.domain.authority import Action, Role, may, reach
from hive.domain.names import AgentName
from hive.queue.host import Host
from hive.store import jobs
from tests.asking import MIND, Client, Served, a_served_host
from tests.contract.store_samples import new_job
from tests.pretend import ALICE, BOB

WHO: dict[Role, AgentName | None] = {
    Role.OPERATOR: None, Role.VIEWER: None, Role.CI: None,
    Role.MANAGER: MIND, Role.AGENT: ALICE,
}  # fmt: skip
BODIES: dict[str, Any] = {
    "/v1/tokens": {"role": "nonsense"},
    "/v1/schedules": {"name": "x", "verb": "nonsense", "cron": "-"},
    "/v1/messages": {"to": "nobody", "text": "x"},
    "/v1/messages/ack": {"ids": [4711]},
    "/v1/status": {"text": " "},
}
KINDS = {
    "spawn", "apply", "propose", "rebuild", "rollback", "start", "stop", "restart", "destroy",
    "purge", "update-base", "reconcile",
}  # fmt: skip
FLEET_WIDE = {"update-base", "reconcile"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with a_served_host(tmp_path_factory.mktemp("api")) as served:
        yield served


def a_job(host: Host, agent: AgentName, by: str = "somebody") -> int:
    """One that has ended, so that nothing is left to decide about it."""
    with host.database.write() as session:
        job, _ = jobs.submit(
            session, new_job(node=host.node, agent=agent, requested_by=by, lock=f"agent:x/{agent}",
                             unique_key=f"{agent}:{by}"), now=host.clock.now(),
        )  # fmt: skip
    return job.id


def filled(endpoint: Endpoint, about: AgentName, job: int) -> str:
    values = {
        "name": about if "/agents/" in endpoint.path else "no-such",
        "number": str(job) if "/jobs/" in endpoint.path else "4711",
        "recipient": about, "node": "there", "verb": "stop",
    }  # fmt: skip
    return re.sub(r"{(\w+)}", lambda found: values[found[1]], endpoint.path)


def test_every_endpoint_says_what_it_is_a_matter_of() -> None:
    found = endpoints()
    assert len(found) > 40
    assert [one.path for one in found if one.action is None] == ["/v1/jobs"]


def test_an_action_that_nobody_can_ask_for_does_not_exist() -> None:
    asked = {one.action for one in endpoints()} | {Action(kind) for kind in KINDS}
    assert set(Action) == asked - {None}


@pytest.mark.parametrize("about", [ALICE, BOB, MIND])
@pytest.mark.parametrize("role", Role)
def test_every_role_on_every_endpoint(host: Served, role: Role, about: AgentName) -> None:
    who = WHO[role]
    client = host.tcp(role, who if role is Role.AGENT else None)
    job = a_job(host.host, about)
    for endpoint in endpoints():
        if endpoint.action is None or endpoint.path.endswith("/live"):
            continue
        path = filled(endpoint, about, job)
        said = client.ask(endpoint.method, path, body_of(endpoint, path))
        itself = who is not None and (
            endpoint.of == "itself" or (endpoint.of != "all" and who == about)
        )
        allowed = may(role, endpoint.action, itself=itself)
        refused = said.status == 403
        assert refused is not allowed, (role, endpoint, about, said.status, said.body)
        assert said.status != 401
        assert said.status < 500, (endpoint, said.body)
        if refused:
            assert said.code == "not-allowed"


def body_of(endpoint: Endpoint, path: str) -> Any:  # noqa: ANN401 - JSON
    if endpoint.method == "PATCH":
        return {"settings": ["nonsense=1"]}
    return BODIES.get(path, {} if endpoint.has_body else None)


@pytest.mark.parametrize("role", Role)
def test_every_role_asks_for_every_kind_of_job(host: Served, role: Role) -> None:
    client = host.tcp(role, WHO[role] if role is Role.AGENT else None)
    for kind in sorted(KINDS):
        for about in (ALICE, BOB, MIND):
            agent = None if kind in FLEET_WIDE else about
            asked = {"kind": kind, "agent": agent, "rev": "0" * 40, "node": "-"}
            said = client.post("/jobs", asked)  # the node is none: nothing is ever accepted
            allowed = may(role, Action(kind), itself=agent is not None and agent == WHO[role])
            assert said.status == (422 if allowed else 403), (role, kind, about, said.body)


@pytest.mark.parametrize("who", [MIND, ALICE])
def test_who_opens_an_agents_socket_is_that_agent(host: Served, who: AgentName) -> None:
    said = host.agent(who).get("/whoami").json
    assert (said["name"], said["agent"]) == (who, who)
    assert said["role"] == ("manager" if who == MIND else "agent")


def test_a_token_does_not_make_more_of_who_comes_by_a_socket(host: Served) -> None:
    strong = host.tcp(Role.OPERATOR).token
    client = Client(host.host.layout.socket(ALICE), token=strong)
    assert client.get("/whoami").json["role"] == "agent"
    assert client.get("/jobs").status == 403


def test_a_manager_withdraws_its_own_proposal_alone(host: Served) -> None:
    mind = host.agent(MIND)
    own, other = a_job(host.host, BOB, "hm1nd"), a_job(host.host, BOB, "root")
    assert mind.post(f"/jobs/{own}/withdraw").code == "illegal-move"
    assert mind.post(f"/jobs/{other}/withdraw").code == "not-allowed"


def test_who_may_do_nothing_with_jobs_does_not_learn_which_there_are(host: Served) -> None:
    alice = host.agent(ALICE)
    job = a_job(host.host, BOB, "who")
    for number in (job, 4711):
        assert alice.get(f"/jobs/{number}/logs").status == 403


def test_a_manager_rebuilds_others_and_never_all(host: Served) -> None:
    assert reach(Role.MANAGER, Action.REBUILD) == "others"
    assert host.agent(MIND).post("/jobs", {"kind": "rebuild"}).code == "not-allowed"


@pytest.mark.parametrize("said", [None, "", "hive_1_x", "Basic eDp5"])
def test_over_tcp_nothing_is_told_without_a_token(host: Served, said: str | None) -> None:
    client = Client(port=host.port, token=said)
    for endpoint in endpoints():
        answer = client.ask(endpoint.method, filled(endpoint, ALICE, 1))
        assert (answer.status, answer.code) == (401, "no-token"), endpoint
        assert answer.headers["www-authenticate"] == "Bearer"
