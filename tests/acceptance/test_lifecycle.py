"""The whole life of an agent, as a person types it, on a pretend host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.shell import Ran
from tests.acceptance.test_spawn import Person, a_person, refused
from tests.pretend import Moulds, a_base

AGENT_NIX = """\
{{ config, pkgs, lib, ... }}:
{{
{lines}
}}
"""


@pytest.fixture
def person(moulds: Moulds) -> Iterator[Person]:
    """On whose host alice runs."""
    with a_person(moulds.almost_spawned()) as person:
        person.does("spawn", "alice")
        yield person


def committed(person: Person, **variables: str) -> str:
    """A commit of the manager's that sets these variables."""
    lines = "\n".join(f'  environment.variables.{k} = "{v}";' for k, v in variables.items())
    repo = person.state / "agents/alice/config"
    (repo / "agent.nix").write_text(AGENT_NIX.format(lines=lines))
    person.git("agents/alice/config", "commit", "--quiet", "--all", "-m", f"set {variables}")
    return person.git("agents/alice/config", "rev-parse", "HEAD")


def alice(person: Person) -> dict[str, Any]:
    found: dict[str, Any] = person.sees("agent", "show", "alice")
    return found


def job(person: Person, number: int) -> dict[str, Any]:
    found: dict[str, Any] = person.sees("job", "show", str(number))
    return found


def tags(person: Person) -> set[str]:
    return set(person.git("applied/alice", "tag", "--list").split())


def subjects(person: Person) -> list[str]:
    return person.git("meta", "log", "--format=%s").splitlines()


def step(job: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in job["steps"] if each["name"] == name)
    return found


# Propose, look, approve


def test_a_proposal_is_built_waits_and_is_deployed_when_it_is_approved(person: Person) -> None:
    before, rev = alice(person), committed(person, GREETING="hello")

    proposed = person.hive("propose", "alice", rev, "-m", "a greeting")
    assert proposed.exit_code == 0
    waiting = job(person, 2)
    assert (waiting["state"], waiting["kind"], waiting["worker"]) == ("waiting", "apply", None)
    assert alice(person)["system"] == before["system"], "nothing is switched before it is approved"
    (pending,) = person.sees("pending")
    assert (pending["id"], pending["ask"]) == (2, {"rev": rev, "message": "a greeting"})

    diff = person.sees("diff", "2")
    assert (diff["rev"], diff["deployed"]) == (rev, before["deployed"]["sha"])
    assert (diff["descends"], diff["undone"]) == (True, [])
    assert [line.split(" ", 1)[1] for line in diff["commits"]] == ["set {'GREETING': 'hello'}"]
    assert diff["files"] == [{"letter": "M", "path": "agent.nix"}]
    assert '+  environment.variables.GREETING = "hello";' in diff["patch"]
    assert diff["closure"] == waiting["result"]["closure"] != before["system"]
    assert diff["packages"]["changed"]

    person.does("approve", "2", "--expect", diff["closure"])
    assert alice(person)["system"] == diff["closure"]
    assert alice(person)["deployed"] == {"job": 2, "sha": rev}
    assert tags(person) == {
        "deployed/0", "deployed/1", "proposal/2", "building/2", "approved/2", "deployed/2",
    }  # fmt: skip
    assert subjects(person)[0] == f"deploy alice deployed/2 {rev[:12]}"
    assert person.sees("pending") == []


def test_an_apply_is_a_proposal_that_approves_itself(person: Person) -> None:
    rev = committed(person, GREETING="hello")
    done = person.sees("apply", "alice", rev[:9])
    assert (done["state"], done["result"]["rev"]) == ("succeeded", rev)
    assert step(done, "Running")["because"].endswith(alice(person)["system"])
    assert {"proposal/2", "building/2", "approved/2", "deployed/2"} <= tags(person)


