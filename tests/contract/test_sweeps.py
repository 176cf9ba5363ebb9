"""Sweeps on a pretend host: what differs is seen, mended by one job each, and told once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from hive.adapters.files import Files
from hive.domain.agent import Desired
from hive.domain.crash import LIMIT, Crash
from hive.domain.fullness import Fullness
from hive.domain.job import Job, JobId, JobState
from hive.domain.meta import Base
from hive.domain.names import MANAGER, AgentName
from hive.domain.roster import DEPLOYS
from hive.errors import Refused
from hive.jobs.differences import Difference
from hive.jobs.recipe import Recipe
from hive.queue.report import report
from hive.queue.schedules import Schedules
from hive.queue.submit import Submitted
from hive.service import agents, jobs, lifecycle, sweeps
from hive.service.lifecycle import Asked
from hive.steps.look import candidate
from hive.steps.running import Running
from hive.store import agents as rows
from hive.store import crashes, events, logs, messages, workers
from hive.store.tables import JobRow, ScheduleRow
from tests.databases import migrated
from tests.pretend import ALICE, BOB, Moulds, Pretend

ME = Asked("ann")
HM1ND = AgentName(MANAGER)
WEEK = timedelta(days=7)


@pytest.fixture
def pretend(moulds: Moulds) -> Iterator[Pretend]:
    """alice runs; there is no manager."""
    with moulds.a_host() as pretend:
        pretend.before(Running)
        migrated(pretend.host.database)
        spawned(pretend, ALICE)
        yield pretend


def spawned(pretend: Pretend, name: AgentName) -> None:
    job = agents.spawn(pretend.host, name, requested_by="ann").job
    assert jobs.run(pretend.host, job.id).state is JobState.SUCCEEDED


def done(pretend: Pretend, ask: Callable[..., Submitted], *words: object) -> None:
    job = ask(pretend.host, *words, ME).job
    assert jobs.run(pretend.host, job.id).state is JobState.SUCCEEDED


def swept(pretend: Pretend) -> list[tuple[str, str | None]]:
    """A sweep, and all that it has enqueued; the kind of job for each agent but the manager."""
    job = sweeps.sweep(pretend.host, ME).job
    ended = jobs.run(pretend.host, job.id)
    assert ended.state is JobState.SUCCEEDED, ended.error
    assert ended.result
    found = [(one["agent"], one["job"]) for one in ended.result["differ"]]
    return [each for each in found if each[0] != MANAGER]


def planned(pretend: Pretend) -> list[Difference]:
    """But for the manager."""
    found = sweeps.planned(pretend.host).survey.differences
    return [one for one in found if one.agent != MANAGER]


def state(pretend: Pretend, name: AgentName = ALICE) -> str:
    return agents.show(pretend.host, name).state


def told(pretend: Pretend, kind: str) -> int:
    with pretend.host.database.read() as session:
        return len(events.behind(session, kind=kind))


def end(pretend: Pretend, name: AgentName = ALICE) -> None:
    """As a crash does, or a reboot."""
    pid = pretend.world().systemd.unit(name.container).main_pid
    assert pid
    os.kill(pid, 9)
    assert pretend.world().systemd.unit(name.container).state == "failed"


def crash(pretend: Pretend, number: int, ago: timedelta = timedelta(0)) -> None:
    at = pretend.host.clock.now() - ago
    with pretend.host.database.write() as session:
        crashes.note(session, Crash(pretend.host.node, ALICE, f"{number}", at, "signal", "9", ""))


def test_where_nothing_differs_nothing_is_done(pretend: Pretend) -> None:
    assert planned(pretend) == []
    assert swept(pretend) == []
    assert swept(pretend) == []


def test_a_manager_that_is_missing_is_made(pretend: Pretend) -> None:
    (found,) = sweeps.planned(pretend.host).survey.differences
    assert (found.agent, found.kind) == (MANAGER, "spawn")
    swept(pretend)
    assert state(pretend, HM1ND) == "active"
    assert planned(pretend) == []


def test_a_manager_that_could_not_be_made_is_not_tried_for_ever(pretend: Pretend) -> None:
    pretend.host.layout.conf(HM1ND.container).mkdir(parents=True)  # nothing can be written there
    swept(pretend)
    (found,) = sweeps.planned(pretend.host).survey.differences
    assert found.kind is None
    assert "could not make one" in found.because
    swept(pretend)
    assert told(pretend, "agent.failed") == 1


def test_what_went_down_is_started_again(pretend: Pretend) -> None:
    end(pretend)
    assert swept(pretend) == [("alice", "start")]
    assert state(pretend) == "active"


def test_what_an_operator_stopped_stays_stopped(pretend: Pretend) -> None:
    done(pretend, lifecycle.stop, ALICE)
    assert swept(pretend) == []
    assert state(pretend) == "inactive"


def test_what_somebody_started_by_hand_is_stopped_where_that_is_wanted(pretend: Pretend) -> None:
    done(pretend, lifecycle.stop, ALICE)
    pretend.world().systemd.start(ALICE.container)
    assert swept(pretend) == [("alice", "stop")]
    assert state(pretend) == "inactive"


def test_what_shall_not_start_by_itself_does_not(pretend: Pretend) -> None:
    lifecycle.change(pretend.host, ALICE, ME, ["autostart=no"])
    end(pretend)
    conf_changed(pretend)
    assert swept(pretend) == []
    assert state(pretend) == "failed"


def test_after_a_reboot_all_that_should_run_does(pretend: Pretend) -> None:
    spawned(pretend, BOB)
    done(pretend, lifecycle.stop, BOB)
    layout = pretend.host.layout
    pretend.world().systemd.stop(ALICE.container)  # as the host does
    shutil.rmtree(layout.run)
    shutil.rmtree(layout.drop_in(ALICE.container).parent)
    assert swept(pretend) == [("alice", "start")]
    assert state(pretend) == "active"
    assert state(pretend, BOB) == "inactive"
    assert layout.drop_in(ALICE.container).exists()
    assert swept(pretend) == []


def test_a_start_after_a_reboot_takes_three_programs(pretend: Pretend) -> None:
    """A look at the unit before it and one behind it: what meta says is known by then."""
    pretend.world().systemd.stop(ALICE.container)
    shutil.rmtree(pretend.host.layout.run)
    shutil.rmtree(pretend.host.layout.drop_in(ALICE.container).parent)
    swept(pretend)
    (start,) = jobs.listed(pretend.host, kind="start")
    with pretend.host.database.read() as session:
        said = [line.text for line in logs.of(session, start.job.id) if line.stream == "$"]
    assert [" ".join(line.split()[:2]) for line in said] == [
        "systemctl show", "systemctl start", "systemctl show",
    ]  # fmt: skip


def test_a_host_that_was_off_for_a_week_is_swept_once_and_starts_a_few_at_a_time(
    pretend: Pretend,
) -> None:
    spawned(pretend, BOB)
    spawned(pretend, HM1ND)
    names = (ALICE, BOB, HM1ND)
    for name in names:
        pretend.world().systemd.stop(name.container)  # as the host does
    shutil.rmtree(pretend.host.layout.run)
    with pretend.host.database.write() as session:
        session.execute(update(ScheduleRow).values(since=pretend.host.clock.now() - WEEK))
    for _ in range(3):
        Schedules(pretend.host).run_once(pretend.host.clock.now())
    (sweep,) = (view.job for view in jobs.listed(pretend.host, kind="reconcile"))
    assert len(jobs.listed(pretend.host, kind="prune")) == 1
    ended = jobs.run(pretend.host, sweep.id)
    assert ended.state is JobState.SUCCEEDED
    with pretend.host.database.read() as session:
        at_once = session.scalar(select(JobRow.at_once).where(JobRow.id == sweep.id))
    assert at_once == pretend.world().starts + pretend.world().builds
    children = jobs.children(pretend.host, sweep.id)
    assert sorted((f"{view.job.agent}", view.job.kind) for view in children) == sorted(
        (f"{name}", "start") for name in names
    )
    assert {state(pretend, name) for name in names} == {"active"}
    assert planned(pretend) == []


def limits_lost(pretend: Pretend) -> None:
    shutil.rmtree(pretend.host.layout.drop_in(ALICE.container).parent)
    pretend.world().systemd.daemon_reload()


def runtime_lost(pretend: Pretend) -> None:
    shutil.rmtree(pretend.host.layout.runtime(ALICE))


def notes_lost(pretend: Pretend) -> None:
    shutil.rmtree(pretend.host.layout.home(ALICE) / "state")


def login_open(pretend: Pretend) -> None:
    (pretend.host.layout.home(ALICE) / "claude").chmod(0o755)


def conf_changed(pretend: Pretend) -> None:
    conf = pretend.host.layout.conf(ALICE.container)
    conf.write_text(conf.read_text().replace("PRIVATE_NETWORK=0", "PRIVATE_NETWORK=1"))


def root_of_the_host(pretend: Pretend) -> None:
    conf = pretend.host.layout.conf(ALICE.container)
    conf.write_text(conf.read_text().replace("PRIVATE_USERS=pick", "PRIVATE_USERS=no"))


def conf_gone(pretend: Pretend) -> None:
    pretend.host.layout.conf(ALICE.container).unlink()


def profile_moved(pretend: Pretend) -> None:
    profile = pretend.host.layout.profile(ALICE.container)
    profile.unlink()
    profile.symlink_to("/nix/store/elsewhere")


def closure_gone(pretend: Pretend) -> None:
    shutil.rmtree(pretend.host.layout.gcroots / ALICE)


def system_moved(pretend: Pretend) -> None:
    """The running one was switched to another, by hand."""
    world = pretend.world()
    profile = world.layout.profile(ALICE.container)
    was = profile.readlink()
    leader = world.containers.booted(world.systemd.unit(ALICE.container).main_pid)
    assert leader
    assert leader.system
    store = pretend.state / "sim" / "store"
    other = next(path for path in store.glob("*") if path.name != leader.system.name)
    pid = world.systemd.unit(ALICE.container).main_pid
    children = (world.layout.proc / f"{pid}/task/{pid}/children").read_text().split()
    link = world.layout.proc / children[0] / "root/run/current-system"
    link.unlink()
    link.symlink_to(other)
    assert profile.readlink() == was


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (limits_lost, "limit"), (runtime_lost, "restart"), (notes_lost, "restart"),
        (login_open, "start"), (conf_changed, "rebuild"), (root_of_the_host, "rebuild"),
        (conf_gone, "rebuild"), (profile_moved, "start"), (closure_gone, "rebuild"),
        (system_moved, "start"),
    ],
)  # fmt: skip
def test_what_was_damaged_is_mended_by_one_job(
    pretend: Pretend, damage: Callable[[Pretend], None], kind: str
) -> None:
    damage(pretend)
    (found,) = planned(pretend)
    assert (found.agent, found.kind) == (ALICE, kind), found.because
    assert swept(pretend) == [("alice", kind)]
    assert planned(pretend) == []
    assert state(pretend) == "active"


def test_a_look_changes_nothing(pretend: Pretend) -> None:
    conf_changed(pretend)
    text = pretend.host.layout.conf(ALICE.container).read_text()
    assert [one.kind for one in planned(pretend)] == ["rebuild"]
    assert pretend.host.layout.conf(ALICE.container).read_text() == text
    assert [view.job.kind for view in jobs.listed(pretend.host)] == ["spawn"]


def test_the_number_of_programs_does_not_grow_with_the_agents(pretend: Pretend) -> None:
    def programs() -> int:
        pretend.started.clear()
        world = pretend.world()
        host = replace(pretend.host, world=lambda *_: world)
        assert [
            each for each in sweeps.planned(host).survey.differences if each.agent == ALICE
        ] == []
        return len(pretend.started)

    few = programs()
    spawned(pretend, BOB)
    spawned(pretend, HM1ND)
    assert programs() == few <= 5


def test_what_is_under_way_is_left_to_it(pretend: Pretend) -> None:
    conf_changed(pretend)
    lifecycle.rebuild(pretend.host, ALICE, ME)
    assert planned(pretend) == []


def test_what_crashes_waits_longer_each_time_and_is_given_up_in_the_end(pretend: Pretend) -> None:
    end(pretend)
    waits = []
    for number in range(LIMIT):
        (found,) = planned(pretend)
        assert found.kind == "start"
        waits.append(found.wait)
        crash(pretend, number)
    assert waits == sorted(waits)
    assert waits[0] == timedelta(0) < waits[-1]
    (found,) = planned(pretend)
    assert found.kind is None
    assert found.gives_up
    swept(pretend)
    assert agents.show(pretend.host, ALICE).failed_at
    assert told(pretend, "agent.failed") == 1
    assert swept(pretend) == []
    assert told(pretend, "agent.failed") == 1
    done(pretend, lifecycle.start, ALICE)
    assert agents.show(pretend.host, ALICE).failed_at is None
    assert state(pretend) == "active"


def test_crashes_of_long_ago_do_not_count(pretend: Pretend) -> None:
    for number in range(LIMIT):
        crash(pretend, number, timedelta(minutes=11))
    end(pretend)
    assert swept(pretend) == [("alice", "start")]


def test_a_start_that_waits_is_due_when_an_operator_asks(pretend: Pretend) -> None:
    for number in range(LIMIT - 1):
        crash(pretend, number)
    end(pretend)
    job = sweeps.sweep(pretend.host, ME).job
    jobs.run(pretend.host, job.id, until=lambda: bool(jobs.children(pretend.host, job.id)))
    started = lifecycle.start(pretend.host, ALICE, ME)
    assert not started.is_new
    assert started.job.run_at is None
    assert jobs.run(pretend.host, started.job.id).state is JobState.SUCCEEDED


def test_what_a_sweep_could_not_mend_is_told_and_left_to_an_operator(pretend: Pretend) -> None:
    init = pretend.world().files.link(pretend.host.layout.profile(ALICE.container))
    assert init
    end(pretend)
    root = pretend.host.layout.root(ALICE.container)
    shutil.rmtree(root)
    root.write_text("not a folder")
    host = replace(pretend.host, failure_limit=1)
    pretend.host = host
    assert swept(pretend) == [("alice", "start")]
    assert swept(pretend) == [("alice", None)]
    assert told(pretend, "agent.failed") == 1
    root.unlink()
    root.mkdir()
    done(pretend, lifecycle.rebuild, ALICE)
    assert swept(pretend) == []


def cannot_start(pretend: Pretend) -> None:
    root = pretend.host.layout.root(ALICE.container)
    shutil.rmtree(root)
    root.write_text("not a folder")
    pretend.host = replace(pretend.host, failure_limit=1)


def test_what_crashes_and_cannot_be_started_is_given_up_however_slowly(pretend: Pretend) -> None:
    end(pretend)
    crash(pretend, 0)
    cannot_start(pretend)
    assert swept(pretend) == [("alice", "start")]
    crash(pretend, 1)  # as the watch tells of the start that failed
    assert swept(pretend) == [("alice", None)]
    assert swept(pretend) == []


def test_what_was_given_up_has_all_its_chances_again_when_an_operator_acts(
    pretend: Pretend,
) -> None:
    for number in range(LIMIT):
        crash(pretend, number)
    end(pretend)
    assert swept(pretend) == [("alice", None)]
    done(pretend, lifecycle.start, ALICE)
    end(pretend)
    crash(pretend, LIMIT)
    assert swept(pretend) == [("alice", "start")]
    assert state(pretend) == "active"


def test_what_is_down_is_started_though_something_is_queued_for_it(pretend: Pretend) -> None:
    spawned(pretend, HM1ND)
    lifecycle.rebuild(pretend.host, ALICE, ME)  # which waits, as for room on a disk
    with pretend.host.database.write() as session:
        workers.set_disk(session, pretend.host.node, Fullness.CRITICAL)
    end(pretend)
    assert swept(pretend) == [("alice", "start")]
    assert state(pretend) == "active"
    assert planned(pretend) == []


@pytest.mark.parametrize("kind", ["limit", "tidy"])
def test_what_could_not_be_done_beside_is_not_tried_at_each_sweep(
    pretend: Pretend, kind: str
) -> None:
    if kind == "limit":
        limits_lost(pretend)
        pretend.host.layout.drop_in(ALICE.container).parent.write_text("not a folder")
    else:
        (pretend.host.layout.scratch / ALICE).symlink_to("/proc/self")
        pretend.host.layout.scratch.chmod(0o500)
    pretend.host = replace(pretend.host, failure_limit=1)
    assert swept(pretend) == [("alice", kind)]
    assert [one.job.state for one in jobs.listed(pretend.host, kind=kind)] == [JobState.FAILED]
    for _ in range(2):
        swept(pretend)
    assert len(jobs.listed(pretend.host, kind=kind)) == 1
    assert told(pretend, "agent.failed") == (kind == "limit")


def test_a_proposal_whose_agent_has_lost_its_folder_fails(pretend: Pretend) -> None:
    rev = pretend.propose(agent_nix='{ ... }: { environment.variables.A = "1"; }')
    job = lifecycle.propose(pretend.host, ALICE, rev, ME).job
    assert jobs.run(pretend.host, job.id).state is JobState.WAITING
    shutil.rmtree(pretend.host.layout.home(ALICE))
    assert sweeps.planned(pretend.host).survey.orphans == (job.id,)
    swept(pretend)
    ended = jobs.show(pretend.host, job.id).job
    assert ended.state is JobState.FAILED
    assert ended.error
    assert ended.error.message == "agent state dir missing"


def test_a_container_that_nobody_knows_is_told_of_once_and_left_alone(pretend: Pretend) -> None:
    stray = pretend.host.layout.conf(AgentName("stray").container)
    stray.write_text("PRIVATE_NETWORK=0\n")
    pretend.host.layout.conf_dir.joinpath("web.conf").write_text("")  # an operator's own
    for _ in range(2):
        assert swept(pretend) == []
    assert told(pretend, "container.unknown") == 1
    assert stray.read_text() == "PRIVATE_NETWORK=0\n"


def test_what_stands_on_an_older_base_is_told_to_the_manager_once(pretend: Pretend) -> None:
    spawned(pretend, HM1ND)
    done(pretend, lambda host, asked: lifecycle.update_base(host, asked))
    assert swept(pretend) == []
    assert told(pretend, "agent.needs-update") == 0
    newer = Base("base-new", "path:/newer", "path:/newer")
    text = f'{{"job": 1, "base": {{"label": "{newer.label}", "url": "{newer.url}", "origin": ""}}}}'
    pretend.host.layout.wanted_base.write_text(text)
    for _ in range(2):
        assert swept(pretend) == []
    assert told(pretend, "agent.needs-update") == 2, "alice and the manager"
    with pretend.host.database.read() as session:
        found = messages.listed(session, pretend.host.node, MANAGER, limit=100)
    assert {one.topic for one in found} >= {"needs_update"}


def test_applied_that_names_another_commit_is_told_and_not_deployed(pretend: Pretend) -> None:
    pretend.deploy_next(agent_nix='{ ... }: { environment.variables.A = "1"; }')
    for _ in range(2):
        assert swept(pretend) == []
    assert told(pretend, "agent.diverged") == 1


def test_what_finished_jobs_have_left_is_tidied_up(pretend: Pretend) -> None:
    layout = pretend.host.layout
    (layout.scratch / ALICE / "build").mkdir(parents=True)
    assert swept(pretend) == [("alice", "tidy")]
    assert not (layout.scratch / ALICE).exists()
    main = pretend.refs(pretend.meta)["refs/heads/main"]
    pretend.git(pretend.meta, "update-ref", candidate(ALICE), main)
    assert swept(pretend) == [("alice", "tidy")]
    assert candidate(ALICE) not in pretend.refs(pretend.meta)
    assert swept(pretend) == []


def test_the_closures_of_the_last_deploys_are_kept(pretend: Pretend) -> None:
    for number in range(DEPLOYS):
        rev = pretend.propose(agent_nix=f'{{ ... }}: {{ environment.variables.A = "{number}"; }}')
        job = lifecycle.propose(pretend.host, ALICE, rev, ME, approved=True).job
        assert jobs.run(pretend.host, job.id).state is JobState.SUCCEEDED
    roots = pretend.host.layout.gcroots / ALICE
    assert len(list(roots.iterdir())) == DEPLOYS + 1
    before = {root.readlink() for root in roots.iterdir()}
    assert swept(pretend) == [("alice", "tidy")]
    assert len(list(roots.iterdir())) == DEPLOYS
    first = before - {root.readlink() for root in roots.iterdir()}
    spawn = jobs.show(pretend.host, JobId(1)).job
    assert spawn.result
    assert first == {Path(spawn.result["system"])}
    assert swept(pretend) == []


def more_roots(pretend: Pretend, *, of: str) -> None:
    """As deploys leave them that change no file of the system, or that the database forgot."""
    (root, *_) = (pretend.host.layout.gcroots / ALICE).iterdir()
    system = root.readlink() if of == "recorded" else root.readlink().with_name("forgotten")
    for number in range(DEPLOYS + 1):
        root.with_name(f"{number:016}").symlink_to(system)


def test_many_roots_of_one_closure_are_no_litter(pretend: Pretend) -> None:
    more_roots(pretend, of="recorded")
    for _ in range(2):
        assert swept(pretend) == []


def test_what_the_database_has_forgotten_is_kept_and_not_tidied_for_ever(pretend: Pretend) -> None:
    more_roots(pretend, of="forgotten")
    with pretend.host.database.write() as session:
        session.execute(update(JobRow).values(result=None))
    for _ in range(2):
        assert swept(pretend) == []


def test_one_agent_that_cannot_be_looked_at_spoils_no_other(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawned(pretend, BOB)
    limits_lost(pretend)
    home = pretend.host.layout.home(BOB)

    def read(self: Files, path: Path) -> str | None:
        if "h-bob" in path.name:
            raise Refused("a trap", code="in-the-way")
        return path.read_text() if path.exists() else None

    monkeypatch.setattr(Files, "read", read)
    found = {one.agent: (one.kind, one.because) for one in planned(pretend)}
    assert found[ALICE][0] == "limit"
    assert found[BOB] == (None, "a trap")
    assert home.exists()
    for _ in range(2):
        swept(pretend)
    assert told(pretend, "agent.unseen") == 1


def test_an_applied_repo_that_cannot_be_read_spoils_no_other(pretend: Pretend) -> None:
    spawned(pretend, BOB)
    (pretend.applied(BOB) / ".git" / "reftable").mkdir()
    limits_lost(pretend)
    assert swept(pretend) == [("alice", "limit")]
    assert told(pretend, "agent.diverged") == 1


def test_an_agent_that_was_destroyed_since_the_look_is_not_made_anew(pretend: Pretend) -> None:
    conf_changed(pretend)
    job = sweeps.sweep(pretend.host, ME).job
    gone: list[JobId] = []

    def destroyed() -> None:
        """Asked for before the rebuild is, it ends before that begins."""
        gone.append(lifecycle.destroy(pretend.host, ALICE, ME).job.id)

    host = replace(pretend.host, recipe=lambda of: _with(pretend, of, destroyed))
    jobs.run(host, job.id, until=lambda: bool(jobs.children(pretend.host, job.id)))
    for child in (
        *gone,
        *(one.job.id for one in jobs.children(pretend.host, job.id) if one.job.agent == ALICE),
    ):
        jobs.run(pretend.host, child)
    assert not pretend.host.layout.conf(ALICE.container).exists()
    (rebuild,) = (view.job for view in jobs.listed(pretend.host, kind="rebuild"))
    assert rebuild.error
    assert (rebuild.state, rebuild.error.code) == (JobState.FAILED, "agent-destroyed")


def test_an_agent_that_an_operator_acts_on_since_the_look_is_not_given_up(
    pretend: Pretend,
) -> None:
    for number in range(LIMIT):
        crash(pretend, number)
    end(pretend)
    started: list[JobId] = []

    def start() -> None:
        started.append(lifecycle.start(pretend.host, ALICE, ME).job.id)

    job = sweeps.sweep(pretend.host, ME).job
    host = replace(pretend.host, recipe=lambda of: _with(pretend, of, start))
    assert jobs.run(host, job.id).state is JobState.SUCCEEDED
    assert jobs.run(pretend.host, started[0]).state is JobState.SUCCEEDED
    assert agents.show(pretend.host, ALICE).failed_at is None
    assert told(pretend, "agent.failed") == 0


def _with(pretend: Pretend, of: Job, act: Callable[[], object]) -> Recipe:
    """The database is read, and then something happens."""
    recipe = pretend.host.recipe(of)
    if of.kind == "reconcile":
        act()
    return recipe


def test_a_report_is_told_to_whoever_was_not_told(pretend: Pretend) -> None:
    found = sweeps.planned(pretend.host).survey
    assert found.reports == ()
    stray = pretend.host.layout.conf(AgentName("stray").container)
    stray.write_text("")
    (said,) = sweeps.planned(pretend.host).survey.reports
    now = pretend.host.clock.now()
    with pretend.host.database.write() as session:
        assert report(session, pretend.host.node, said, now=now)
    with pretend.host.database.write() as session:
        assert not report(session, pretend.host.node, said, now=now)


def test_an_agent_that_was_stopped_since_the_look_is_not_started(pretend: Pretend) -> None:
    end(pretend)
    job = sweeps.sweep(pretend.host, ME).job
    jobs.run(pretend.host, job.id, until=lambda: bool(jobs.children(pretend.host, job.id)))
    with pretend.host.database.write() as session:
        now = pretend.host.clock.now()
        rows.set_desired(session, pretend.host.node, ALICE, Desired.STOPPED, now=now)
    for child in jobs.children(pretend.host, job.id):
        jobs.run(pretend.host, child.job.id)
    assert state(pretend) != "active"
