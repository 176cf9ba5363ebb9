"""Nix: the exact commands, and whose trouble it is when one fails."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from hive.adapters.nix import BUILD, LOCK, Nix
from hive.domain.names import AgentName, Rev
from hive.errors import CommandTimedOut, Fault, HiveError, Refused, Transient
from hive.testing import FakeShell

GOLDEN = Path(__file__).parents[2] / "golden"
FLAKES = "nix --extra-experimental-features 'nix-command flakes'"
HERE = Path("/")
META, REV, ALICE = "git+file:///srv/meta", Rev("a" * 40), AgentName("alice")
LINK = Path("/roots/alice/key")
WANTED = f'{META}?rev={REV}#nixosConfigurations."alice".config.system.build.toplevel'
BUILDING = (
    f"{FLAKES} build --out-link {LINK} --json --no-update-lock-file '{WANTED}'"
    " --option eval-cache false --log-format internal-json -v"
)
LOCKING = (
    f"{FLAKES} flake lock path:/ --store /apart"
    " --option substitute false --option use-registries false"
)
APART = Path("/apart")
VERSION = f"{FLAKES} --version"
SYSTEM = "/nix/store/y9fhppdxymdjf800f1djlbvs8m3l6502-nixos-system-alice-23.05"
METADATA = f"{FLAKES} flake metadata --refresh --json path:/base"
Act = Callable[[Nix], object]
TRIES: dict[str, tuple[str, Act]] = {
    "build-failed": (BUILDING, lambda nix: nix.build(META, ALICE, REV, link=LINK, cwd=HERE)),
    "lock-failed": (LOCKING, lambda nix: nix.lock(HERE, APART)),
    "base-unreadable": (METADATA, lambda nix: nix.pin("path:/base")),
}


def recorded(name: str, **changed: object) -> str:
    return json.dumps(json.loads((GOLDEN / f"nix-metadata-{name}.json").read_text()) | changed)


def raised(act: Act, shell: FakeShell) -> HiveError:
    with pytest.raises(HiveError) as raised:
        act(Nix(shell))
    return raised.value


def test_a_build_keeps_its_closure_and_changes_no_lock() -> None:
    shell = FakeShell().on(BUILDING)
    Nix(shell).build(META, ALICE, REV, link=LINK, cwd=HERE)
    assert shell.ran == [shlex.join(shlex.split(BUILDING))]
    assert (shell.asked[0].cwd, shell.asked[0].within) == (HERE, BUILD)


def test_a_lock_is_filled_in_its_own_folder() -> None:
    shell = FakeShell().on(LOCKING)
    Nix(shell).lock(HERE, APART)
    assert (shell.asked[0].cwd, shell.asked[0].within) == (HERE, LOCK)


NIXES = ("2.8", "2.26", "2.34", "lix-2.93")


@pytest.mark.parametrize("nix", NIXES)
def test_a_closure_is_read_with_every_nix_whose_version_is_asked_once(nix: str) -> None:
    golden = json.loads((GOLDEN / f"nix-{nix}.json").read_text())
    shell = FakeShell().on(VERSION, out=golden["version"])
    asked = f"{FLAKES} {golden['path_info']['words']}"
    shell.on(asked, out=json.dumps(golden["path_info"]["said"]))
    adapter = Nix(shell)
    for _ in range(2):
        assert adapter.closure(Path(SYSTEM))[SYSTEM] == 248
    assert shell.ran == [shlex.join(shlex.split(line)) for line in (VERSION, asked, asked)]


@pytest.mark.parametrize("nix", NIXES)
def test_one_input_is_locked_anew_with_every_nix(nix: str) -> None:
    golden = json.loads((GOLDEN / f"nix-{nix}.json").read_text())
    words = golden["update_input"].replace("path:/meta", "path:/")
    shell = FakeShell().on(VERSION, out=golden["version"]).on(f"{FLAKES} {words}")
    Nix(shell).update_input(HERE, "other")
    assert (shell.asked[-1].cwd, shell.asked[-1].within) == (HERE, LOCK)


def test_a_path_that_is_not_in_the_store_has_no_closure() -> None:
    shell = FakeShell().on(VERSION, out="nix (Nix) 2.8.0\n")
    words = "path-info --recursive --json --size /x"
    shell.on(f"{FLAKES} {words}", exit_code=1, err="error: path '/x' is not valid\n")
    error = raised(lambda nix: nix.closure(Path("/x")), shell)
    assert (type(error), error.code) == (Refused, "closure-unreadable")
    assert error.message == "the closure of /x cannot be read: path '/x' is not valid"


def test_a_profile_is_set_to_a_path() -> None:
    shell = FakeShell().on("nix-env -p /profiles/h-alice/system --set /nix/store/x-system")
    Nix(shell).set_profile(Path("/profiles/h-alice/system"), Path("/nix/store/x-system"))


def test_options_and_environment_go_with_every_command() -> None:
    shell = FakeShell().on(f"{LOCKING} --option sandbox false --option cores '1 2'")
    shell.on("nix-env -p /p --set /s --option sandbox false --option cores '1 2'")
    nix = Nix(shell, {"sandbox": "false", "cores": "1 2"}, {"NIX_STORE_DIR": "/s"})
    nix.lock(HERE, APART)
    nix.set_profile(Path("/p"), Path("/s"))
    assert [asked.env for asked in shell.asked] == [{"NIX_STORE_DIR": "/s"}] * 2


@pytest.mark.parametrize(
    ("said", "version"),
    [("nix (Nix) 2.8.0\n", "2.8.0"), ("nix (Lix, like Nix) 2.91.1\n", "2.91.1"), ("", "")],
)
def test_a_version_is_the_last_word(said: str, version: str) -> None:
    assert Nix(FakeShell().on(f"{FLAKES} --version", out=said)).version() == version


@pytest.mark.parametrize(("exit_code", "has"), [(0, True), (1, False)])
def test_flakes_can_be_had_or_not(exit_code: int, has: bool) -> None:
    shell = FakeShell().on(f"{FLAKES} flake --help", exit_code=exit_code)
    assert Nix(shell).has_flakes() is has


def test_a_git_base_is_pinned_by_its_rev() -> None:
    said = recorded("git")
    base = Nix(FakeShell().on(METADATA, out=said)).pin("path:/base")
    assert base.label == "base-a821aba0efaf"
    assert base.url == json.loads(said)["url"]
    assert base.origin == "path:/base"


def test_a_plain_folder_is_pinned_by_its_hash() -> None:
    base = Nix(FakeShell().on(METADATA, out=recorded("path"))).pin("path:/base")
    assert base.label == "base-6888130ddbbb"
    assert base.url.endswith("&narHash=sha256-aIgTDdu7ReKBYzobpv8Mrk4f6Jj+khNylthLHccANwM=")


@pytest.mark.parametrize(
    ("url", "pinned"),
    [
        ("path:/base", "path:/base?narHash="),
        ("path:/base?dir=x", "path:/base?dir=x&narHash="),
        ("path:/srv/rev=1/narHash=2", "path:/srv/rev=1/narHash=2?narHash="),
        ("path:/base?prev=1", "path:/base?prev=1&narHash="),
    ],
)
def test_a_hash_that_nix_leaves_out_of_the_url_is_added(url: str, pinned: str) -> None:
    base = Nix(FakeShell().on(METADATA, out=recorded("path", url=url))).pin("path:/base")
    assert base.url == f"{pinned}sha256-aIgTDdu7ReKBYzobpv8Mrk4f6Jj%2BkhNylthLHccANwM%3D"


def test_a_base_with_changes_that_are_not_committed_is_refused() -> None:
    """It has no rev, and what it holds can be had nowhere once it changes."""
    shell = FakeShell().on(METADATA, out=recorded("dirty"))
    error = raised(lambda nix: nix.pin("path:/base"), shell)
    assert isinstance(error, Refused)
    assert error.code == "base-unreadable"
    assert "commit" in error.hint


@pytest.mark.parametrize(
    "said",
    ["", "{", "[]", "{}", "null", '{"url": 1}', '{"url": "path:/b", "locked": {}}',
     '{"url": "path:/b", "locked": {"narHash": "sha256-!"}}', '{"url": "path:/b", "locked": [1]}'],
)  # fmt: skip
def test_an_answer_that_hive_does_not_understand_is_a_fault(said: str) -> None:
    error = raised(lambda nix: nix.pin("path:/base"), FakeShell().on(METADATA, out=said))
    assert isinstance(error, Fault)


@pytest.mark.parametrize(("code", "tried"), TRIES.items(), ids=TRIES)
def test_the_flakes_own_trouble_is_refused_with_nixs_last_words(
    code: str, tried: tuple[str, Act]
) -> None:
    command, act = tried
    said = (
        "warning: dirty\nerror:\n       … while evaluating\n\n       error: the word\n\n  at x:1:1:"
    )
    error = raised(act, FakeShell().on(command, exit_code=1, err=said))
    assert isinstance(error, Refused)
    assert error.code == code
    assert error.message.endswith(": the word")
    assert error.hint


@pytest.mark.parametrize("name", json.loads((GOLDEN / "nix-errors.json").read_text()))
def test_every_recorded_error_is_the_agents_and_is_told(name: str) -> None:
    said = json.loads((GOLDEN / "nix-errors.json").read_text())[name]
    command, act = TRIES["build-failed"]
    error = raised(act, FakeShell().on(command, exit_code=1, err=said))
    assert (type(error), error.code) == (Refused, "build-failed")
    words = said.splitlines()[0].removeprefix("error: ")
    assert error.message == f"alice does not build: {words}"


def messages(said: str, level: int = 0) -> str:
    """As nix says it with `--log-format internal-json`: coloured, and in one event."""
    coloured = said.replace("error:", "\x1b[31;1merror:\x1b[0m")
    return f"@nix {json.dumps({'action': 'msg', 'level': level, 'msg': coloured})}\n"


@pytest.mark.parametrize("name", json.loads((GOLDEN / "nix-errors.json").read_text()))
def test_every_recorded_error_is_found_among_nixs_events_too(name: str) -> None:
    said = json.loads((GOLDEN / "nix-errors.json").read_text())[name]
    command, act = TRIES["build-failed"]
    events = '@nix {"action":"start","id":1,"type":102}\n' + messages(said)
    error = raised(act, FakeShell().on(command, exit_code=1, err=events))
    assert (type(error), error.code) == (Refused, "build-failed")
    words = said.splitlines()[0].removeprefix("error: ")
    assert error.message == f"alice does not build: {words}"


def test_the_worlds_trouble_is_found_among_nixs_events_too() -> None:
    command, act = TRIES["build-failed"]
    said = messages("error: writing to file: No space left on device")
    error = raised(act, FakeShell().on(command, exit_code=1, err=said))
    assert (type(error), error.code) == (Transient, "disk-full")


def test_a_recorded_build_that_failed_is_told_and_refused() -> None:
    lines: list[str] = []
    shell = FakeShell(lambda _, line: lines.append(line))
    command, act = TRIES["build-failed"]
    said = (GOLDEN / "nix-build-failed.txt").read_text()
    error = raised(act, shell.on(command, exit_code=1, err=said))
    assert (type(error), error.code) == (Refused, "build-failed")
    assert "dependencies of derivation" in error.message
    assert "\x1b" not in error.message
    assert "broken> trying" in lines
    assert "@nix" not in "".join(lines)


@pytest.mark.parametrize("tried", TRIES.values(), ids=TRIES)
def test_a_nix_that_was_killed_may_do_better_next_time(tried: tuple[str, Act]) -> None:
    command, act = tried
    error = raised(act, FakeShell().on(command, exit_code=-9, err="error: interrupted"))
    assert isinstance(error, Transient)
    assert "killed by signal 9" in error.message


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("error: writing to file: No space left on device", "disk-full"),
        ("error: opening lock file '/x': Disk quota exceeded", "disk-full"),
        ("error: executing SQLite statement: database or disk is full", "disk-full"),
        ("error: unable to download 'https://x': HTTP error 503", "network"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "network"),
        ("ssh: Temporary failure in name resolution", "network"),
        ("error: cannot connect to daemon at '/x': Connection refused", "network"),
        ("error: … : Network is unreachable", "network"),
        ("error: … : Connection timed out", "network"),
        ("error: … : Connection reset by peer", "network"),
    ],
)
@pytest.mark.parametrize("tried", TRIES.values(), ids=TRIES)
def test_the_worlds_trouble_may_pass(tried: tuple[str, Act], said: str, code: str) -> None:
    command, act = tried
    error = raised(act, FakeShell().on(command, exit_code=1, err=f"{said}\nerror: build failed"))
    assert isinstance(error, Transient)
    assert error.code == code
    assert error.hint


@pytest.mark.parametrize("tried", TRIES.values(), ids=TRIES)
def test_a_deadline_stays_what_it_is(tried: tuple[str, Act]) -> None:
    command, act = tried
    error = raised(act, FakeShell().on(command, fails=CommandTimedOut("late")))
    assert isinstance(error, CommandTimedOut)


def test_a_nix_that_says_nothing_is_told_so() -> None:
    command, act = TRIES["lock-failed"]
    error = raised(act, FakeShell().on(command, exit_code=1))
    assert error.message == "the meta flake cannot be locked: it said nothing"