def test_only_what_nspawn_reads_asks_for_a_restart(person: Person) -> None:
    main_pid = leader(person)
    person.does("apply", "alice", committed(person, GREETING="hello"))
    assert leader(person) == main_pid, "a reload, without a moment of downtime"
    person.does("apply", "alice", committed(person, GREETING="again"), "--restart", "always")
    assert leader(person) != main_pid
    main_pid = leader(person)
    person.does("agent", "set", "alice", "privileged=yes")
    person.does("rebuild", "alice", "--restart", "never")
    assert leader(person) == main_pid, "it waits for a restart"
    person.does("rebuild", "alice")
    assert leader(person) != main_pid
    assert alice(person)["privileged"] is True


def leader(person: Person) -> str:
    return (person.state / "sim/units/h-alice/run.json").read_text().partition('"main": ')[2][:12]


def test_a_proposal_is_pinned_whatever_becomes_of_the_branch(person: Person) -> None:
    rev = committed(person, GREETING="hello")
    person.does("propose", "alice", rev)
    person.git("agents/alice/config", "reset", "--quiet", "--hard", "HEAD~1")
    person.git("agents/alice/config", "reflog", "expire", "--expire=now", "--all")
    person.git("agents/alice/config", "gc", "--quiet", "--prune=now")
    person.does("approve", "2")
    assert alice(person)["deployed"]["sha"] == rev


def test_a_newer_proposal_takes_the_place_of_one_that_waits(person: Person) -> None:
    first, second = committed(person, A="1"), committed(person, A="2")
    person.does("propose", "alice", first)
    person.does("propose", "alice", second)
    assert job(person, 2)["state"] == "superseded"
    assert job(person, 2)["superseded_by"] == 3
    assert [each["id"] for each in person.sees("pending")] == [3]
    person.does("maintenance", "--once")
    assert "superseded" in person.git("applied/alice", "tag", "-l", "failed/2", "-n9")


def test_denied_is_over_and_says_why(person: Person) -> None:
    person.does("propose", "alice", committed(person, GREETING="hello"))
    person.does("deny", "2", "--note", "not on a Friday")
    denied = job(person, 2)
    assert (denied["state"], denied["error"]["message"]) == ("denied", "not on a Friday")
    assert "not on a Friday" in person.git("applied/alice", "tag", "-l", "denied/2", "-n9")
    refused(person.hive("approve", "2"), 2, "illegal-move", "pending")


def test_withdrawn_is_cancelled_and_keeps_its_trail(person: Person) -> None:
    person.does("propose", "alice", committed(person, GREETING="hello"))
    person.does("withdraw", "2")
    assert job(person, 2)["state"] == "cancelled"
    assert job(person, 2)["error"]["code"] == "withdrawn"
    assert "failed/2" in tags(person)
    refused(person.hive("withdraw", "2"), 2, "illegal-move")


def test_what_was_deployed_meanwhile_asks_for_another_look(person: Person) -> None:
    """The approval was given over what is not there any more: it waits with the new difference."""
    first = person.git("agents/alice/config", "rev-parse", "HEAD")
    person.does("apply", "alice", committed(person, A="1"))
    rev = committed(person, A="2")
    person.does("propose", "alice", rev)
    shown = job(person, 3)["result"]
    person.does("rollback", "alice", "--to", "1")
    person.does("approve", "3")
    again = job(person, 3)
    assert (again["state"], again["approved_by"]) == ("waiting", None)
    assert again["result"]["deployed"] == first != shown["deployed"]
    person.does("approve", "3")
    assert alice(person)["deployed"] == {"job": 3, "sha": rev}


def test_what_was_rebuilt_meanwhile_needs_no_other_look(person: Person) -> None:
    """Another deploy of the same commit, as on another base, changes nothing that was approved."""
    rev = committed(person, A="1")
    person.does("propose", "alice", rev)
    person.does("agent", "set", "alice", "model=opus")
    person.does("rebuild", "alice")
    person.does("approve", "2")
    assert alice(person)["deployed"] == {"job": 2, "sha": rev}


