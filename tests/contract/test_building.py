"""The small looks at a machine that builds: each on the real thing."""

from __future__ import annotations

import json
import os
import socket
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from hive.adapters import machine, sandbox
from hive.adapters.http import Http
from hive.adapters.nixconfig import NixConfig
from hive.adapters.nixversion import NixVersion
from hive.adapters.shell import LocalShell
from hive.errors import Fault
from tests.asking import a_free_port
from tests.fake_api import Said, a_rude_server, an_api

SAID = {
    "system": "x86_64-linux",
    "extra-platforms": ["i686-linux"],
    "sandbox": True,
    "sandbox-fallback": False,
    "substituters": ["https://cache.nixos.org/"],
    "builders": "",
    "min-free": 0,
    "max-free": 1 << 64,
}


def said(**changed: object) -> bytes:
    values = SAID | {key.replace("_", "-"): value for key, value in changed.items()}
    return json.dumps({key: {"value": value} for key, value in values.items()}).encode()


def test_settings_are_read_however_nix_says_them() -> None:
    assert NixConfig.read(said()).extra_platforms == ("i686-linux",)
    assert NixConfig.read(said(substituters="a b")).substituters == ("a", "b")
    read = {
        value: NixConfig.read(said(sandbox=value)).sandbox for value in (True, "relaxed", "true")
    }
    assert set(read.values()) == {True}
    assert not any(NixConfig.read(said(sandbox=value)).sandbox for value in (False, "false"))


@pytest.mark.parametrize("words", [b"", b"[]", b"{}", b'{"system": 1}', said(min_free="much")])
def test_what_is_no_settings_is_a_fault(words: bytes) -> None:
    with pytest.raises(Fault, match="settings"):
        NixConfig.read(words)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("nix (Nix) 2.8.0", "show-config --json"),
        ("nix (Nix) 2.19.3", "show-config --json"),
        ("nix (Nix) 2.20.0", "config show --json"),
        ("nix (Nix) 2.34.8", "config show --json"),
        ("nix (Lix, like Nix) 2.93.0", "show-config --json"),
    ],
)
def test_each_nix_is_asked_for_its_settings_in_its_own_words(version: str, words: str) -> None:
    assert " ".join(NixVersion(version).show_config()) == words


def test_a_cache_answers_or_it_is_said_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with an_api() as api:
        api.on("GET /nix-cache-info", Said(b"StoreDir: /nix/store\n", kind="text/plain"))
        assert Http().refusal(f"{api.place}/nix-cache-info") is None
        assert Http().refusal(f"{api.place}/other") == "it answers 404"
    nobody = f"http://127.0.0.1:{a_free_port()}/nix-cache-info"
    assert Http().refusal(nobody) == "Connection refused"
    assert "name" in str(Http().refusal("http://cache.invalid/nix-cache-info")).lower()
    assert Http().refusal("nonsense") is not None


def test_a_cache_that_says_nothing_or_a_byte_at_a_time_holds_nobody_up() -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        while not over.wait(0.05):
            connection.sendall(b"x")

    try:
        for behave in (drip, lambda _: over.wait(10)):
            with a_rude_server(behave) as url:  # type: ignore[arg-type]
                refusal = Http().refusal(url, within=timedelta(seconds=0.3))
                over.set()
            assert refusal == "no answer in 0.3 s"
            over.clear()
    finally:
        over.set()


def test_a_bug_is_no_answer_of_a_cache() -> None:
    with pytest.raises(AttributeError):
        Http().refusal(5)  # type: ignore[arg-type]


def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with an_api() as proxy:
        proxy.on("GET /nix-cache-info", Said(b"yes", kind="text/plain"))
        monkeypatch.setenv("http_proxy", str(proxy.place))
        monkeypatch.delenv("no_proxy", raising=False)
        assert Http().refusal("http://cache.invalid/nix-cache-info") is None
    assert proxy.heard[0].headers["Host"] == "cache.invalid"


def test_whether_a_sandbox_can_be_made_is_what_unshare_finds() -> None:
    """And this process is where it was before."""
    before = [(Path("/proc/self/ns") / name).readlink() for name in ("mnt", "net", "pid")]
    kinds = ["--mount", "--uts", "--ipc", "--pid", "--net"]
    user = [] if os.geteuid() == 0 else ["--user"]
    ran = LocalShell(os.environ).run("unshare", *kinds, *user, "true", accept=range(256))
    assert (sandbox.refusal() is None) is (ran.exit_code == 0)
    assert before == [(Path("/proc/self/ns") / name).readlink() for name in ("mnt", "net", "pid")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up what a sandbox takes")
def test_without_the_capability_the_kernels_words_are_told() -> None:
    program = "from hive.adapters import sandbox; print(sandbox.refusal())"
    words = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--", "python3")
    ran = LocalShell(os.environ).run(*words, "-c", program, cwd=Path(__file__).parents[2])
    assert ran.out.strip() == "Operation not permitted"


def test_an_emulator_is_known_by_either_name_and_only_while_enabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "BINFMT", tmp_path)
    assert not machine.emulates("aarch64")
    for name in ("qemu-aarch64", "aarch64-linux"):
        (tmp_path / name).write_text("enabled\ninterpreter /run/binfmt/aarch64-linux\n")
        assert machine.emulates("aarch64")
        (tmp_path / name).write_text("disabled\n")
        assert not machine.emulates("aarch64")


def test_a_nix_that_is_installed_is_found_off_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "NIX_FOLDERS", ())
    assert machine.nix_off_the_path(tmp_path) is None
    folder = tmp_path / ".nix-profile/bin"
    folder.mkdir(parents=True)
    (folder / "nix").touch(mode=0o644)
    assert machine.nix_off_the_path(tmp_path) is None
    (folder / "nix").chmod(0o755)
    assert machine.nix_off_the_path(tmp_path) == folder


def test_the_keys_that_ssh_tries_are_found(tmp_path: Path) -> None:
    assert machine.ssh_keys(tmp_path) == []
    (tmp_path / ".ssh").mkdir()
    for name in ("id_rsa", "id_ed25519", "id_ed25519.pub", "config"):
        (tmp_path / ".ssh" / name).touch()
    assert machine.ssh_keys(tmp_path) == [tmp_path / ".ssh/id_ed25519", tmp_path / ".ssh/id_rsa"]
