"""`hive spawn` and what looks at it, as a person types them, on a pretend host."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from hive.adapters.gitsafe import ENVIRONMENT
from hive.adapters.shell import LocalShell, Ran
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.sim.stop import stop_all
from tests.forks import HIVE, hive
from tests.pretend import ME, PATH, a_base, environment, tree

JOB_KEYS: Final = (
    "id", "kind", "node", "agent", "state", "attempt", "steps", "result", "error", "ask",
    "requested_by", "approved_by", "approved_at", "created_at", "started_at", "finished_at", "note",
    "failures", "losses", "restoring", "worker", "parent", "superseded_by", "run_at",
    "cancel_requested_at",
)  # fmt: skip
AGENT_KEYS: Final = (
    "name", "node", "container", "port", "url", "desired", "running", "state", "privileged",
    "system", "deployed", "job", "failed_at", "settings",
)  # fmt: skip
STEPS: Final = (
    "ProposedSeeded", "AppliedSeeded", "HomeReady", "CandidatePinned", "Built", "Defined",
    "ProfileSet", "Limited", "Running", "Ready", "Deployed",
)  # fmt: skip
#: What looks and changes nothing, by the words that follow git's and nix's own options.
LOOKS: Final = ("config --no-includes --file - --get", "cat-file --batch", "log ", "status ")


@dataclass(frozen=True, slots=True)
class Person:
    """Someone with a shell, and nothing else set."""

    folder: Path
    more: Mapping[str, str]

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def hive(self, *words: str | Path, **more: str) -> Ran:
        """Whatever its exit is."""
        env = environment(self.state, **{**self.more, **more})
        return hive([str(word) for word in words], env)

    def does(self, *words: str) -> str:
        """It must end well; what it says on stdout."""
        ran = self.hive(*words)
        assert ran.exit_code == 0, ran.tail
        return ran.out

    def sees(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        """Its `--json`."""
        return json.loads(self.does(*words, "--json"))

    def git(self, where: str, *words: str) -> str:
        env = {"PATH": PATH, "HOME": str(self.folder), **ENVIRONMENT, **ME}
        return LocalShell(env).run("git", "-C", self.state / where, *words).out.strip()


@contextmanager
def a_person(folder: Path, **more: str) -> Iterator[Person]:
    try:
        yield Person(folder, more)
    finally:
        stop_all(folder / "state" / "sim")


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    with a_person(tmp_path) as person:
        yield person


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Where alice was spawned once, and then again; only looked at by the tests."""
    with a_person(tmp_path_factory.mktemp("host")) as person:
        person.does("spawn", "alice")
        person.does("spawn", "alice")
        yield person


def refused(ran: Ran, exit_code: int, code: str, hint: str = "") -> None:
    """One line with a code and a hint on stderr, nothing on stdout, no traceback."""
    assert ran.exit_code == exit_code, ran.tail
    assert ran.out == ""
    assert "Traceback" not in ran.tail
    complaints = [line for line in ran.tail.splitlines() if line.startswith("hive: ")]
    assert len(complaints) == 1, ran.tail
    assert complaints[0].endswith(f"[{code}]"), ran.tail
    hints = [line for line in ran.tail.splitlines() if line.startswith("hint: ")]
    assert len(hints) == 1, ran.tail
    assert hint in hints[0]


# From nothing to an answer