def test_a_proposal_that_undoes_what_is_deployed_says_so(person: Person) -> None:
    older = person.git("agents/alice/config", "rev-parse", "HEAD")
    person.does("apply", "alice", committed(person, GREETING="hello"))
    person.does("propose", "alice", older)
    diff = person.sees("diff", "3")
    assert (diff["descends"], len(diff["undone"])) == (False, 1)
    approved = person.hive("approve", "3")
    assert approved.exit_code == 0
    assert "undoes" in approved.tail
    assert alice(person)["deployed"]["sha"] == older


def test_another_closure_than_the_expected_one_is_not_approved(person: Person) -> None:
    person.does("propose", "alice", committed(person, GREETING="hello"))
    refused(person.hive("approve", "2", "--expect", "/nix/store/else"), 2, "other-closure", "diff")
    assert job(person, 2)["state"] == "waiting"


def test_only_the_expected_closure_passes_whatever_is_set_meanwhile(person: Person) -> None:
    person.does("propose", "alice", committed(person, GREETING="hello"))
    closure = person.sees("diff", "2")["closure"]
    person.does("approve", "2", "--expect", closure, "--detach")
    person.does("agent", "set", "alice", "model=opus")
    person.does("job", "run", "2")
    again = job(person, 2)
    assert again["state"] == "waiting"
    assert again["result"]["closure"] != closure
    person.does("approve", "2")
    assert alice(person)["system"] == again["result"]["closure"]


def test_a_cancelled_proposal_of_what_is_deployed_ends(person: Person) -> None:
    rev = committed(person, GREETING="hello")
    person.does("apply", "alice", rev)
    person.does("propose", "alice", rev)
    person.does("approve", "3", "--detach")
    person.does("cancel", "3")
    assert job(person, 3)["state"] in ("cancelled", "succeeded")
    person.does("rebuild", "alice")


def test_the_first_deploy_of_an_agent_may_be_a_proposal(person: Person) -> None:
    person.does("spawn", "bob")
    person.does("purge", "bob", "--yes")
    broken = a_person_whose_base_is_gone(person)
    assert person.hive("spawn", "bob", HIVE_BASE_FLAKE=broken).exit_code == 1
    repo = person.state / "agents/bob/config"
    (repo / "agent.nix").write_text(AGENT_NIX.format(lines='  environment.variables.A = "1";'))
    person.git("agents/bob/config", "commit", "--quiet", "--all", "-m", "mended")
    rev = person.git("agents/bob/config", "rev-parse", "HEAD")
    person.does("propose", "bob", rev)
    (pending,) = person.sees("pending")
    assert person.sees("diff", str(pending["id"]))["files"]
    person.does("approve", str(pending["id"]))
    assert person.sees("agent", "show", "bob")["deployed"]["sha"] == rev


def a_person_whose_base_is_gone(person: Person) -> str:
    base = person.folder / "gone"
    base.mkdir()
    (base / "flake.nix").write_text("{ outputs = _: { nixosConfigurations = { }; }; }\n")
    return f"path:{base}"


def test_the_gate_may_come_before_the_build(tmp_path: Path) -> None:
    with a_person(tmp_path, HIVE_BUILD_FIRST="no") as person:
        person.does("spawn", "alice")
        person.does("propose", "alice", committed(person, GREETING="hello"))
        assert [one["name"] for one in job(person, 2)["steps"]] == ["ProposalPinned"]
        assert "building/2" not in tags(person)
        assert person.sees("diff", "2")["packages"] is None
        person.does("approve", "2")
        assert alice(person)["deployed"]["job"] == 2


def test_without_need_of_approval_a_proposal_goes_through(tmp_path: Path) -> None:
    with a_person(tmp_path, HIVE_APPROVAL="none") as person:
        person.does("spawn", "alice")
        person.does("propose", "alice", committed(person, GREETING="hello"))
        assert job(person, 2)["state"] == "succeeded"


# What fails leaves the agent as it was


