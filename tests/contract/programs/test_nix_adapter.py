"""What hive asks of nix, through its adapter, of the stand-in and of a real nix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hive.adapters.nix import Nix
from hive.adapters.shell import LocalShell, Stream
from hive.domain.closure import difference
from hive.domain.names import AgentName, Rev
from hive.errors import Refused
from tests.contract.programs.hosts import AGENT, Flakes

ALICE = AgentName("alice")


class Hive:
    """An adapter, and what it told."""

    def __init__(self, flakes: Flakes) -> None:
        self.flakes = flakes
        self.told: list[str] = []
        self.nix = Nix(LocalShell(flakes.environment, tell=self._tell))

    def _tell(self, stream: Stream, line: str) -> None:
        if stream is Stream.ERR:
            self.told.append(line)

    def build(self, agent: str = AGENT, link: str = "out") -> Path:
        """An agent that nobody built before: a real store is shared by the tests."""
        text = agent.replace("blue", f"built only in {self.flakes.folder}")
        rev = Rev(self.flakes.locked_meta(self.flakes.agent(text)))
        at = self.flakes.folder / link
        meta = f"git+file://{self.flakes.folder}/meta"
        self.nix.build(meta, ALICE, rev, link=at, cwd=self.flakes.folder)
        return at


@pytest.fixture
def hive(flakes: Flakes) -> Hive:
    return Hive(flakes)


def test_a_build_is_told_in_plain_words_with_its_progress(hive: Hive) -> None:
    hive.build()

    assert "building 1 of 1: nixos-system-alice" in hive.told
    composing = [line for line in hive.told if line.startswith("nixos-system-alice> composing")]
    assert len(composing) == 1
    assert not [line for line in hive.told if line.startswith("@nix")]


def test_a_build_that_fails_is_told_and_refused_in_nixs_words(hive: Hive) -> None:
    with pytest.raises(Refused, match=r"builder for '\S+' failed with exit code 1") as failed:
        hive.build('{ ... }: { environment.variables.HIVE_SIM_BUILD = "fails"; }')

    assert failed.value.code == "build-failed"
    assert "nixos-system-alice> asked to fail (HIVE_SIM_BUILD)" in hive.told


def test_a_closure_has_the_system_and_its_size(hive: Hive) -> None:
    out = hive.build()

    closure = hive.nix.closure(out)

    system = str(out.readlink())
    assert closure[system] > 0
    assert hive.nix.closure(out.readlink()) == closure


def test_two_systems_of_one_agent_differ_by_what_was_rebuilt(hive: Hive) -> None:
    first = hive.nix.closure(hive.build(link="first"))
    second = hive.nix.closure(hive.build(AGENT.replace("blue", "red"), link="second"))

    assert difference(first, first).as_json()["changed"] == []
    changed = {one.name: one for one in difference(first, second).changed}
    assert changed["nixos-system-alice"].is_rebuilt


def test_what_is_not_in_the_store_has_no_closure(hive: Hive) -> None:
    with pytest.raises(Refused) as refused:
        hive.nix.closure(hive.flakes.folder / "nothing")

    assert refused.value.code == "closure-unreadable"
    assert "No such file or directory" in refused.value.message


def test_one_input_is_locked_anew_and_no_other(hive: Hive) -> None:
    folder = hive.flakes.folder
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "flake.nix").write_text("{ outputs = { self }: { v = 1; }; }\n")
    (folder / "user").mkdir()
    (folder / "user/flake.nix").write_text(
        "{\n"
        f'  inputs.one.url = "path:{folder}/one";\n'
        f'  inputs.two.url = "path:{folder}/two";\n'
        "  outputs = inputs: { };\n"
        "}\n"
    )
    hive.nix.lock(folder / "user", folder / "apart")
    before = json.loads((folder / "user/flake.lock").read_text())["nodes"]
    for name in ("one", "two"):
        (folder / name / "flake.nix").write_text("{ outputs = { self }: { v = 2; }; }\n")

    hive.nix.lock(folder / "user", folder / "apart")
    assert json.loads((folder / "user/flake.lock").read_text())["nodes"] == before
    hive.nix.update_input(folder / "user", "two")

    after = json.loads((folder / "user/flake.lock").read_text())["nodes"]
    assert after["one"] == before["one"]
    assert after["two"]["locked"]["narHash"] != before["two"]["locked"]["narHash"]
    assert after["root"] == before["root"]
