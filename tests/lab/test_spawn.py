"""Spawn on a real host: units, user namespaces, binds and limits are systemd's and the kernel's."""

from __future__ import annotations

import json

import pytest

from tests.lab.conftest import HIVE, Lab

STATE = "/var/lib/hyperhive/agents/alice"
DROP_IN = "/run/systemd/system/container@h-alice.service.d/hyperhive-limits.conf"

#: Runs `hive spawn alice`, and kills it as soon as `{at}` is so. Between two looks it waits two
#: milliseconds, by a read of nothing: looking all the time would take one of the cores for itself.
KILLED = """
exec 3<> <(:)
{hive} spawn alice >/dev/null 2>&1 3>&- &
hive=$!
until {at}; do
    [ -e /proc/$hive ] || {{ echo "it had ended before"; exit 1; }}
    read -rt 0.002 -u 3 || true
done
kill -KILL $hive
wait $hive || true
"""
POINTS = {
    "seeded": "[ -e /var/lib/hyperhive/applied/alice/.git/refs/tags/deployed/0 ]",
    "pinned": "[ -e /var/lib/hyperhive/meta/.git/refs/heads/candidate/alice ]",
    "created": "[ -e /etc/nixos-containers/h-alice.conf ]",
    "with-a-profile": "[ -L /nix/var/nix/profiles/per-container/h-alice/system ]",
    "limited": f"[ -e {DROP_IN} ]",
    "starting": "[ -e /sys/fs/cgroup/machine.slice/container@h-alice.service ]",
}


def test_a_spawned_agent_runs_in_a_real_container(lab: Lab) -> None:
    lab.hive("spawn", "alice")

    alice = lab.sees("agent", "show", "alice")
    assert alice["running"]
    assert not alice["privileged"]
    assert lab.unit("alice", "ActiveState", "SubState", "Type") == {
        "ActiveState": "active",
        "SubState": "running",
        "Type": "notify",
    }
    assert lab.system("alice") == alice["system"]
    facts = json.loads(lab.script(f"cat {alice['system']}/agent.json"))
    assert facts["environment"]["HIVE_PORT"] == "8879"