@pytest.mark.parametrize(
    ("variable", "code"),
    [("HIVE_SIM_BUILD", "build-failed"), ("HIVE_SIM_START", ""), ("HIVE_SIM_RELOAD", "")],
)
def test_what_does_not_build_or_come_up_leaves_the_agent_as_it_was(
    person: Person, variable: str, code: str
) -> None:
    before = alice(person)
    restart = "always" if variable == "HIVE_SIM_START" else "auto"
    words = ("apply", "alice", committed(person, **{variable: "fails"}), "--restart", restart)
    assert person.hive(*words).exit_code == 1
    failed = job(person, 2)
    assert failed["state"] == "failed"
    assert not code or failed["error"]["code"] == code
    after = alice(person)
    assert (after["running"], after["system"]) == (True, before["system"])
    assert after["deployed"] == before["deployed"]
    assert not person.git("meta", "status", "--porcelain")
    assert {"failed/2", "proposal/2", "building/2"} <= tags(person)
    assert failed["error"]["code"] in person.git("applied/alice", "tag", "-l", "failed/2", "-n9")


# Stop, start, rebuild, roll back


def test_stopped_it_stays_so_through_an_apply_and_starts_with_what_was_applied(
    person: Person,
) -> None:
    person.does("stop", "alice")
    assert (alice(person)["desired"], alice(person)["running"]) == ("stopped", False)
    rev = committed(person, GREETING="hello")
    person.does("apply", "alice", rev)
    assert (alice(person)["running"], alice(person)["deployed"]["sha"]) == (False, rev)
    person.does("start", "alice")
    assert (alice(person)["desired"], alice(person)["running"]) == ("running", True)
    person.does("start", "alice")


def test_what_was_asked_for_last_is_so_in_the_end(person: Person) -> None:
    for verb in ("stop", "start", "stop"):
        person.does(verb, "alice", "--detach")
    person.does("job", "run", "3")
    person.does("wait", "2")
    assert (alice(person)["desired"], alice(person)["running"]) == ("stopped", False)


def test_a_rebuild_puts_back_what_was_lost(person: Person) -> None:
    found = list((person.state / "sim").rglob("hyperhive-limits.conf"))
    text = found[0].read_text()
    found[0].unlink()
    assert person.hive("plan", "rebuild", "alice", "--exit-code").exit_code == 1
    person.does("rebuild", "alice")
    assert found[0].read_text() == text
    assert person.hive("plan", "rebuild", "alice", "--exit-code").exit_code == 0
    before = subjects(person)
    person.does("rebuild", "--all")
    assert subjects(person) == before, "nothing has changed, and nothing is recorded"


def test_what_an_older_database_would_number_again_is_numbered_above_every_tag(
    person: Person,
) -> None:
    """As after a backup was put back: a rebuild plants a tag of its own number too."""
    other = committed(person, GREETING="hello")
    applied, config = "applied/alice", person.state / "agents/alice/config"
    person.git(applied, "fetch", "--quiet", str(config), "main")
    person.git(applied, "tag", "deployed/2", other)
    person.git(applied, "tag", "deployed/40", other)
    person.does("agent", "set", "alice", "model=opus")
    person.does("rebuild", "alice")
    assert alice(person)["deployed"]["job"] == 41


def test_a_rollback_goes_to_what_was_deployed_before_by_a_new_job(person: Person) -> None:
    first = alice(person)
    person.does("apply", "alice", committed(person, GREETING="hello"))
    person.does("rollback", "alice")
    assert alice(person)["system"] == first["system"]
    assert alice(person)["deployed"] == {"job": 3, "sha": first["deployed"]["sha"]}
    person.does("rollback", "alice", "--to", "2")
    assert alice(person)["deployed"]["job"] == 4
    refused(person.hive("rollback", "alice", "--to", "77"), 2, "no-such-deploy", "2")


def test_settings_win_over_what_agent_nix_says(person: Person) -> None:
    person.does("agent", "set", "alice", "model=opus", "cpu_quota=80")
    assert alice(person)["settings"]["model"] == "opus"
    assert "CPUQuota=80%" in next((person.state / "sim").rglob("hyperhive-limits.conf")).read_text()
    person.does("rebuild", "alice")
    said = (Path(alice(person)["system"]) / "agent.json").read_text()
    assert '"HIVE_MODEL": "opus"' in said or '"HIVE_MODEL":"opus"' in said
    refused(person.hive("agent", "set", "alice", "memory_max=1"), 2, "bad-setting")


