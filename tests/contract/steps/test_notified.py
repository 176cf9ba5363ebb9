"""Somebody was told: by a command, or by a POST; once at least, and then no more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typing_extensions import override

from hive.adapters.files import Files
from hive.domain.job import JobId
from hive.domain.names import NodeName
from hive.domain.notifier import Notifier, NotifierName
from hive.errors import CommandFailed, HiveError, ProgramMissing, Refused, Transient
from hive.steps.notified import FAR, Notified
from tests.listener import a_listener
from tests.pretend import Pretend

EVENT = {"seq": 7, "kind": "job.fail", "job": 3, "data": {"code": "build-failed"}}
SECRET = "hunter2"


def told(seq: int = 7, job: int = 9, **way: object) -> Notified:
    name, node = NotifierName("ops"), NodeName("here")
    one = Notifier(name, node, ("*",), **way)  # type: ignore[arg-type]  # a test knows its fields
    return Notified(one, JobId(job), {**EVENT, "seq": seq})


def by_command(pretend: Pretend, script: str, **more: int) -> Notified:
    file = pretend.folder / "tell"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return told(command=(str(file), "an arg"), **more)


def calls(pretend: Pretend) -> list[str]:
    file = pretend.folder / "heard"
    return file.read_text().splitlines() if file.exists() else []


def hearing(pretend: Pretend) -> str:
    return f"cat >>{pretend.folder / 'heard'}"


def marks(pretend: Pretend) -> list[str]:
    folder = pretend.host.layout.notified / "ops"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_command_hears_the_event_on_its_stdin_once(pretend: Pretend) -> None:
    step = by_command(pretend, hearing(pretend))
    assert not pretend.holds(step)
    assert pretend.run(step).applied == ["Notified"]
    assert [json.loads(line) for line in calls(pretend)] == [EVENT]
    assert pretend.run(step).held == ["Notified"]
    assert len(calls(pretend)) == 1
    assert pretend.cost(step) == 0
    assert "job.fail" not in " ".join(pretend.started)


def test_told_twice_is_heard_twice_and_no_harm(pretend: Pretend) -> None:
    step = by_command(pretend, hearing(pretend))
    step.apply(pretend.world())
    step.apply(pretend.world())
    assert pretend.holds(step)


class Killed(Files):
    """Whoever writes here is killed right before."""

    @override
    def write(self, path: Path, text: str, *, mode: int = 0o644) -> None:
        raise KeyboardInterrupt


def test_who_is_killed_between_the_call_and_its_mark_calls_again(pretend: Pretend) -> None:
    step = by_command(pretend, hearing(pretend))
    pretend.changes["files"] = Killed()
    with pytest.raises(KeyboardInterrupt):
        pretend.run(step)
    pretend.changes.clear()
    assert pretend.run(step).applied == ["Notified"]
    assert len(calls(pretend)) == 2


def test_another_job_of_the_same_number_is_another_call(pretend: Pretend) -> None:
    """A database that was lost gives numbers again."""
    pretend.run(by_command(pretend, hearing(pretend), job=9))
    assert not pretend.holds(by_command(pretend, hearing(pretend), job=10))


def test_a_command_that_fails_leaves_no_mark_and_is_worth_another_try(pretend: Pretend) -> None:
    step = by_command(pretend, "echo ill >&2; exit 3")
    with pytest.raises(CommandFailed, match="exited 3: ill"):
        pretend.run(step)
    assert marks(pretend) == []
    assert pretend.run(by_command(pretend, hearing(pretend))).applied == ["Notified"]


def test_a_command_that_is_not_there_is_said(pretend: Pretend) -> None:
    with pytest.raises(ProgramMissing):
        pretend.run(told(command=("no-such-program",)))


def test_a_url_gets_the_event_by_a_post_once(pretend: Pretend) -> None:
    with a_listener(200) as listener:
        step = told(url=listener.url("/topic"))
        assert pretend.run(step).applied == ["Notified"]
        assert pretend.run(step).held == ["Notified"]
    assert listener.heard == [("/topic", EVENT)]


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (500, Transient, "not-delivered"),
        (503, Transient, "not-delivered"),
        (429, Transient, "not-delivered"),
        (404, Refused, "call-refused"),
        (401, Refused, "call-refused"),
        (302, Refused, "call-refused"),
    ],
)
def test_what_a_server_answers_says_whether_to_try_again(
    pretend: Pretend, status: int, kind: type[HiveError], code: str
) -> None:
    with a_listener(status) as listener, pytest.raises(kind) as raised:
        pretend.run(told(url=listener.url(f"/{SECRET}")))
    assert raised.value.code == code
    assert raised.value.message == f"http://127.0.0.1:{listener.port} answered {status}"
    assert marks(pretend) == []


def test_a_url_in_a_file_is_read_at_each_call(pretend: Pretend) -> None:
    file = pretend.folder / "url"
    step = told(url_file=file)
    with pytest.raises(Refused) as refused:
        pretend.run(step)
    assert refused.value.code == "no-url"
    with a_listener(204) as listener:
        file.write_text(f"  {listener.url(f'/{SECRET}')}\n")
        assert pretend.run(step).applied == ["Notified"]
    assert listener.heard[0][0] == f"/{SECRET}"
    assert SECRET not in " ".join(pretend.started)


def test_what_is_no_url_in_a_file_is_not_quoted(pretend: Pretend) -> None:
    file = pretend.folder / "url"
    file.write_text(f"ftp://host/{SECRET}")
    with pytest.raises(Refused) as refused:
        pretend.run(told(url_file=file))
    assert refused.value.code == "bad-notifier-url"
    assert SECRET not in refused.value.message


def test_marks_of_long_ago_are_taken_away_with_a_later_call(pretend: Pretend) -> None:
    for seq in (1, 2, 50, FAR + 50):
        pretend.run(by_command(pretend, "true", seq=seq))
    assert marks(pretend) == sorted(["50", str(FAR + 50)])


def test_the_marks_are_for_root(pretend: Pretend, tmp_path: Path) -> None:
    pretend.run(by_command(pretend, "true"))
    assert (pretend.host.layout.notified / "ops" / "7").stat().st_mode & 0o777 == 0o600