def test_a_spawn_says_one_url_and_there_the_agent_answers(person: Person) -> None:
    said = person.does("spawn", "alice")
    url = urlsplit(said.strip())
    assert said == f"{url.geturl()}\n"
    assert url.port == 8879
    connection = HTTPConnection(str(url.hostname), url.port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Hive-Agent"]) == (200, "alice")
    connection.close()
    assert answer.headers["Hive-System"] == person.sees("agent", "show", "alice")["system"]


def test_json_is_nothing_but_the_final_job(person: Person) -> None:
    job = person.sees("spawn", "alice")
    assert tuple(job) == JOB_KEYS
    assert [tuple(step) for step in job["steps"]] == [("name", "state", "because", "seconds")] * 11
    assert tuple(step["name"] for step in job["steps"]) == STEPS
    assert (job["id"], job["kind"], job["agent"], job["state"]) == (
        1,
        "spawn",
        "alice",
        "succeeded",
    )
    assert (job["attempt"], job["error"], job["node"]) == (1, None, "here")
    assert job["result"]["url"].startswith("http://127.")
    assert all(job[at].endswith("Z") for at in ("created_at", "started_at", "finished_at"))


def test_two_agents_stand_beside_each_other(person: Person) -> None:
    person.does("spawn", "alice")
    person.does("spawn", "bob")
    seen = person.sees("agents")
    assert [agent["name"] for agent in seen] == ["alice", "bob"]
    assert all(agent["running"] for agent in seen)
    assert len({agent["system"] for agent in seen}) == 2


def test_the_manager_is_an_agent_too(person: Person) -> None:
    person.does("spawn", "hm1nd")
    seen = person.sees("agent", "show", "hm1nd")
    assert (seen["container"], seen["port"], seen["running"]) == ("hm1nd", 8000, True)


# Twice


def test_a_second_spawn_starts_nothing_that_changes_anything(host: Person) -> None:
    shown = host.does("logs", "2").splitlines()
    commands = [line[20:] for line in shown if line[17:18] == "$"]
    assert commands
    for command in commands:
        is_look = command.strip().startswith("systemctl show ") or any(
            f" {look}" in command for look in LOOKS
        )
        assert is_look, command


def test_of_a_second_spawn_every_step_says_that_it_held(host: Person) -> None:
    job = host.sees("job", "show", "2")
    assert {step["state"] for step in job["steps"]} == {"held"}
    assert tuple(step["name"] for step in job["steps"]) == STEPS
    assert host.sees("job", "show", "1")["result"] == job["result"]


def test_a_second_spawn_leaves_the_files_as_they_are(person: Person) -> None:
    own = ("sim/proc", "sim/journal", "sim/units", "hive.sqlite", "hive.sqlite-wal",
           "hive.sqlite-shm")  # fmt: skip
    person.does("spawn", "alice")
    before = tree(person.state, without=own)
    person.does("spawn", "alice")
    assert tree(person.state, without=own) == before


# Looking


def test_agents_are_json_with_the_keys_that_stay(host: Person) -> None:
    (agent,) = host.sees("agents")
    assert tuple(agent) == AGENT_KEYS
    assert agent == host.sees("agent", "show", "alice")
    assert (agent["name"], agent["node"], agent["container"]) == ("alice", "here", "h-alice")
    assert (agent["port"], agent["desired"], agent["running"]) == (8879, "running", True)
    assert (agent["privileged"], agent["job"], agent["failed_at"]) == (False, None, None)
    rev = host.git("applied/alice", "rev-parse", "main")
    assert agent["deployed"] == {"job": 1, "sha": rev}
    assert Path(agent["system"]).is_dir()


def test_tables_are_for_people(host: Person) -> None:
    assert host.does("agents").splitlines()[1].split()[:4] == ["alice", "here", "running", "active"]
    assert host.does("agent", "show", "alice").startswith("name:")
    assert len(host.does("jobs").splitlines()) == 3


def test_an_empty_machine_has_no_agents_and_no_jobs(person: Person) -> None:
    assert person.sees("agents") == []
    assert person.sees("jobs") == []


def test_jobs_are_the_newest_first_and_can_be_filtered(host: Person) -> None:
    def ids(*words: str) -> list[int]:
        return [job["id"] for job in host.sees("jobs", *words)]

    assert ids() == [2, 1]
    assert ids("--limit", "1") == [2]
    assert ids("--state", "succeeded") == [2, 1]
    assert ids("--state", "failed") == []
    assert ids("--agent", "alice", "--kind", "spawn") == [2, 1]
    assert ids("--agent", "bob") == []
    assert ids("--kind", "destroy") == []


def test_a_job_is_shown_with_its_steps(host: Person) -> None:
    shown = host.does("job", "show", "1")
    assert all(step in shown for step in STEPS)
    assert tuple(host.sees("job", "show", "1")) == JOB_KEYS


def test_the_log_has_every_program_with_its_step(host: Person) -> None:
    lines = host.does("logs", "1").splitlines()
    builds = [line for line in lines if line.startswith("Built") and " $ " in line]
    assert any("nix" in line and "build" in line for line in builds)
    assert host.does("logs", "1", "-f").splitlines() == lines


@pytest.mark.parametrize(
    "words", [("job", "show", "99"), ("logs", "99"), ("job", "run", "99"), ("agent", "show", "bob")]
)
def test_what_is_not_there_is_refused(host: Person, words: tuple[str, ...]) -> None:
    code = "no-such-agent" if words[0] == "agent" else "no-such-job"
    refused(host.hive(*words), 2, code)


# Plan


def test_a_plan_of_an_empty_machine_says_what_it_would_do(person: Person) -> None:
    rows = person.sees("plan", "spawn", "alice")
    assert tuple(row["name"] for row in rows) == STEPS
    assert not any(row["holds"] for row in rows)
    assert person.hive("plan", "spawn", "alice", "--exit-code").exit_code == 1
    assert person.sees("agents") == []


def test_a_plan_of_what_is_there_finds_that_it_holds(host: Person) -> None:
    assert all(row["holds"] for row in host.sees("plan", "spawn", "alice"))
    assert host.hive("plan", "spawn", "alice", "--exit-code").exit_code == 0


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_a_plan_changes_nothing(host: Person, name: str) -> None:
    own = ("hive.sqlite-wal", "hive.sqlite-shm")  # any reader makes them
    before = tree(host.state, without=own)
    host.does("plan", "spawn", name)
    assert tree(host.state, without=own) == before


# Detached


def test_a_detached_job_waits_until_someone_runs_it(person: Person) -> None:
    ran = person.hive("spawn", "alice", "--detach")
    assert (ran.exit_code, ran.out) == (0, "1\n")
    assert "hive job run 1" in ran.tail
    (agent,) = person.sees("agents")
    assert (agent["name"], agent["running"], agent["job"]) == ("alice", False, 1)
    assert person.sees("job", "show", "1")["state"] == "queued"
    assert person.does("job", "run", "1").startswith("http://127.")
    assert person.does("job", "run", "1").startswith("http://127.")  # it has ended: nothing to do
    assert person.sees("job", "show", "1")["attempt"] == 1


def test_the_same_ask_twice_is_one_job(person: Person) -> None:
    assert person.does("spawn", "alice", "--detach") == "1\n"
    again = person.hive("spawn", "alice", "--detach", "--json")
    assert json.loads(again.out)["id"] == 1
    assert "job 1 does this already" in again.tail


# Bad input


@pytest.mark.parametrize(
    "name", ["", "abcdefghij", "../x", "x-", "A", "a_b", "a\n", "a\nb", "é", "ａ", ".", "a b", "٣"]
)
@pytest.mark.parametrize("verb", [("spawn",), ("plan", "spawn"), ("agent", "show")])
def test_a_name_that_is_none_is_refused(host: Person, name: str, verb: tuple[str, ...]) -> None:
    refused(host.hive(*verb, name), 2, "bad-name", "1 to 9 of a-z, 0-9 and -")


def test_a_name_that_looks_like_an_option_is_refused(host: Person) -> None:
    refused(host.hive("spawn", "-x"), 2, "usage")
    refused(host.hive("spawn", "--", "-x"), 2, "bad-name")


def test_bytes_that_are_no_text_are_refused(host: Person) -> None:
    env = environment(host.state)
    typed = f"exec {HIVE} spawn \"$(printf 'a\\377')\""
    refused(LocalShell(env).run("sh", "-c", typed, accept=range(-64, 256)), 2, "bad-name")


def two_of_one_port() -> tuple[str, str]:
    known: dict[int, str] = {}
    for letters in product(ascii_lowercase, repeat=3):
        name = "".join(letters)
        other = known.setdefault(port_of(AgentName(name)), name)
        if other != name:
            return other, name
    raise AssertionError("every name has a port of its own")


def test_two_names_of_one_port_are_refused_by_the_name_of_the_first(person: Person) -> None:
    first, second = two_of_one_port()
    person.does("spawn", first, "--detach")
    ran = person.hive("spawn", second)
    refused(ran, 2, "port-taken", "rename one of them and retry")
    port = port_of(AgentName(first))
    assert f"port {port} is already taken by '{first}'" in ran.tail
    assert [agent["name"] for agent in person.sees("agents")] == [first]
    assert len(person.sees("jobs")) == 1


def test_a_port_of_kept_state_is_taken_too(person: Person) -> None:
    first, second = two_of_one_port()
    (person.state / "agents" / first).mkdir(parents=True)
    refused(person.hive("spawn", second), 2, "port-taken")


@pytest.mark.parametrize("words", [("spawn", "alice"), ("agents",), ("plan", "spawn", "alice")])
def test_a_state_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    ran = Person(tmp_path, {}).hive(*words, HIVE_STATE_DIR=str(file / "state"))
    assert ran.tail.count("[state-not-writable]") + ran.tail.count("[in-the-way]") == 1
    assert "HIVE_STATE_DIR" in ran.tail or "move it away" in ran.tail
    assert ran.exit_code == 2
    assert "Traceback" not in ran.tail
    assert file.read_text() == "mine"


def test_a_database_of_a_newer_hive_is_refused_and_left_alone(person: Person) -> None:
    person.does("agents")
    import sqlite3

    database = sqlite3.connect(person.state / "hive.sqlite")
    with database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for words in (("spawn", "alice"), ("agents",)):
        ran = person.hive(*words)
        assert ran.exit_code == 2, ran.tail
        assert "Traceback" not in ran.tail
        assert "9999" in ran.tail
    assert not (person.state / "agents").exists()


def test_a_base_that_does_not_evaluate_fails_the_job_and_the_next_run_goes_on(
    tmp_path: Path,
) -> None:
    with a_person(tmp_path, HIVE_BASE_FLAKE=a_base(tmp_path, "{ outputs = {")) as person:
        refused(person.hive("spawn", "alice"), 1, "base-unreadable")
        (agent,) = person.sees("agents")
        assert (agent["name"], agent["running"]) == ("alice", False)
        shutil.rmtree(tmp_path / "base")
        a_base(tmp_path)
        person.does("spawn", "alice")


def test_a_base_that_is_not_there_fails_the_job(tmp_path: Path) -> None:
    with a_person(tmp_path, HIVE_BASE_FLAKE=f"path:{tmp_path}/nowhere") as person:
        ran = person.hive("spawn", "alice")
        refused(ran, 1, "base-unreadable")
        assert "nowhere" in ran.tail


def test_a_flake_that_throws_fails_the_job_with_nixs_words(person: Person) -> None:
    person.does("spawn", "alice", "--detach")
    person.does("job", "run", "1")
    repo = person.state / "applied" / "alice"
    (repo / "agent.nix").write_text('{ ... }: throw "no such moon"\n')
    person.git("applied/alice", "commit", "--quiet", "--all", "--message", "broken")
    ran = person.hive("spawn", "alice")
    refused(ran, 1, "build-failed", "hive logs")
    assert "no such moon" in ran.tail
    (agent,) = person.sees("agents")
    assert agent["running"]  # what was deployed goes on


@pytest.mark.parametrize("where", ["applied/alice", "meta"])
@pytest.mark.parametrize("lock", ["index.lock", "refs/heads/main.lock", "packed-refs.lock"])
def test_a_lock_that_a_killed_git_left_is_removed_where_hive_alone_writes(
    person: Person, where: str, lock: str
) -> None:
    person.does("spawn", "alice")
    shutil.rmtree(person.state / "sim" / "gcroots")
    person.git("applied/alice", "tag", "--delete", "deployed/1")
    corpse = person.state / where / ".git" / lock
    corpse.touch()
    person.does("spawn", "alice")
    assert not corpse.exists()


def test_a_lock_in_proposed_may_be_the_managers_and_is_left_to_it(person: Person) -> None:
    person.does("spawn", "alice")
    person.git("agents/alice/config", "remote", "set-url", "applied", "elsewhere")
    lock = person.state / "agents/alice/config/.git/config.lock"
    lock.touch()
    tried = person.hive("spawn", "alice", HIVE_FAILURE_LIMIT="2")  # or it takes minutes
    refused(tried, 1, "git-locked", "config.lock")
    assert lock.exists()
    lock.unlink()
    person.does("spawn", "alice")
    assert (
        person.git("agents/alice/config", "remote", "get-url", "applied") == "/applied/alice/.git"
    )


# A full disk


@dataclass(frozen=True, slots=True)
class Small:
    """A file system of its own, to fill."""

    folder: Path

    def fill(self, but: int) -> None:
        """Only so many bytes are left."""
        free = shutil.disk_usage(self.folder).free
        with (self.folder / "full").open("wb") as file:
            file.write(b"\0" * max(0, free - but))

    def empty(self) -> None:
        (self.folder / "full").unlink()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    folder = tmp_path / "small"
    folder.mkdir()
    shell = LocalShell({"PATH": PATH})
    mounted = shell.run(
        "mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder, accept=range(-64, 256)
    )
    if mounted.exit_code != 0:
        pytest.skip(f"no file system to fill: {mounted.tail or 'mount said no'}")
    try:
        yield Small(folder)
    finally:
        stop_all(folder / "state" / "sim")
        shell.run("umount", "--lazy", folder)


@pytest.mark.parametrize("left", [0, 40_000, 400_000, 1_000_000])
def test_on_a_full_disk_a_spawn_says_so_and_the_next_one_finishes(small: Small, left: int) -> None:
    person = Person(small.folder, {})
    person.does("agents")
    small.fill(but=left)
    ran = person.hive("spawn", "alice")
    if ran.exit_code != 0:
        assert ran.exit_code in (1, 75), ran.tail
        assert "Traceback" not in ran.tail
        assert "full" in ran.tail or "No space" in ran.tail
        assert "hint: free some" in ran.tail
    small.empty()
    person.does("spawn", "alice")
    (agent,) = person.sees("agents")
    assert agent["running"]
    assert not list(person.state.rglob("*.new"))


def test_on_a_disk_that_is_full_from_the_start_hive_says_so(small: Small) -> None:
    small.fill(but=0)
    ran = Person(small.folder, {}).hive("spawn", "alice")
    assert ran.exit_code in (2, 75), ran.tail
    assert "Traceback" not in ran.tail
    assert "hint: " in ran.tail
    small.empty()
    Person(small.folder, {}).does("spawn", "alice")