def test_what_no_job_has_applied_yet_changes_nothing_for_who_only_starts(person: Person) -> None:
    main_pid = leader(person)
    person.does("agent", "set", "alice", "privileged=yes")
    person.does("start", "alice")
    assert leader(person) == main_pid
    person.does("propose", "alice", committed(person, GREETING="hello"))
    person.does("approve", "3", "--detach") if job(person, 3)["state"] == "waiting" else None
    person.does("cancel", "3")
    assert (alice(person)["running"], leader(person)) == (True, main_pid)
    assert alice(person)["privileged"] is False


def test_a_retry_wants_of_its_agent_what_its_job_did(person: Person) -> None:
    person.does("stop", "alice", "--detach")
    person.does("cancel", "2")
    person.does("start", "alice")
    person.does("retry", "2")
    assert (alice(person)["desired"], alice(person)["running"]) == ("stopped", False)
    person.does("destroy", "alice", "--yes", "--detach")
    person.does("cancel", "4")
    person.does("retry", "4")
    assert person.sees("agents") == []
    person.hive("rebuild", "alice")
    refused(person.hive("retry", "2"), 2, "agent-destroyed", "spawn")


def test_a_new_base_that_an_agent_does_not_build_on_is_no_success(tmp_path: Path) -> None:

    with a_person(tmp_path, HIVE_BASE_FLAKE=a_base(tmp_path)) as person:
        person.does("spawn", "alice")
        flake = tmp_path / "base" / "flake.nix"
        flake.write_text("{ outputs = _: { nixosConfigurations = { }; }; }\n")
        assert person.hive("update-base", "--yes").exit_code == 1
        assert alice(person)["running"]


def test_a_new_base_moves_each_agent_by_a_job_of_its_own(tmp_path: Path) -> None:

    base = a_base(tmp_path)
    with a_person(tmp_path, HIVE_BASE_FLAKE=base) as person:
        person.does("spawn", "alice")
        person.does("spawn", "bob")
        before = {one["name"]: one["system"] for one in person.sees("agents")}
        flake = tmp_path / "base" / "flake.nix"
        flake.write_text(flake.read_text() + "# newer\n")
        person.does("rebuild", "alice")
        assert person.sees("agent", "show", "alice")["system"] == before["alice"]
        person.does("update-base", "--yes")
        children = [one for one in person.sees("jobs") if one["parent"] == 4]
        assert {(one["kind"], one["agent"], one["state"]) for one in children} == {
            ("rebuild", "alice", "succeeded"),
            ("rebuild", "bob", "succeeded"),
        }
        text = (person.state / "meta/flake.nix").read_text()
        assert text.count('".url = "path:') == 1, "both stand on one base"
        person.does("update-base", "--yes")
        assert person.sees("jobs")[0]["kind"] == "update-base", "nobody is behind"


# Destroy and purge


def test_a_request_that_is_said_again_under_its_key_is_answered_with_its_job(
    person: Person,
) -> None:
    person.does("apply", "alice", committed(person, A="1"))
    for words in (("rollback", "alice"), ("destroy", "alice", "--yes")):
        first = person.sees(*words, "--key", words[0])
        again = person.sees(*words, "--key", words[0])
        assert (again["id"], again["state"]) == (first["id"], "succeeded")
    refused(person.hive("purge", "alice", "--yes", "--key", "destroy"), 2, "key-reused")


