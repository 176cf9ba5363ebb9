"""Which events a notifier is called for, and what cannot be one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hive.domain.event import Event
from hive.domain.names import NodeName
from hive.domain.notifier import Notifier, NotifierName, address_of, checked, split
from hive.errors import Refused

ONE = Notifier(NotifierName("ops"), NodeName("here"), ("job.fail",), command=("/bin/true",))
SECRET = "hunter2"


def an_event(kind: str) -> Event:
    return Event(7, datetime(2031, 4, 5, tzinfo=UTC), kind, NodeName("here"), None, None, {})


@pytest.mark.parametrize(
    ("glob", "kind", "wants"),
    [
        ("job.fail", "job.fail", True),
        ("job.fail", "job.failed", False),
        ("job.fail", "a.job.fail", False),
        ("job.fail", "jobxfail", False),
        ("job.*", "job.end-cancelled", True),
        ("job.*", "job", False),
        ("*", "anything", True),
        ("*.crash", "agent.crash", True),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abde", False),
    ],
)
def test_a_star_stands_for_any_letters_and_nothing_else_for_others(
    glob: str, kind: str, wants: bool
) -> None:
    assert replace(ONE, kinds=(glob,)).wants(an_event(kind)) is wants


def test_one_of_several_kinds_is_enough() -> None:
    assert replace(ONE, kinds=("x", "job.*")).wants(an_event("job.fail"))


def test_kinds_are_said_with_commas_or_again_and_again() -> None:
    assert split(["a,b", " c ,a", ""]) == ("a", "b", "c")


@pytest.mark.parametrize(
    "so",
    [
        {"command": None},
        {"url": "http://host/"},
        {"kinds": ()},
        {"kinds": ("job.[a]",)},
        {"kinds": ("Job.fail",)},
        {"command": ("bin/run",)},
        {"command": None, "url_file": Path("relative")},
        {"command": None, "url": f"https://ann:{SECRET}@host/"},
    ],
)
def test_what_could_never_be_called_is_refused_and_not_quoted(so: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        checked(replace(ONE, **so))  # type: ignore[arg-type]  # fields of a notifier
    assert refused.value.code == "bad-notifier"
    assert SECRET not in refused.value.message


def test_of_a_url_only_where_it_leads_is_said() -> None:
    assert address_of(f"https://ann:{SECRET}@ntfy.example:8443/{SECRET}?t={SECRET}") == (
        "https://ntfy.example:8443"
    )
    assert address_of(f"http://ntfy.example/{SECRET}") == "http://ntfy.example"


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://h/hunter2", "file:///hunter2", "https:///hunter2", "//h/hunter2", "h/hunter2",
        "http://h/hunter2\r\nX: 1", "http://h/hunter2 x", "http://h:port/hunter2",
        "http://h:99999/hunter2", "http://[h/hunter2", "http://h/hunter2é",
    ],
)  # fmt: skip
def test_a_url_that_is_none_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(Refused) as refused:
        address_of(url)
    assert refused.value.code == "bad-notifier-url"
    assert SECRET not in refused.value.message


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a/b", "..", "a" * 33])
def test_a_name_is_safe_in_a_path(name: str) -> None:
    with pytest.raises(Refused):
        NotifierName(name)
