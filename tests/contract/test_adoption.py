"""Whom a tree tells of, and the rows that are written of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.job import JobState
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.errors import Refused
from hive.queue import ending
from hive.service import adoption, jobs
from hive.service.lifecycle import Asked
from hive.store import agents
from tests.databases import migrated
from tests.pretend import ALICE, BOB, Pretend, a_pretend_host


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Pretend]:
    """Where alice's folders are left, with a tag of job 41; and things that are no agent's."""
    with a_pretend_host(tmp_path) as pretend:
        migrated(pretend.host.database)
        repo = pretend.applied()
        repo.mkdir(parents=True)
        (repo / "flake.nix").write_text("{ }\n")
        pretend.git(repo, "init", "--quiet", "--initial-branch=main")
        pretend.git(repo, "add", "--all")
        pretend.git(repo, "commit", "--quiet", "--message", "init")
        pretend.git(repo, "tag", "failed/41")
        (pretend.host.layout.applied_root / "Not.An.Agent").mkdir()
        (pretend.host.layout.applied_root / "empty").mkdir()
        yield pretend


def an_agent(pretend: Pretend, name: AgentName, desired: Desired = Desired.RUNNING) -> Agent:
    return Agent(pretend.host.node, name, port_of(name), desired, AgentSettings(cpu_quota=7))


def rows(pretend: Pretend) -> dict[AgentName, Agent]:
    with pretend.host.database.read() as session:
        return {row.name: row for row in agents.listed(session)}


def adopted(pretend: Pretend) -> dict[AgentName, Agent]:
    job = adoption.adopt(pretend.host, Asked("me")).job
    assert job.id > 41, "numbered above every tag"
    ended = jobs.run(pretend.host, job.id)
    assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)
    return rows(pretend)


def test_an_agent_of_which_the_folders_are_left_is_as_one_that_was_destroyed(kept: Pretend) -> None:
    assert adopted(kept)[ALICE].desired is Desired.DESTROYED
    assert list(rows(kept)) == [ALICE]
    assert "refs/tags/deployed/0" in kept.refs(kept.applied())


def test_a_row_that_is_there_says_more(kept: Pretend) -> None:
    known = an_agent(kept, ALICE, Desired.STOPPED)
    with kept.host.database.write() as session:
        agents.put(session, known, now=kept.host.clock.now())
    assert adopted(kept) == {ALICE: known}


def test_a_container_that_meta_does_not_pin_is_refused_by_its_name(kept: Pretend) -> None:
    conf = kept.host.layout.conf(ALICE.container)
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text("")
    with pytest.raises(Refused, match="h-alice") as refused:
        adoption.adopt(kept.host, Asked("me"))
    assert refused.value.code == "foreign-meta"
    assert rows(kept) == {}


def test_what_is_live_already_is_that_job(kept: Pretend) -> None:
    first, again = (adoption.adopt(kept.host, Asked("me")) for _ in range(2))
    assert (first.job.id, first.is_new, again.is_new) == (again.job.id, True, False)


def test_a_port_that_was_taken_meanwhile_leaves_the_others_their_rows(kept: Pretend) -> None:
    other = next(
        name for name in (AgentName(f"x{n}") for n in count()) if port_of(name) == port_of(ALICE)
    )
    now = kept.host.clock.now()
    with kept.host.database.write() as session:
        for name in (other, ALICE, BOB):
            ending._take_in(session, an_agent(kept, name), now)
    assert set(rows(kept)) == {other, BOB}