def test_destroyed_it_keeps_its_folders_and_a_spawn_brings_it_back(person: Person) -> None:
    rev = committed(person, GREETING="hello")
    person.does("apply", "alice", rev)
    (person.state / "agents/alice/claude/token").write_text("t")
    (person.state / "agents/alice/state/notes.md").write_text("n")
    person.does("propose", "alice", committed(person, GREETING="again"))
    refused(person.hive("destroy", "alice"), 2, "not-confirmed", "--yes")
    person.does("destroy", "alice", "--yes")
    assert person.sees("agents") == []
    orphan = job(person, 3)
    assert (orphan["state"], orphan["error"]["message"]) == ("failed", "agent destroyed")
    assert not (person.state / "sim/etc/nixos-containers/h-alice.conf").exists()
    assert "alice" not in (person.state / "meta/flake.nix").read_text()
    assert subjects(person)[0] == "destroy alice 4"
    (kept,) = person.sees("kept")
    assert (kept["name"], kept["login"], kept["bytes"] > 0) == ("alice", True, True)
    refused(person.hive("rebuild", "alice"), 2, "agent-destroyed", "spawn")

    person.does("spawn", "alice")
    assert alice(person)["deployed"]["sha"] == rev, "what was deployed last"
    assert (person.state / "agents/alice/state/notes.md").read_text() == "n"


@pytest.mark.parametrize("verb", ["destroy", "purge"])
def test_a_destroy_that_was_cancelled_before_it_began_leaves_the_agent_wanted(
    person: Person, verb: str
) -> None:
    person.does("stop", "alice")
    person.does(verb, "alice", "--yes", "--detach")
    assert alice(person)["desired"] == "destroyed"
    person.does("cancel", "3")
    assert alice(person)["desired"] == "stopped"
    person.does("start", "alice")
    assert [one["name"] for one in person.sees("agents")] == ["alice"]


def test_purged_nothing_is_left_of_it(person: Person) -> None:
    (person.state / "agents/alice/state/link").symlink_to("/etc")
    refused(person.hive("purge", "alice"), 2, "not-confirmed", "--yes")
    assert alice(person)["running"]
    person.does("purge", "alice", "--yes")
    assert not (person.state / "agents/alice").exists()
    assert not (person.state / "applied/alice").exists()
    assert Path("/etc/passwd").exists()
    assert person.sees("kept") == []
    refused(person.hive("agent", "show", "alice"), 2, "no-such-agent")
    person.does("spawn", "alice")


def test_the_manager_is_not_destroyed(person: Person) -> None:
    person.does("spawn", "hm1nd")
    for verb in ("destroy", "purge"):
        refused(person.hive(verb, "hm1nd", "--yes"), 2, "manager-stays")
    assert person.sees("agent", "show", "hm1nd")["running"]


# Bad input


@pytest.mark.parametrize(
    ("rev", "code"),
    [
        ("main", "bad-rev"),
        ("HEAD", "bad-rev"),
        ("abcdef", "bad-rev"),
        ("ABCDEF0", "bad-rev"),
        ("--upload-pack=x", "usage"),
        ("0123456789", "no-such-rev"),
        ("0" * 40, "no-such-rev"),
    ],
)
def test_what_is_no_commit_is_refused(person: Person, rev: str, code: str) -> None:
    refused(person.hive("propose", "alice", rev), 2, code)
    assert [one["id"] for one in person.sees("jobs")] == [1]


@pytest.mark.parametrize("verb", ["rebuild", "start", "stop", "restart", "rollback"])
def test_an_agent_that_nobody_knows_is_refused(person: Person, verb: str) -> None:
    refused(person.hive(verb, "nobody"), 2, "no-such-agent", "agents")


def test_a_verb_that_looks_at_another_node_is_refused_there(person: Person) -> None:
    rev = committed(person, GREETING="hello")
    person.does("propose", "alice", rev)
    elsewhere: dict[str, str] = {"HIVE_NODE": "there"}
    assert code_of(person.hive("diff", "2", **elsewhere)) == "other-node"
    assert code_of(person.hive("plan", "stop", "alice", "--node", "there")) == "other-node"


def code_of(ran: Ran) -> str:
    assert ran.exit_code == 2, ran.tail
    (line,) = (line for line in ran.tail.splitlines() if line.startswith("hive: "))
    return line.rpartition("[")[2].removesuffix("]")