def test_an_agent_answers_on_the_hosts_own_port(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    ask = "exec 3<>/dev/tcp/127.0.0.1/8879; printf 'GET / HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3"
    head = lab.script(ask).splitlines()
    assert "Hive-Agent: alice" in head
    assert f"Hive-System: {lab.system('alice')}" in head


def test_the_root_of_a_container_is_nobody_outside(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    lab.hive("spawn", "bob")

    maps = [
        lab.script(f"cat /proc/{lab.leader(name)}/uid_map").split() for name in ("alice", "bob")
    ]
    assert [(inside, count) for inside, _, count in maps] == [("0", "65536")] * 2
    outside = [int(base) for _, base, _ in maps]
    assert 0 not in outside
    assert abs(outside[0] - outside[1]) >= 65536


def test_what_is_bound_can_be_written_by_the_containers_root_and_is_ours_outside(lab: Lab) -> None:
    lab.hive("spawn", "alice")

    for place in ("/state", "/run/hive", "/root/.claude"):
        ran = lab.as_container_root("alice", "write", f"{place}/note")
        assert ran.exit_code == 0, ran.tail
    notes = f"{STATE}/state/note {STATE}/claude/note /run/hyperhive/agents/alice/note"
    assert lab.script(f"stat --format '%u:%g' {notes}").splitlines() == ["0:0"] * 3
    assert lab.script(f"cat {notes}").splitlines() == ["0"] * 3
    inside = f"/proc/{lab.leader('alice')}/root"
    assert lab.script(f"stat --format %a {inside}/root/.claude {STATE}/claude") == "700\n700"


def test_the_store_and_the_host_are_out_of_reach_from_inside(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    for place in ("/nix/store/note", f"{STATE}/state/note", "/var/lib/hyperhive/hive.sqlite"):
        assert lab.as_container_root("alice", "write", place).exit_code == 1


def test_the_manager_writes_the_agents_folders_and_reads_what_is_applied(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    lab.hive("spawn", "hm1nd")

    def writes(place: str) -> bool:
        return lab.as_container_root("hm1nd", "write", place).exit_code == 0

    places = ("/agents/alice/config/note", "/applied/alice/note", "/meta/note")
    assert [writes(place) for place in places] == [True, False, False]
    assert lab.script(f"stat --format '%u:%g' {STATE}/config/note") == "0:0"


def test_the_manager_puts_nothing_in_place_of_what_an_agent_binds(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    lab.hive("spawn", "hm1nd")

    def moves(what: str, to: str) -> bool:
        ran = lab.as_container_root("hm1nd", "move", f"/agents/{what}", f"/agents/{to}")
        return ran.exit_code == 0

    assert moves("alice/config/agent.nix", "alice/config/other.nix")
    for what in ("alice/state", "alice/claude", "alice"):
        assert not moves(what, "alice/config/mine" if "/" in what else "gone")
    assert not moves("alice/config/other.nix", "alice/state/../other")
    lab.hive("restart", "alice")
    lab.hive("purge", "alice", "--yes")
    assert lab.script("ls /var/lib/hyperhive/agents") == "hm1nd"


def test_a_manager_may_be_shown_the_repos_alone_and_everything_again(lab: Lab) -> None:
    def hive(*words: str) -> None:
        lab.run("env", "HIVE_MANAGER_SEES=config", HIVE, *words)

    def writes(place: str) -> bool:
        return lab.as_container_root("hm1nd", "write", place).exit_code == 0

    lab.hive("spawn", "alice")
    hive("spawn", "hm1nd")
    hive("rebuild", "--all")
    assert [writes(f"/agents/alice/{name}/note") for name in ("config", "state")] == [True, False]
    assert lab.script("ls /var/lib/hyperhive/agents/alice").split() == ["claude", "state"]
    before = lab.leader("hm1nd")
    hive("spawn", "bob")
    assert writes("/agents/bob/config/note")
    assert lab.leader("hm1nd") == before

    lab.hive("rebuild", "--all")
    assert [writes(f"/agents/alice/{name}/note") for name in ("config", "state")] == [True, True]


def test_limits_are_in_systemds_mind(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    assert lab.unit("alice", "MemoryMax", "CPUQuotaPerSecUSec", "NeedDaemonReload") == {
        "MemoryMax": str(2 << 30),
        "CPUQuotaPerSecUSec": "500ms",
        "NeedDaemonReload": "no",
    }


def test_limits_that_vanished_are_put_back_without_a_restart(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    before = lab.leader("alice")
    lab.script(f"rm {DROP_IN}; systemctl daemon-reload")

    plan = {
        line.split()[1]: line.split()[0]
        for line in lab.hive("plan", "spawn", "alice").out.splitlines()[1:]
    }
    assert [name for name, sign in plan.items() if sign != "="] == ["Limited"]
    steps = lab.steps("spawn", "alice")
    assert [name for name, state in steps.items() if state != "held"] == ["Limited"]
    assert lab.unit("alice", "MemoryMax")["MemoryMax"] == str(2 << 30)
    assert lab.leader("alice") == before


def test_a_second_spawn_finds_that_everything_holds(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    before = lab.leader("alice")
    assert set(lab.steps("spawn", "alice").values()) == {"held"}
    assert lab.leader("alice") == before


@pytest.mark.parametrize("at", POINTS.values(), ids=POINTS)
def test_a_spawn_that_was_killed_is_finished_by_the_next(lab: Lab, at: str) -> None:
    lab.script(KILLED.format(hive=HIVE, at=at))

    lab.hive("spawn", "alice")

    assert set(lab.steps("spawn", "alice").values()) == {"held"}
    assert lab.system("alice") == lab.sees("agent", "show", "alice")["system"]
    assert lab.script("git -C /var/lib/hyperhive/meta status --porcelain") == ""


def test_a_changed_agent_is_switched_to_without_a_restart(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    before, leader = lab.system("alice"), lab.leader("alice")
    lab.change("alice", GREETING="hello")

    lab.hive("spawn", "alice")

    assert lab.leader("alice") == leader
    assert lab.system("alice") == lab.sees("agent", "show", "alice")["system"] != before
    assert '"GREETING":"hello"' in lab.script(f"cat {lab.system('alice')}/agent.json")


def test_a_build_that_fails_leaves_the_agent_running_what_it_ran(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    before = lab.system("alice")
    lab.change("alice", HIVE_SIM_BUILD="fails")

    ran = lab.hive("spawn", "alice", accept=(1,))

    assert "[build-failed]" in ran.tail
    assert lab.system("alice") == before


def test_a_container_that_somebody_stopped_is_started_again(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    lab.script("systemctl stop container@h-alice")
    steps = lab.steps("spawn", "alice")
    assert [name for name, state in steps.items() if state != "held"] == ["Running"]
    assert lab.unit("alice", "ActiveState")["ActiveState"] == "active"
