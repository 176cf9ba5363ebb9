"""A page in the operator's browser reaches TCP doors too: it has nothing that it could ask with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hive.domain.authority import Role
from tests.asking import Answer, Client, Served, a_served_host
from tests.pretend import ALICE

EVIL = "http://evil.example"
STOP = {"kind": "stop", "agent": "alice"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with a_served_host(tmp_path_factory.mktemp("api")) as served:
        yield served


@pytest.fixture(autouse=True)
def nothing_is_done(served: Served) -> Iterator[None]:
    yield
    assert served.operator.get("/jobs").items == []


def lets_no_page_in(said: Answer) -> None:
    """Neither to read what is answered, nor to send what a preflight asks for."""
    assert not [name for name in said.headers if name.startswith("access-control-")]
    assert "set-cookie" not in said.headers


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "a/b"])
def test_a_form_of_a_page_is_refused(served: Served, kind: str) -> None:
    for headers in ({"Origin": EVIL}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}, {}):
        said = served.tcp(None).ask("POST", "/v1/jobs", STOP, Content_Type=kind, **headers)
        assert (said.status, said.code) == ((403, "cross-site") if headers else (401, "no-token"))
        lets_no_page_in(said)


def test_a_page_has_no_use_for_a_token_that_it_has_found(served: Served) -> None:
    client = served.tcp(Role.OPERATOR)
    for headers in (
        {"Origin": EVIL}, {"Origin": "null"}, {"Origin": f"https://127.0.0.1:{served.port + 1}"},
        {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
    ):  # fmt: skip
        said = client.ask("POST", "/v1/jobs", STOP, **headers)
        assert (said.status, said.code) == (403, "cross-site")
        lets_no_page_in(said)


def test_a_socket_that_a_page_is_led_to_refuses_it_too(served: Served) -> None:
    for client in (served.operator, served.agent(ALICE)):
        said = client.ask("POST", "/v1/jobs", STOP, Origin=EVIL)
        assert (said.status, said.code) == (403, "cross-site")


def test_a_preflight_is_told_nothing(served: Served) -> None:
    asks = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "x"}
    for client in (served.tcp(None), served.tcp(Role.OPERATOR)):
        said = client.ask("OPTIONS", "/v1/jobs", None, Origin=EVIL, **asks)
        assert said.status == 403
        lets_no_page_in(said)


def test_a_name_that_is_bound_anew_to_this_host_brings_no_authority(served: Served) -> None:
    """To the browser it is the page's own place; but no cookie is taken, and it has no token."""
    own = f"evil.example:{served.port}"
    for method, path in (("GET", "/v1/agents"), ("POST", "/v1/jobs"), ("GET", "/v1/events/live")):
        body = STOP if method == "POST" else None
        headers = {"Host": own, "Origin": f"http://{own}", "Sec_Fetch_Site": "same-origin"}
        said = served.tcp(None).ask(method, path, body, **headers)
        assert (said.status, said.code) == (401, "no-token")
        lets_no_page_in(said)


def test_what_a_browser_brings_by_itself_is_no_token(served: Served) -> None:
    token = served.tcp(Role.OPERATOR).token
    nobody = Client(port=served.port)
    for headers in (
        {"Cookie": f"token={token}"}, {"Cookie": f"Authorization=Bearer {token}"},
        {"Authorization": f"Basic {token}"}, {"Authorization": f"Digest {token}"},
    ):  # fmt: skip
        assert nobody.ask("POST", "/v1/jobs", STOP, **headers).code == "no-token"
    for asked in (f"token={token}", f"access_token={token}", f"authorization=Bearer%20{token}"):
        assert nobody.ask("POST", f"/v1/jobs?{asked}", STOP).code == "no-token"


def test_what_is_said_to_one_who_may_lets_no_page_in_either(served: Served) -> None:
    said = served.tcp(Role.VIEWER).ask("GET", "/v1/agents", None, Sec_Fetch_Site="none")
    assert said.status == 200
    lets_no_page_in(said)
