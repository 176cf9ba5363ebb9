"""What is found on a machine, and how bad that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hive.adapters.idmap import IdMapping, Refuses, Untried, Works
from hive.adapters.machine import Disk
from hive.adapters.nix import FEATURES, Nix
from hive.adapters.nixconfig import NixConfig
from hive.domain.names import NodeName
from hive.errors import CommandTimedOut, Transient
from hive.service.doctor import findings
from hive.service.finding import Finding, Subject, Verdict
from hive.store.migrate import HEAD, SchemaState
from hive.store.session import open_database
from hive.testing import FakeShell

NIX = f"nix {FEATURES[0]} '{FEATURES[1]}'"
STATE, RUN = Path("/fake/state"), Path("/fake/run")
SIM = frozenset({"nix", "containers"})
NAMES = (
    "backend", "git", "nix", "substituters", "sandbox", "platforms", "builders", "base-flake",
    "collector", "nixos-container", "systemd", "kernel", "idmap-state", "idmap-run",
    "disk-store", "disk-state", "inotify", "database", "redis",
)  # fmt: skip

CONFIG = NixConfig(
    system="x86_64-linux",
    extra_platforms=("i686-linux", "x86_64-v3-linux", "aarch64-linux"),
    sandbox=True,
    sandbox_fallback=False,
    substituters=("https://cache.example", "file:///cache"),
    builders="ssh://big x86_64-linux",
    min_free=20 << 30,
    max_free=50 << 30,
)


def a_shell() -> FakeShell:
    """Of a host that has everything."""
    return (
        FakeShell()
        .on("git --version", out="git version 2.39.5\n")
        .on(f"{NIX} --version", out="nix (Nix) 2.18.1\n")
        .on(f"{NIX} flake --help", out="Name\n")
        .on("nixos-container list")
        .on("ssh -V")
        .on("systemctl show -p Version", out="Version=252\n")
    )


def a_subject(shell: FakeShell | None = None) -> Subject:
    """A host that lacks nothing; tests take something away."""
    shell = shell or a_shell()
    return Subject(
        node=NodeName("here"),
        shell=shell,
        git="git",
        nix=Nix(shell),
        pretended=frozenset(),
        state=STATE,
        run=RUN,
        store=Path("/fake/store"),
        database=open_database("sqlite:////fake/state/hive.sqlite"),
        migrates_itself=True,
        redis_url="redis://redis",
        config=lambda: CONFIG,
        has_daemon=False,
        base_flake="git+ssh://git@forge/base",
        has_ssh_command=False,
        ssh_keys=list,
        nix_off_the_path=lambda: None,
        refuses=lambda _: None,
        sandbox_refusal=lambda: None,
        emulates=lambda _: True,
        idmapped=lambda _: Works(),
        disk=lambda _: Disk(40, 1 << 34),
        can_write=lambda _: True,
        kernel=lambda: "6.18.44",
        inotify_instances=lambda: 8192,
        schema=lambda _: SchemaState(HEAD),
        reach=lambda _: None,
    )


def found(subject: Subject, name: str) -> Finding:
    (one,) = (one for one in findings(subject) if one.name == name)
    return one


def full(percent: int) -> Callable[[Path], Disk]:
    return lambda _: Disk(percent, 1 << 30)


def gives(mapping: IdMapping) -> Callable[[Path], IdMapping]:
    return lambda _: mapping


def unreachable(_: object) -> None:
    raise Transient("Redis at redis does not answer", code="redis-unreachable", hint="start it")


def test_a_host_that_has_everything_is_told_so_line_by_line() -> None:
    told = findings(a_subject())
    assert tuple(one.name for one in told) == NAMES
    assert {one.verdict for one in told} == {Verdict.OK}


def test_looking_runs_nothing_that_changes_anything() -> None:
    shell = a_shell()
    findings(a_subject(shell))
    assert shell.ran == [
        "git --version",
        f"{NIX} --version",
        f"{NIX} flake --help",
        "systemctl show -p Version",
    ]


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("git", "git"),
        ("nix", "nix"),
        ("nixos-container", "nixos-container"),
        ("systemctl", "systemd"),
    ],
)
def test_a_program_that_is_not_there_is_missing_and_has_a_hint(program: str, name: str) -> None:
    one = found(a_subject(a_shell().without(program)), name)
    assert one.verdict is Verdict.MISSING
    assert program in one.message
    assert one.hint


def test_a_nix_that_is_only_not_on_the_path_is_told_where_it_is() -> None:
    at = Path("/nix/var/nix/profiles/default/bin")
    subject = replace(a_subject(a_shell().without("nix")), nix_off_the_path=lambda: at)
    one = found(subject, "nix")
    assert (one.verdict, str(at) in one.hint) == (Verdict.MISSING, True)


def test_an_old_git_is_missing() -> None:
    shell = a_shell().on("git --version", out="git version 2.30.2 (Some Vendor)\n")
    assert found(a_subject(shell), "git").verdict is Verdict.MISSING


def test_an_old_nix_is_missing() -> None:
    shell = a_shell().on(f"{NIX} --version", out="nix (Nix) 2.3.16\n")
    assert found(a_subject(shell), "nix").verdict is Verdict.MISSING


def test_lix_is_a_nix() -> None:
    shell = a_shell().on(f"{NIX} --version", out="nix (Lix, like Nix) 2.93.0\n")
    assert found(a_subject(shell), "nix").message == "2.93.0, with flakes"


def test_a_nix_without_flakes_is_missing() -> None:
    shell = a_shell().on(f"{NIX} flake --help", exit_code=1)
    one = found(a_subject(shell), "nix")
    assert (one.verdict, "flakes" in one.message) == (Verdict.MISSING, True)


def test_a_program_that_hangs_hides_no_other_finding() -> None:
    shell = a_shell().on("git --version", fails=CommandTimedOut("git was still running"))
    told = findings(a_subject(shell))
    assert [one.name for one in told if one.verdict is Verdict.MISSING] == ["git"]
    assert len(told) == len(NAMES)


def test_a_bug_in_one_look_hides_no_other_finding() -> None:
    def broken() -> str:
        raise KeyError("oops")

    told = findings(replace(a_subject(), kernel=broken))
    assert [one.name for one in told if one.verdict is Verdict.MISSING] == ["kernel"]
    assert "KeyError" in found(replace(a_subject(), kernel=broken), "kernel").message


def test_a_systemd_that_does_not_answer_is_missing() -> None:
    shell = a_shell().on("systemctl show -p Version", exit_code=1)
    assert found(a_subject(shell), "systemd").verdict is Verdict.MISSING


@pytest.mark.parametrize(
    ("release", "verdict"),
    [
        ("5.11.22", Verdict.MISSING),
        ("4.19.0-amd64", Verdict.MISSING),
        ("5.12", Verdict.OK),
        ("6.18.44-fc-v669", Verdict.OK),
        ("10.0.1", Verdict.OK),
    ],
)
def test_the_kernel_has_idmapped_mounts_from_5_12_on(release: str, verdict: Verdict) -> None:
    assert found(replace(a_subject(), kernel=lambda: release), "kernel").verdict is verdict


def test_each_root_that_refuses_idmapped_mounts_names_its_own_setting() -> None:
    subject = replace(a_subject(), idmapped=gives(Refuses("Invalid argument")))
    for name, setting in (("idmap-state", "HIVE_STATE_DIR"), ("idmap-run", "HIVE_RUN_DIR")):
        one = found(subject, name)
        assert one.verdict is Verdict.MISSING
        assert "Invalid argument" in one.message
        assert setting in one.hint


def test_a_root_that_is_not_there_yet_is_tried_where_it_will_be() -> None:
    tried: list[Path] = []

    def idmapped(path: Path) -> IdMapping:
        tried.append(path)
        return Works()

    findings(replace(a_subject(), idmapped=idmapped))
    assert tried == [Path("/"), Path("/")]


def test_what_cannot_be_tried_without_root_is_a_note() -> None:
    one = found(replace(a_subject(), idmapped=gives(Untried("it takes root"))), "idmap-state")
    assert (one.verdict, "root" in one.message) == (Verdict.NOTE, True)


@pytest.mark.parametrize(
    ("percent", "verdict"),
    [
        (84, Verdict.OK),
        (85, Verdict.WARN),
        (94, Verdict.WARN),
        (95, Verdict.MISSING),
        (100, Verdict.MISSING),
    ],
)
def test_a_disk_warns_before_it_is_full(percent: int, verdict: Verdict) -> None:
    for name in ("disk-store", "disk-state"):
        one = found(replace(a_subject(), disk=full(percent)), name)
        assert one.verdict is verdict
        assert f"{percent} %" in one.message
        assert bool(one.hint) is (verdict is not Verdict.OK)


def test_a_disk_that_cannot_be_asked_is_a_finding() -> None:
    def disk(path: Path) -> Disk:
        raise PermissionError(13, "Permission denied", str(path))

    one = found(replace(a_subject(), disk=disk), "disk-state")
    assert (one.verdict, one.message) == (Verdict.MISSING, "Permission denied: /fake/state")


def test_the_default_inotify_limit_warns_of_how_many_containers_it_is_for() -> None:
    one = found(replace(a_subject(), inotify_instances=lambda: 128), "inotify")
    assert one.verdict is Verdict.WARN
    assert "about 21 containers" in one.message
    assert "sysctl" in one.hint


def test_a_kernel_that_does_not_say_its_inotify_limit_is_a_note() -> None:
    one = found(replace(a_subject(), inotify_instances=lambda: None), "inotify")
    assert one.verdict is Verdict.NOTE


def test_the_database_is_named_with_its_kind_and_schema() -> None:
    assert found(a_subject(), "database").message == (
        f"SQLite /fake/state/hive.sqlite, schema {HEAD}"
    )
    postgres = open_database("postgresql://me:secret@db/hive")
    one = found(replace(a_subject(), database=postgres), "database")
    assert one.message == f"PostgreSQL 'hive' at db, schema {HEAD}"


def test_the_embedded_database_need_not_be_there_yet() -> None:
    subject = replace(a_subject(), schema=lambda _: SchemaState(None))
    assert found(subject, "database").verdict is Verdict.OK


def test_an_embedded_database_that_cannot_be_made_is_missing() -> None:
    subject = replace(a_subject(), schema=lambda _: SchemaState(None), can_write=lambda _: False)
    assert found(subject, "database").verdict is Verdict.MISSING


def test_a_database_of_ones_own_must_be_migrated_by_hand() -> None:
    subject = replace(a_subject(), schema=lambda _: SchemaState(None), migrates_itself=False)
    one = found(subject, "database")
    assert (one.verdict, one.hint) == (Verdict.MISSING, "hive db upgrade")


@pytest.mark.parametrize("migrates_itself", [True, False])
def test_a_newer_schema_is_told_with_both_numbers(migrates_itself: bool) -> None:
    subject = replace(
        a_subject(), schema=lambda _: SchemaState("9999"), migrates_itself=migrates_itself
    )
    one = found(subject, "database")
    assert one.verdict is Verdict.MISSING
    assert "9999" in one.message
    assert HEAD in one.message


def test_a_database_that_cannot_be_reached_is_a_finding() -> None:
    def schema(_: object) -> SchemaState:
        raise Transient("PostgreSQL 'hive' at db: no answer", hint="start it")

    one = found(replace(a_subject(), schema=schema), "database")
    assert (one.verdict, one.hint) == (Verdict.MISSING, "start it")


def test_without_a_redis_it_is_said_that_jobs_are_rung_in_process() -> None:
    one = found(replace(a_subject(), redis_url=None, reach=unreachable), "redis")
    assert (one.verdict, "in process" in one.message) == (Verdict.NOTE, True)


def test_a_redis_that_was_asked_for_must_answer() -> None:
    one = found(replace(a_subject(), reach=unreachable), "redis")
    assert (one.verdict, one.hint) == (Verdict.MISSING, "start it")


def test_with_the_sim_only_git_is_needed_and_it_says_aloud_that_it_pretends() -> None:
    shell = FakeShell().on("git --version", out="git version 2.39.5\n")
    subject = replace(
        a_subject(shell),
        pretended=SIM,
        redis_url=None,
        idmapped=gives(Refuses("Invalid argument")),
        inotify_instances=lambda: 128,
        kernel=lambda: "5.4.0",
    )
    told = {one.name: one for one in findings(subject)}
    assert {one.verdict for one in told.values()} == {Verdict.OK, Verdict.NOTE}
    for name in ("backend", "nix", "nixos-container", "systemd"):
        assert "PRETEND" in told[name].message
    for name in ("kernel", "idmap-state", "idmap-run", "inotify"):
        assert told[name].verdict is Verdict.NOTE
    assert shell.ran == ["git --version"]


def test_pretended_containers_beside_a_real_nix_need_that_nix() -> None:
    subject = replace(a_subject(a_shell().without("nix")), pretended=frozenset({"containers"}))
    told = {one.name: one.verdict for one in findings(subject)}
    assert [name for name, verdict in told.items() if verdict is Verdict.MISSING] == ["nix"]
