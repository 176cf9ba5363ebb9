"""What `hive doctor` says of how nix builds: each look, where it fails and where it passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hive.errors import ProgramMissing
from hive.service.building import LOOKS
from hive.service.finding import Finding, Subject, Verdict
from tests.unit.service.test_doctor import CONFIG, a_shell, a_subject, found

OF_NIX = [name for name in LOOKS if name != "base-flake"]


def set_up(subject: Subject | None = None, **config: Any) -> Subject:  # noqa: ANN401 - NixConfig's
    changed = replace(CONFIG, **config)
    return replace(subject or a_subject(), config=lambda: changed)


def says(one: Finding, verdict: Verdict, *words: str) -> None:
    assert one.verdict is verdict, one
    for word in words:
        assert word in f"{one.message} {one.hint}", one


@pytest.mark.parametrize("name", LOOKS)
def test_a_host_that_has_everything_passes(name: str) -> None:
    assert found(a_subject(), name).verdict is Verdict.OK


@pytest.mark.parametrize("name", OF_NIX)
def test_without_a_nix_there_is_nothing_to_look_at(name: str) -> None:
    def missing() -> None:
        raise ProgramMissing("there is no nix on the PATH")

    says(found(replace(a_subject(), config=missing), name), Verdict.NOTE, "not looked at", "no nix")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", LOOKS)
def test_a_pretended_nix_is_not_asked(name: str) -> None:
    subject = replace(a_subject(), pretended=frozenset({"nix"}), config=lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    says(found(subject, name), Verdict.OK, "PRETENDED")


def test_a_cache_that_cannot_be_reached_is_named_with_the_reason() -> None:
    refuses = {"https://a": None, "https://b": "Name or service not known"}
    subject = replace(a_subject(), refuses=lambda url: refuses[url])
    one = found(set_up(subject, substituters=("https://a", "https://b", "s3://c")), "substituters")
    says(one, Verdict.WARN, "https://b cannot be reached: Name or service", "DNS", "http_proxy")
    assert "https://a" not in one.message


@pytest.mark.parametrize("urls", [(), ("file:///cache",)])
def test_where_no_cache_is_asked_over_the_network_there_is_none_to_reach(
    urls: tuple[str, ...],
) -> None:
    subject = replace(a_subject(), refuses=lambda _: "asked")
    says(found(set_up(subject, substituters=urls), "substituters"), Verdict.NOTE, "built here")


def test_a_sandbox_that_cannot_be_made_fails_every_build() -> None:
    subject = replace(a_subject(), sandbox_refusal=lambda: "Operation not permitted")
    one = found(subject, "sandbox")
    says(one, Verdict.MISSING, "Operation not permitted", "sandbox = false")


def test_a_fallback_lets_builds_out_in_silence() -> None:
    subject = replace(a_subject(), sandbox_refusal=lambda: "Operation not permitted")
    says(found(set_up(subject, sandbox_fallback=True), "sandbox"), Verdict.WARN, "in silence")


def test_without_a_sandbox_it_is_said_what_a_build_can_do() -> None:
    subject = replace(a_subject(), sandbox_refusal=lambda: "asked")
    says(found(set_up(subject, sandbox=False), "sandbox"), Verdict.NOTE, "not isolated", "trust")


def test_where_a_daemon_builds_this_user_needs_no_sandbox_of_its_own() -> None:
    subject = replace(a_subject(), sandbox_refusal=lambda: "asked", has_daemon=True)
    says(found(subject, "sandbox"), Verdict.OK, "daemon")


def test_a_platform_without_an_emulator_cannot_be_built_for() -> None:
    asked: list[str] = []

    def emulates(processor: str) -> bool:
        asked.append(processor)
        return processor != "aarch64"

    several = ("i686-linux", "x86_64-v3-linux", "riscv64-linux", "aarch64-linux")
    one = found(
        set_up(replace(a_subject(), emulates=emulates), extra_platforms=several), "platforms"
    )
    says(one, Verdict.MISSING, "aarch64-linux", "binfmt")
    assert "riscv64" not in one.message
    assert asked == ["riscv64", "aarch64"], "its own kin it runs by itself"


@pytest.mark.parametrize(
    ("system", "extra"),
    [
        ("x86_64-linux", ()),
        ("x86_64-linux", ("i686-linux", "x86_64-v1-linux")),
        ("aarch64-linux", ("armv7l-linux", "armv6l-linux")),
    ],
)
def test_where_nothing_is_foreign_nothing_need_be_emulated(
    system: str, extra: tuple[str, ...]
) -> None:
    subject = replace(a_subject(), emulates=lambda _: False)
    one = found(set_up(subject, system=system, extra_platforms=extra), "platforms")
    says(one, Verdict.NOTE, f"{system} alone")


def test_an_arm_does_not_run_the_programs_of_a_pc() -> None:
    subject = replace(a_subject(), emulates=lambda _: False)
    one = found(
        set_up(subject, system="aarch64-linux", extra_platforms=("i686-linux",)), "platforms"
    )
    says(one, Verdict.MISSING, "i686-linux")


def a_key(folder: Path, mode: int) -> Path:
    path = folder / "key"
    path.touch()
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("mode", "verdict"), [(0o600, Verdict.OK), (0o400, Verdict.OK), (0o640, Verdict.MISSING)]
)
def test_a_key_that_others_can_read_is_refused_by_ssh(
    tmp_path: Path, mode: int, verdict: Verdict
) -> None:
    key = a_key(tmp_path, mode)
    for subject, name in (
        (set_up(builders=f"ssh-ng://big x86_64-linux {key}"), "builders"),
        (replace(a_subject(), ssh_keys=lambda: [key]), "base-flake"),
    ):
        one = found(subject, name)
        assert one.verdict is verdict
        assert (f"chmod 600 {key}" in one.hint) is (verdict is Verdict.MISSING)


def test_a_key_that_is_not_there_is_told_with_its_machine(tmp_path: Path) -> None:
    machines = tmp_path / "machines"
    machines.write_text(f"# ours\nnear x86_64-linux -\n\nfar i686-linux {tmp_path}/away 4 # far\n")
    one = found(set_up(builders=f"@{machines}"), "builders")
    says(one, Verdict.MISSING, "ssh://far", f"{tmp_path}/away: No such file")


@pytest.mark.parametrize("builders", ["", "@/nowhere/machines", "\n # none\n"])
def test_without_other_machines_no_key_is_looked_for(builders: str) -> None:
    subject = a_subject(a_shell().without("ssh"))
    says(found(set_up(subject, builders=builders), "builders"), Verdict.NOTE, "done here")


def test_what_goes_over_ssh_needs_an_ssh() -> None:
    subject = a_subject(a_shell().without("ssh"))
    for name in ("builders", "base-flake"):
        says(found(subject, name), Verdict.MISSING, "no ssh on the PATH", "install")
    assert found(set_up(subject, builders="local"), "builders").verdict is Verdict.MISSING


@pytest.mark.parametrize("flake", ["https://forge/base", "github:o/base", "git+file:///base"])
def test_a_base_flake_that_is_fetched_otherwise_needs_none(flake: str) -> None:
    subject = replace(a_subject(a_shell().without("ssh")), base_flake=flake, has_ssh_command=True)
    assert found(subject, "base-flake").verdict is Verdict.OK


def test_without_a_base_flake_there_is_nothing_to_fetch() -> None:
    says(
        found(replace(a_subject(), base_flake=None), "base-flake"), Verdict.NOTE, "HIVE_BASE_FLAKE"
    )


def test_a_command_for_ssh_that_reaches_no_program_is_said() -> None:
    one = found(replace(a_subject(), has_ssh_command=True), "base-flake")
    says(one, Verdict.WARN, "GIT_SSH_COMMAND", ".ssh/config")


def test_a_store_that_nobody_collects_in_is_noted() -> None:
    says(found(set_up(min_free=0), "collector"), Verdict.NOTE, "min-free")
    says(found(a_subject(), "collector"), Verdict.OK, "20 GiB", "50 GiB")
