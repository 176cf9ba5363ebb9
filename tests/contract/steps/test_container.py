"""The container of an agent, on a pretend host whose processes are real."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typing_extensions import override

from hive.adapters.systemd import Unit
from hive.domain import conf
from hive.domain.agent import AgentSettings
from hive.domain.ports import port_of
from hive.domain.target import AppliedMain
from hive.errors import CommandFailed, Refused, Transient
from hive.steps.closure import Built
from hive.steps.container import Defined, Limited, ProfileSet
from hive.steps.meta import CandidatePinned
from hive.steps.running import Ready, Restarted, Restarts, Running, Stopped, settled
from hive.steps.step import Differs, Holds
from hive.testing import FakeClock
from tests.pretend import ALICE, Pretend

CONTAINER = ALICE.container
NEXT = '{ ... }: { systemd.services.x.environment.NEXT = "1"; }\n'


def a_conf(pretend: Pretend) -> Path:
    return pretend.host.layout.conf(CONTAINER)


def unit(pretend: Pretend) -> Unit:
    return pretend.world().systemd.unit(CONTAINER)


def switch_profile(pretend: Pretend) -> None:
    """The profile is another closure than the one that runs."""
    pretend.deploy_next(agent_nix=NEXT)
    pretend.run(*(pretend.step(kind) for kind in (CandidatePinned, Built, ProfileSet)))


def replace_program(pretend: Pretend, name: str, script: str) -> None:
    """Until the next world is made: each puts its programs right."""
    program = pretend.state / "sim" / "bin" / name
    real = program.rename(program.with_name(f"real-{name}"))
    program.write_text(f"#!/bin/sh\nreal={real}\n{script}\n")
    program.chmod(0o755)


# Defined


def test_a_container_is_created_once_and_defined_as_hive_wants_it(pretend: Pretend) -> None:
    step = pretend.before(Defined)
    assert pretend.finds(step) == Differs("h-alice was never created")
    pretend.started.clear()
    pretend.run(step)
    assert len([line for line in pretend.started if line.startswith("nixos-container")]) == 1
    found = conf.read(a_conf(pretend).read_text())
    wanted = conf.owned(ALICE, pretend.host.layout, privileged=False)
    assert wanted.items() <= found.items()
    assert found["AUTO_START"] == "0"


def test_a_defined_container_costs_no_program(pretend: Pretend) -> None:
    step = pretend.after(Defined)
    assert pretend.cost(step) == 0


def test_a_conf_that_drifted_is_put_right_and_foreign_lines_are_kept(pretend: Pretend) -> None:
    step = pretend.after(Defined)
    text = a_conf(pretend).read_text()
    drifted = text.replace("PRIVATE_NETWORK=0", "PRIVATE_NETWORK=1")
    a_conf(pretend).write_text(f"# a note\nMINE=yes\n{drifted}")
    assert pretend.run(step).applied == ["Defined"]
    lines = a_conf(pretend).read_text().splitlines()
    assert lines[:2] == ["# a note", "MINE=yes"]
    assert "PRIVATE_NETWORK=0" in lines
    assert "PRIVATE_NETWORK=1" not in lines


def test_a_half_made_container_is_finished_and_never_created_again(pretend: Pretend) -> None:
    step = pretend.before(Defined)
    world = pretend.world()
    replace_program(pretend, "nix-env", "exit 1")
    with pytest.raises(CommandFailed):
        step.apply(world)
    assert a_conf(pretend).exists()
    pretend.started.clear()
    pretend.run(step, pretend.step(ProfileSet))
    assert not [line for line in pretend.started if line.startswith("nixos-container")]
    assert pretend.host.layout.root(CONTAINER).is_dir()


def test_a_root_folder_left_of_an_earlier_container_is_refused_and_kept(pretend: Pretend) -> None:
    step = pretend.before(Defined)
    left = pretend.host.layout.root(CONTAINER) / "etc"
    left.mkdir(parents=True)
    with pytest.raises(Refused, match="left of an earlier") as caught:
        pretend.run(step)
    assert caught.value.code == "leftover-root"
    assert left.is_dir()
    assert not a_conf(pretend).exists()


def test_a_root_folder_that_is_gone_is_made_again(pretend: Pretend) -> None:
    step = pretend.after(Defined)
    pretend.host.layout.root(CONTAINER).rmdir()
    assert pretend.run(step).applied == ["Defined"]


def test_defining_twice_writes_the_same_conf(pretend: Pretend) -> None:
    step = pretend.after(Defined)
    before = a_conf(pretend).read_text()
    step.apply(pretend.world())
    assert a_conf(pretend).read_text() == before
    assert pretend.holds(step)


# ProfileSet


def test_a_profile_is_set_to_the_closure(pretend: Pretend) -> None:
    step = pretend.before(ProfileSet)
    profile = pretend.host.layout.profile(CONTAINER)
    profile.unlink()
    assert isinstance(pretend.finds(step), Differs)
    pretend.run(step)
    (root,) = (pretend.host.layout.gcroots / ALICE).iterdir()
    assert profile.resolve() == root.resolve()


def test_a_profile_that_is_set_costs_two_looks_at_meta(pretend: Pretend) -> None:
    step = pretend.after(ProfileSet)
    assert pretend.cost(step) <= 2


def test_a_profile_of_another_closure_is_set_anew(pretend: Pretend) -> None:
    step = pretend.after(ProfileSet)
    profile = pretend.host.layout.profile(CONTAINER)
    before = profile.resolve()
    pretend.deploy_next(agent_nix=NEXT)
    pretend.run(pretend.step(CandidatePinned), pretend.step(Built))
    assert pretend.run(step).applied == ["ProfileSet"]
    assert profile.resolve() != before


def test_a_link_that_the_container_planted_in_its_profile_is_not_believed(
    pretend: Pretend,
) -> None:
    step = pretend.after(ProfileSet)
    profile = pretend.host.layout.profile(CONTAINER)
    system = profile.resolve()
    profile.unlink()
    profile.symlink_to("/bin")
    assert pretend.run(step).applied == ["ProfileSet"]
    assert profile.resolve() == system


def test_setting_a_profile_twice_makes_one_generation(pretend: Pretend) -> None:
    step = pretend.after(ProfileSet)
    folder = pretend.host.layout.profile(CONTAINER).parent
    before = sorted(folder.iterdir())
    step.apply(pretend.world())
    assert sorted(folder.iterdir()) == before


# Limited


def test_limits_are_written_and_read_by_systemd(pretend: Pretend) -> None:
    step = pretend.before(Limited)
    assert isinstance(pretend.finds(step), Differs)
    pretend.run(step)
    text = pretend.host.layout.drop_in(CONTAINER).read_text()
    assert text == "[Service]\nMemoryMax=2147483648\nCPUQuota=50%\n"
    assert unit(pretend).properties["MemoryMax"] == "2147483648"


def test_limits_that_are_there_cost_one_program(pretend: Pretend) -> None:
    step = pretend.after(Limited)
    assert pretend.cost(step) == 1


def test_a_drop_in_that_systemd_has_not_read_does_not_count(pretend: Pretend) -> None:
    pretend.after(Running)
    other = Limited(ALICE, AgentSettings(memory_max=1024**3, tasks_max=99))
    world = pretend.world()
    replace_program(pretend, "systemctl", "exit 1")
    with pytest.raises(CommandFailed):
        other.apply(world)
    assert pretend.finds(other) == Differs("systemd has not read the limits of h-alice")
    assert pretend.run(other).applied == ["Limited"]
    assert unit(pretend).properties["MemoryMax"] == str(1024**3)
    assert unit(pretend).properties["TasksMax"] == "99"


def test_limits_that_vanished_at_a_reboot_are_put_back(pretend: Pretend) -> None:
    step = pretend.after(Limited)
    pretend.host.layout.drop_in(CONTAINER).unlink()
    assert pretend.run(step).applied == ["Limited"]


def test_limiting_twice_is_limiting_once(pretend: Pretend) -> None:
    step = pretend.after(Limited)
    step.apply(pretend.world())
    assert pretend.holds(step)


# Running


def test_a_container_is_started_on_its_closure(pretend: Pretend) -> None:
    step = pretend.before(Running)
    assert pretend.finds(step) == Differs("h-alice is inactive")
    pretend.run(step)
    found = pretend.finds(step)
    assert isinstance(found, Holds)
    assert str(pretend.host.layout.profile(CONTAINER).resolve()) in found.because


def test_a_container_that_runs_costs_one_systemctl(pretend: Pretend) -> None:
    step = pretend.after(Running)
    pretend.cost(step)
    assert len([line for line in pretend.started if line.startswith("systemctl")]) == 1
    assert len(pretend.started) <= 3  # and two looks at meta, for what should run


def test_another_system_is_reloaded_without_a_restart(pretend: Pretend) -> None:
    step = pretend.after(Running)
    before = unit(pretend).main_pid
    switch_profile(pretend)
    found = pretend.finds(step)
    assert isinstance(found, Differs)
    assert "still runs" in found.because
    pretend.run(step)
    assert before is not None
    assert unit(pretend).main_pid == before


def test_a_conf_that_changed_since_the_start_needs_a_restart(pretend: Pretend) -> None:
    step = pretend.before(Running)
    right = a_conf(pretend).read_text()
    a_conf(pretend).write_text(right.replace("PRIVATE_NETWORK=0", "PRIVATE_NETWORK=1"))
    pretend.world().systemd.start(CONTAINER)
    before = unit(pretend).main_pid
    a_conf(pretend).write_text(right)
    assert pretend.finds(step) == Differs(
        "h-alice was started with another PRIVATE_NETWORK: a restart"
    )
    pretend.run(step)
    assert unit(pretend).main_pid not in (None, before)


def test_a_unit_that_failed_too_often_is_reset_and_started(pretend: Pretend) -> None:
    step = pretend.before(Running)
    runtime = pretend.host.layout.runtime(ALICE)
    runtime.rename(runtime.with_name("away"))
    for _ in range(6):
        with pytest.raises(Transient, match="No such file or directory") as failed:
            pretend.world().systemd.start(CONTAINER)
        assert failed.value.code == "start-failed"
    runtime.with_name("away").rename(runtime)
    assert pretend.finds(step) == Differs("h-alice is failed")
    pretend.run(step)
    assert unit(pretend).is_active


def test_a_container_whose_host_was_killed_is_started_again(pretend: Pretend) -> None:
    step = pretend.after(Running)
    pretend.world().systemd.stop(CONTAINER)
    assert pretend.run(step).applied == ["Running"]


def test_starting_what_runs_changes_nothing(pretend: Pretend) -> None:
    step = pretend.after(Running)
    before = unit(pretend).main_pid
    step.apply(pretend.world())
    assert unit(pretend).main_pid == before
    assert pretend.holds(step)


def leader_of(pretend: Pretend) -> Path:
    main = unit(pretend).main_pid
    proc = pretend.host.layout.proc
    children = (proc / str(main) / "task" / str(main) / "children").read_text()
    return proc / children.split()[0]


def test_a_container_without_a_user_namespace_is_restarted(pretend: Pretend) -> None:
    step = pretend.after(Running)
    before = unit(pretend).main_pid
    (leader_of(pretend) / "uid_map").write_text("0 0 4294967295\n")
    found = pretend.finds(step)
    assert isinstance(found, Differs)
    assert "no user namespace" in found.because
    pretend.run(step)
    assert unit(pretend).main_pid != before


def test_a_host_that_knows_no_user_namespaces_is_refused_and_the_container_stopped(
    pretend: Pretend,
) -> None:
    step = pretend.before(Running)
    world = pretend.world()
    forget = 'for map in "$HIVE_SIM_ROOT"/proc/*/uid_map; do echo "0 0 4294967295" >"$map"; done'
    replace_program(pretend, "systemctl", f'"$real" "$@" || exit; [ "$1" != start ] || {forget}')
    with pytest.raises(Refused, match="without a user namespace") as caught:
        step.apply(world)
    assert caught.value.code == "privileged"
    assert not unit(pretend).is_active


# Running, and when it restarts


def running(restarts: Restarts) -> Running:
    return Running(AppliedMain(ALICE), restarts=restarts)


def started_otherwise(pretend: Pretend) -> int | None:
    """It runs, and was started with another conf than there is now; its main process."""
    pretend.before(Running)
    right = a_conf(pretend).read_text()
    a_conf(pretend).write_text(right.replace("PRIVATE_NETWORK=0", "PRIVATE_NETWORK=1"))
    pretend.world().systemd.start(CONTAINER)
    a_conf(pretend).write_text(right)
    return unit(pretend).main_pid


@pytest.mark.parametrize(
    ("restarts", "how"),
    [
        (Restarts.AUTO, "a reload"),
        (Restarts.NEVER, "a reload"),
        (Restarts.ALWAYS, "a restart"),
    ],
)
def test_another_closure_is_taken_as_the_operator_wants(
    pretend: Pretend, restarts: Restarts, how: str
) -> None:
    pretend.after(Running)
    before, old = unit(pretend).main_pid, pretend.host.layout.profile(CONTAINER).resolve()
    switch_profile(pretend)
    step = running(restarts)
    assert pretend.finds(step) == Differs(f"h-alice still runs {old}: {how}")
    pretend.run(step)
    assert (unit(pretend).main_pid == before) is (how == "a reload")
    now = unit(pretend).main_pid
    found = pretend.finds(step)
    assert isinstance(found, Holds)
    assert str(pretend.host.layout.profile(CONTAINER).resolve()) in found.because
    assert pretend.run(step).held == ["Running"]
    assert unit(pretend).main_pid == now


def test_what_runs_as_it_should_is_not_restarted_even_always(pretend: Pretend) -> None:
    pretend.after(Running)
    before = unit(pretend).main_pid
    assert pretend.run(running(Restarts.ALWAYS)).held == ["Running"]
    assert unit(pretend).main_pid == before


def test_what_only_a_restart_changes_waits_where_none_is_wanted(pretend: Pretend) -> None:
    before = started_otherwise(pretend)
    step = running(Restarts.NEVER)
    found = pretend.finds(step)
    assert isinstance(found, Holds)
    assert "was started with another PRIVATE_NETWORK" in found.because
    switch_profile(pretend)
    pretend.run(step)
    assert unit(pretend).main_pid == before
    assert isinstance(pretend.finds(running(Restarts.AUTO)), Differs)
    pretend.run(running(Restarts.AUTO))
    assert unit(pretend).main_pid != before


def test_a_container_that_is_down_is_started_also_where_no_restart_is_wanted(
    pretend: Pretend,
) -> None:
    step = running(Restarts.NEVER)
    pretend.before(Running)
    assert pretend.run(step).applied == ["Running"]


def test_a_root_of_the_hosts_is_ended_also_where_no_restart_is_wanted(pretend: Pretend) -> None:
    pretend.after(Running)
    before = unit(pretend).main_pid
    (leader_of(pretend) / "uid_map").write_text("0 0 4294967295\n")
    step = running(Restarts.NEVER)
    found = pretend.finds(step)
    assert isinstance(found, Differs)
    assert "no user namespace" in found.because
    pretend.run(step)
    assert unit(pretend).main_pid != before


def test_a_restart_that_was_killed_between_stop_and_start_goes_on(pretend: Pretend) -> None:
    pretend.after(Running)
    switch_profile(pretend)
    pretend.world().systemd.stop(CONTAINER)
    step = running(Restarts.ALWAYS)
    assert pretend.finds(step) == Differs("h-alice is inactive")
    assert pretend.run(step).applied == ["Running"]


# Restarted


def restarted(pretend: Pretend, since: timedelta = timedelta(0)) -> Restarted:
    """It was to be restarted now, or `since` before or after."""
    return Restarted(ALICE, pretend.world().clock.now() + since)


def test_what_does_not_run_starts_anew(pretend: Pretend) -> None:
    step = restarted(pretend)
    assert pretend.finds(step) == Holds("alice is inactive: it starts anew")
    assert pretend.cost(step) == 1
    step.apply(pretend.world())
    assert pretend.holds(step)


def test_what_runs_since_before_is_stopped_once_and_then_starts_anew(pretend: Pretend) -> None:
    start = pretend.after(Running)
    before = unit(pretend).main_pid
    step = restarted(pretend, timedelta(seconds=1))
    assert isinstance(pretend.finds(step), Differs)
    assert pretend.run(step).applied == ["Restarted"]
    assert not unit(pretend).is_active
    assert pretend.run(step).held == ["Restarted"], "killed here it is not stopped again"
    step.apply(pretend.world())
    pretend.run(start)
    assert unit(pretend).main_pid not in (None, before)


def test_what_was_started_since_then_is_not_stopped(pretend: Pretend) -> None:
    step = restarted(pretend, -timedelta(hours=1))
    pretend.after(Running)
    before = unit(pretend).main_pid
    assert pretend.run(step).held == ["Restarted"]
    assert pretend.cost(step) == 1
    assert unit(pretend).main_pid == before


# Ready


def test_an_agent_is_ready_when_it_answers_as_itself(pretend: Pretend) -> None:
    step = pretend.before(Ready)
    pretend.world().systemd.stop(CONTAINER)
    found = pretend.finds(step)
    assert isinstance(found, Differs)
    assert "nobody answers" in found.because
    pretend.run(pretend.step(Running), step)


def test_an_agent_that_answers_costs_two_looks_at_meta_and_a_knock(pretend: Pretend) -> None:
    step = pretend.after(Ready)
    assert pretend.cost(step) <= 2


def test_a_container_that_runs_an_older_closure_is_not_ready(pretend: Pretend) -> None:
    step = pretend.after(Ready)
    switch_profile(pretend)
    assert isinstance(pretend.finds(step), Differs)
    pretend.run(pretend.step(Running), step)


def test_waiting_for_what_is_ready_takes_no_time(pretend: Pretend) -> None:
    step = pretend.after(Ready)
    clock = FakeClock()
    step.apply(replace(pretend.world(), clock=clock))
    assert clock.slept == []


def test_who_never_answers_is_not_ready_and_the_hint_names_the_journal(pretend: Pretend) -> None:
    step = pretend.before(Ready)
    pretend.world().systemd.stop(CONTAINER)
    with pytest.raises(Transient) as caught:
        step.apply(replace(pretend.world(), clock=Hasty()))
    assert caught.value.code == "not-ready"
    assert "journalctl" in caught.value.hint


def test_with_health_unit_an_active_unit_is_ready(pretend: Pretend) -> None:
    step = Ready(AppliedMain(ALICE))
    pretend.before(Running)
    assert pretend.finds(step) == Differs("alice is inactive")
    pretend.run(pretend.step(Running), step)


class Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Hive-Agent", "mallory")
        self.end_headers()

    @override
    def log_message(self, *said: object) -> None: ...


@contextmanager
def a_stranger_at(address: str, port: int) -> Iterator[None]:
    with HTTPServer((address, port), Stranger) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_a_stranger_on_the_port_is_named(pretend: Pretend) -> None:
    step = pretend.before(Running)
    ready = pretend.step(Ready)
    with a_stranger_at(pretend.world().address, port_of(ALICE)):
        found = pretend.finds(ready)
    assert isinstance(found, Differs)
    assert "mallory" in found.because
    assert pretend.run(step).applied == ["Running"]


# Stopped


def test_what_was_never_there_is_stopped(pretend: Pretend) -> None:
    assert pretend.cost(Stopped(ALICE)) == 1


def test_what_runs_is_stopped_and_twice_is_once(pretend: Pretend) -> None:
    pretend.after(Running)
    step = Stopped(ALICE)
    assert pretend.finds(step) == Differs("alice is active")
    assert pretend.run(step).applied == ["Stopped"]
    assert pretend.run(step).held == ["Stopped"]
    step.apply(pretend.world())
    assert pretend.holds(step)


class Hasty(FakeClock):
    """An hour passes while nobody looks."""

    @override
    def sleep(self, duration: timedelta) -> None:
        self.advance(timedelta(hours=1))


def test_a_unit_that_does_not_settle_is_told_of(pretend: Pretend) -> None:
    world = replace(pretend.world(), clock=Hasty())
    replace_program(
        pretend, "systemctl", "echo Id=container@h-alice.service; echo ActiveState=activating"
    )
    with pytest.raises(Transient) as caught:
        settled(world, CONTAINER)
    assert caught.value.code == "unit-stuck"
