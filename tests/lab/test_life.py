"""The whole life of agents on a real host, with real workers, and a kill in the middle of each."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.lab.conftest import HIVE, Lab

NIX: Final = "{{ ... }}: {{\n{lines}}}\n"
#: A commit of the manager's in proposed.
PROPOSED: Final = """
cd /var/lib/hyperhive/agents/{agent}/config
cat >agent.nix
git -c user.name=m -c user.email=m@m commit --quiet --all --message "a change"
git rev-parse HEAD
"""
#: Runs the words, kills hive when `{at}` is so, then runs what is left of the job.
KILLED: Final = """
{hive} {words} >/tmp/said 2>&1 &
hive=$!
until {at}; do
    [ -e /proc/$hive ] || {{ echo "it had ended before:"; cat /tmp/said; exit 1; }}
done
kill -KILL $hive
wait $hive || true
"""


def proposed(lab: Lab, agent: str, **variables: str) -> str:
    lines = "".join(f'  environment.variables.{k} = "{v}";\n' for k, v in variables.items())
    return lab.script(PROPOSED.format(agent=agent), stdin=NIX.format(lines=lines))


def facts(lab: Lab, agent: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.script(f"cat {lab.system(agent)}/agent.json"))
    return found


def test_three_agents_live_and_one_goes(lab: Lab) -> None:
    for name in ("alice", "bob", "coder"):
        lab.hive("spawn", name)
    assert {agent["name"]: agent["running"] for agent in lab.sees("agents")} == {
        "alice": True,
        "bob": True,
        "coder": True,
    }

    rev = proposed(lab, "alice", GREETING="hello")
    lab.hive("propose", "alice", rev, "-m", "a greeting")
    (waiting,) = lab.sees("pending")
    diff = lab.sees("diff", str(waiting["id"]))
    assert diff["commits"]
    assert diff["packages"]["size_after"] > 0
    main = lab.unit("alice", "MainPID")
    lab.hive("approve", str(waiting["id"]), "--expect", diff["closure"])
    assert lab.unit("alice", "MainPID") == main, "a reload is enough"
    assert facts(lab, "alice")["variables"]["GREETING"] == "hello"

    before = lab.system("bob")
    lab.hive("apply", "bob", proposed(lab, "bob", HIVE_SIM_BUILD="fails"), accept=(1,))
    assert (lab.state("bob"), lab.system("bob")) == ("active", before)
    bad = proposed(lab, "bob", HIVE_SIM_START="fails")
    ran = lab.hive("apply", "bob", bad, "--restart", "always", accept=(1,))
    assert "[start-failed]" in ran.tail
    assert (lab.state("bob"), lab.system("bob")) == ("active", before)

    lab.hive("stop", "coder")
    assert lab.state("coder") == "inactive"
    lab.hive("start", "coder")
    main = lab.unit("coder", "MainPID")
    lab.hive("restart", "coder")
    assert lab.unit("coder", "MainPID") != main
    lab.script("rm -r /run/systemd/system/container@h-coder.service.d; systemctl daemon-reload")
    assert lab.steps("rebuild", "coder")["Limited"] == "applied"

    lab.hive("rollback", "alice")
    assert "GREETING" not in facts(lab, "alice").get("variables", {})

    lab.as_container_root("coder", "write", "/state/note")
    lab.hive("destroy", "coder", "--yes")
    gone = "/etc/nixos-containers/h-coder.conf /var/lib/nixos-containers/h-coder"
    lab.script(f"for gone in {gone}; do [ ! -e $gone ]; done")
    assert [kept["name"] for kept in lab.sees("kept")] == ["coder"]
    lab.hive("spawn", "coder")
    assert lab.script("cat /var/lib/hyperhive/agents/coder/state/note") == "0"
    lab.hive("purge", "coder", "--yes")
    lab.script(
        "[ ! -e /var/lib/hyperhive/agents/coder ]; [ ! -e /var/lib/hyperhive/applied/coder ]"
    )
    assert [agent["name"] for agent in lab.sees("agents")] == ["alice", "bob"]


def test_a_worker_does_what_others_ask_for(lab: Lab) -> None:
    lab.script(f"systemd-run --unit=hive-up --collect {HIVE} up")
    try:
        lab.hive("spawn", "alice")
        rev = proposed(lab, "alice", GREETING="hello")
        job = lab.sees("apply", "alice", rev)
        assert job["state"] == "succeeded"
        (worker,) = [each for each in lab.sees("workers")["workers"] if each["role"] == "up"]
        assert worker["alive"]
    finally:
        lab.script("systemctl stop hive-up")


def test_limits_are_changed_while_it_runs(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    main = lab.unit("alice", "MainPID")
    lab.hive("agent", "set", "alice", "memory_max=512M", "cpu_quota=80", "tasks_max=99")
    shown = lab.unit("alice", "MemoryMax", "CPUQuotaPerSecUSec", "TasksMax")
    assert shown == {"MemoryMax": str(512 << 20), "CPUQuotaPerSecUSec": "800ms", "TasksMax": "99"}
    assert lab.unit("alice", "MainPID") == main


def test_health_may_ask_for_an_answer_on_the_port(lab: Lab) -> None:
    lab.hive("spawn", "alice")
    lab.hive("agent", "set", "alice", "health=port")
    job = lab.sees("rebuild", "alice")
    (ready,) = [step for step in job["steps"] if step["name"] == "Ready"]
    assert "answers at 127.0.0.1:8879" in ready["because"]


#: A verb, what is so in its middle, and what it leaves.
KILLS: Final = {
    "apply": ("apply alice {rev}", "[ -e $APPLIED/approved/2 ]", "active"),
    "rebuild": ("rebuild alice", "[ -e $META/refs/heads/candidate/alice ]", "active"),
    "stop": ("stop alice", "! systemctl is-active --quiet container@h-alice", "inactive"),
    "restart": ("restart alice", "! systemctl is-active --quiet container@h-alice", "active"),
    "destroy": ("destroy alice --yes", "[ ! -e /etc/nixos-containers/h-alice.conf ]", ""),
    "purge": ("purge alice --yes", "[ ! -e /etc/nixos-containers/h-alice.conf ]", ""),
}
PLACES: Final = (
    "APPLIED=/var/lib/hyperhive/applied/alice/.git/refs/tags META=/var/lib/hyperhive/meta/.git; "
)


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param(verb, marks=[] if verb in ("apply", "destroy") else [pytest.mark.soak])
        for verb in KILLS
    ],
)
def test_killed_in_the_middle_of_a_verb_it_converges(lab: Lab, verb: str) -> None:
    words, at, state = KILLS[verb]
    lab.hive("spawn", "alice")
    rev = proposed(lab, "alice", GREETING="hello") if verb == "apply" else ""
    if verb == "rebuild":
        lab.hive("agent", "set", "alice", "model=opus")
    said = words.format(rev=rev)
    lab.script(PLACES + KILLED.format(hive=HIVE, words=said, at=at))
    number = lab.sees("jobs")[0]["id"]
    lab.hive("job", "run", str(number))
    assert lab.sees("job", "show", str(number))["state"] == "succeeded"
    if state:
        assert lab.state("alice") == state
        assert lab.hive("plan", "rebuild" if state == "active" else "stop", "alice", "--exit-code")
    else:
        assert lab.sees("agents") == []
        lab.hive("spawn", "alice")
        assert lab.state("alice") == "active"
