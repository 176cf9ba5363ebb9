from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from hive.sim import nar
from tests.contract.programs.hosts import AGENT, AGENT_FLAKE, ANY, Flakes, plain

GOLDEN = Path(__file__).parents[2] / "golden"
NOWHERE = "0" * 39 + "1"


def test_nix_says_a_version_of_three_numbers(flakes: Flakes) -> None:
    assert re.fullmatch(r"nix \(Nix\) \d+\.\d+\.\d+\S*\n", flakes.nix("--version").out)


def test_flakes_can_be_had(flakes: Flakes) -> None:
    assert flakes.nix("flake", "--help", accept=ANY).exit_code in (0, 1)


def test_a_plain_path_is_locked_by_its_nar_hash(flakes: Flakes) -> None:
    base = flakes.base()

    said = flakes.metadata(f"path:{base}")

    assert said["locked"]["narHash"] == nar.nar_hash(nar.read(str(base)))
    assert len(base64.b64decode(said["locked"]["narHash"].removeprefix("sha256-"))) == 32
    assert said["url"].startswith(f"path:{base}?")
    assert "narHash=sha256-" in said["url"]
    assert "revision" not in said
    assert said["original"] == said["resolved"] == {"path": str(base), "type": "path"}


def test_a_repository_is_locked_by_its_rev(flakes: Flakes) -> None:
    rev = flakes.agent()

    said = flakes.metadata(f"git+file://{flakes.folder}/alice")

    assert said["revision"] == said["locked"]["rev"] == rev
    assert said["url"] == f"git+file://{flakes.folder}/alice?ref=main&rev={rev}"
    assert said["locked"]["narHash"] == nar.nar_hash(
        {"agent.nix": (False, AGENT.encode()), "flake.nix": (False, AGENT_FLAKE.encode())}
    )


def test_metadata_has_the_keys_of_the_golden_answer(flakes: Flakes) -> None:
    flakes.agent()
    for reference, name in (("path:{}/base", "path"), ("git+file://{}/alice", "git")):
        flakes.base()
        golden = json.loads((GOLDEN / f"nix-metadata-{name}.json").read_text())

        said = flakes.metadata(reference.format(flakes.folder))

        assert golden.keys() <= said.keys()
        assert golden["locked"].keys() <= said["locked"].keys()


def test_a_dirty_repository_has_no_rev(flakes: Flakes) -> None:
    flakes.agent()
    (flakes.folder / "alice/agent.nix").write_text("{ }")

    said = flakes.metadata(f"git+file://{flakes.folder}/alice")

    assert "rev" not in said["locked"]


def test_a_lock_is_filled_in_and_then_stays(flakes: Flakes) -> None:
    rev = flakes.agent()
    meta = flakes.meta(rev)

    flakes.nix("flake", "lock", f"path:{meta}")
    first = (meta / "flake.lock").read_text()
    flakes.nix("flake", "lock", f"path:{meta}")

    assert (meta / "flake.lock").read_text() == first
    lock = json.loads(first)
    assert (lock["version"], lock["root"]) == (7, "root")
    inputs = lock["nodes"]["root"]["inputs"]
    assert inputs.keys() == {"agent-alice", "base-0123456789ab"}
    agent = lock["nodes"][inputs["agent-alice"]]
    assert agent["locked"]["rev"] == agent["original"]["rev"] == rev
    assert first == json.dumps(lock, indent=2, sort_keys=True) + "\n"


def test_only_the_node_whose_url_changed_is_locked_anew(flakes: Flakes) -> None:
    first = flakes.agent()
    flakes.locked_meta(first)
    before = json.loads((flakes.folder / "meta/flake.lock").read_text())["nodes"]
    url = next(node for node in before if node.startswith("base"))
    second = flakes.agent(AGENT.replace("blue", "green"))

    flakes.locked_meta(second)

    after = json.loads((flakes.folder / "meta/flake.lock").read_text())["nodes"]
    assert after[url] == before[url]
    assert after["agent-alice"]["locked"]["rev"] == second


def test_an_agents_own_inputs_come_from_its_own_lock(flakes: Flakes) -> None:
    (flakes.folder / "tools").mkdir()
    (flakes.folder / "tools/flake.nix").write_text("{ outputs = { self }: { tool = 1; }; }\n")
    tools = flakes.metadata(f"path:{flakes.folder}/tools")["url"]
    flake = AGENT_FLAKE.replace("  outputs", f'  inputs.tools.url = "{tools}";\n  outputs', 1)
    flakes.agent(flake=flake)
    flakes.nix("flake", "lock", f"path:{flakes.folder}/alice")
    rev = flakes.commit("alice")

    built = flakes.build(flakes.locked_meta(rev))

    nodes = json.loads((flakes.folder / "meta/flake.lock").read_text())["nodes"]
    assert nodes["agent-alice"]["inputs"] == {"tools": "tools"}
    own = json.loads((flakes.folder / "alice/flake.lock").read_text())["nodes"]
    assert nodes["tools"]["locked"]["narHash"] == own["tools"]["locked"]["narHash"]
    assert json.loads(built.raw)


def test_a_build_leaves_a_link_to_a_system_that_knows_its_agent(flakes: Flakes) -> None:
    rev = flakes.agent(AGENT.replace("blue", f"built only in {flakes.folder}"))

    ran = flakes.build(flakes.locked_meta(rev), "--print-build-logs")

    (said,) = json.loads(ran.raw)
    system = (flakes.folder / "out").readlink()
    assert said["outputs"]["out"] == str(system)
    assert said["drvPath"].endswith("-nixos-system-alice.drv")
    assert (system / "init").stat().st_mode & 0o111
    facts = json.loads((system / "agent.json").read_text())
    assert (facts["agent"], facts["port"]) == ("alice", 8879)
    assert facts["variables"]["COLOUR"].endswith(" { throw")
    assert "nixos-system-alice> composing alice" in ran.tail


def test_the_same_inputs_are_the_same_system_from_any_commit_of_meta(flakes: Flakes) -> None:
    meta = flakes.locked_meta(flakes.agent())
    first = flakes.build(meta)
    another = flakes.commit("meta", note_txt="another commit")

    assert flakes.build(another).raw == first.raw
    assert flakes.git("meta", "status", "--porcelain") == ""


def test_another_commit_is_another_system(flakes: Flakes) -> None:
    first = flakes.build(flakes.locked_meta(flakes.agent()))
    second = flakes.build(flakes.locked_meta(flakes.agent(AGENT.replace("blue", "red"))))

    assert first.raw != second.raw


def test_a_commit_on_no_branch_can_be_built(flakes: Flakes) -> None:
    meta = flakes.locked_meta(flakes.agent())
    tree = flakes.git("meta", "rev-parse", f"{meta}^{{tree}}")
    loose = flakes.git("meta", "commit-tree", tree, "-m", "on no branch")

    assert flakes.build(loose).exit_code == 0


def test_a_base_that_changed_since_is_still_the_locked_one(flakes: Flakes) -> None:
    rev = flakes.agent()
    url = flakes.metadata(f"path:{flakes.base()}")["url"]
    first = flakes.build(flakes.locked_meta(rev))
    (flakes.folder / "base/flake.nix").write_text('{ outputs = throw "gone"; }')

    meta = flakes.meta(rev, url)
    flakes.nix("flake", "lock", f"path:{meta}")

    assert flakes.build(flakes.commit("meta")).raw == first.raw


ERRORS = {
    "throw": '{ ... }: { environment.variables.A = throw "the operator\'s words"; }',
    "assert-false": "{ ... }:\nassert false;\n{ }",
    "open-bracket": "{ ... }: { a = 1;",
    "extra-bracket": "{ ... }: { a = 1; } }",
    "wrong-bracket": "{ ... }: { a = [ 1 ; }",
    "untracked-import": "{ ... }: { imports = [ ./other.nix ]; }",
    "no-agent-nix": "",
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_agent_that_cannot_be_built_fails_in_nixs_words(flakes: Flakes, name: str) -> None:
    golden = json.loads((GOLDEN / "nix-errors.json").read_text())
    if name == "no-agent-nix":
        flakes.agent()

    assert golden[name] in flakes.error_of(ERRORS[name])


def test_a_file_that_git_does_not_know_is_not_there(flakes: Flakes) -> None:
    flakes.agent(ERRORS["untracked-import"])
    (flakes.folder / "alice/other.nix").write_text("{ }")
    rev = flakes.git("alice", "rev-parse", "HEAD")

    ran = flakes.build(flakes.locked_meta(rev), accept=ANY)

    assert "other.nix': No such file or directory" in plain(ran.tail)


def test_a_builder_that_fails_shows_its_last_lines(flakes: Flakes) -> None:
    said = flakes.error_of('{ ... }: { environment.variables.HIVE_SIM_BUILD = "fails"; }')

    assert re.search(
        r"error: builder for '\S+-nixos-system-alice\.drv' failed with exit code 1", said
    )
    assert "> asked to fail (HIVE_SIM_BUILD)" in said


def test_an_incomplete_lock_is_refused_when_it_may_not_change(flakes: Flakes) -> None:
    meta = flakes.meta(flakes.agent())
    rev = flakes.git("meta", "rev-parse", "HEAD")

    for reference, words in (
        (
            f"path:{meta}",
            "lock file changes but they're not allowed due to '--no-update-lock-file'",
        ),
        (f"git+file://{meta}?rev={rev}", "cannot write modified lock file of flake"),
    ):
        lock = ("flake", "metadata", "--no-update-lock-file")
        ran = flakes.nix(*lock, "--json", reference, accept=ANY)
        assert ran.exit_code == 1
        assert words in ran.tail
    assert flakes.build(rev, accept=ANY).exit_code == 1
    assert not (meta / "flake.lock").exists()


def test_an_agent_that_meta_does_not_name_is_a_missing_attribute(flakes: Flakes) -> None:
    meta = flakes.locked_meta(flakes.agent())

    ran = flakes.build(meta, agent="bob", accept=ANY)

    assert "does not provide attribute 'packages." in plain(ran.tail)
    assert """or 'nixosConfigurations."bob".config.system.build.toplevel'""" in plain(ran.tail)


def test_a_rev_that_is_not_in_the_object_store_is_not_found(flakes: Flakes) -> None:
    flakes.agent()

    ran = flakes.nix(
        "flake", "metadata", "--json", f"git+file://{flakes.folder}/alice?rev={NOWHERE}", accept=ANY
    )

    assert ran.exit_code == 1
    assert NOWHERE in ran.tail


@pytest.mark.parametrize("reference", ["path:{}/nothing", "git+file://{}/nothing"])
def test_a_flake_that_is_not_there_is_an_error(flakes: Flakes, reference: str) -> None:
    ran = flakes.nix("flake", "metadata", "--json", reference.format(flakes.folder), accept=ANY)

    assert ran.exit_code == 1
    assert "error: " in ran.tail


def test_a_base_of_broken_brackets_cannot_be_pinned(flakes: Flakes) -> None:
    (flakes.base() / "flake.nix").write_text("{ outputs = { self }: {")

    ran = flakes.nix("flake", "metadata", "--json", f"path:{flakes.base()}", accept=ANY)

    assert "error: syntax error, unexpected end of file" in plain(ran.tail)


def test_a_base_without_the_configuration_is_a_missing_attribute(flakes: Flakes) -> None:
    (flakes.base() / "flake.nix").write_text(
        "{ outputs = { self }: { nixosConfigurations = { }; }; }"
    )

    assert "attribute 'agent-base' missing" in flakes.error_of(AGENT)


def test_progress_is_told_in_json_lines(flakes: Flakes) -> None:
    rev = flakes.agent(AGENT.replace("blue", f"built only in {flakes.folder}"))
    meta = flakes.locked_meta(rev)

    told = flakes.build(meta, "--log-format", "internal-json", "-v").tail

    events = [json.loads(line[5:]) for line in told.splitlines() if line.startswith("@nix ")]
    assert any(e["action"] == "result" and e["type"] == 101 for e in events)
    assert any(e["action"] == "stop" for e in events)


def test_the_closure_of_a_system_ends_with_it(flakes: Flakes) -> None:
    flakes.build(flakes.locked_meta(flakes.agent()))

    infos = json.loads(flakes.nix("path-info", "-r", "--json", "-s", "./out").raw)

    system = str((flakes.folder / "out").readlink())
    (info,) = [each for each in infos if each["path"] == system]
    assert info["narSize"] == len(nar.nar(nar.read(system)))
    assert info["narHash"] == nar.nar_hash(nar.read(system))


def test_two_equal_closures_have_no_difference(flakes: Flakes) -> None:
    flakes.build(flakes.locked_meta(flakes.agent()))

    assert flakes.nix("store", "diff-closures", "./out", "./out").out == ""


def test_a_profile_counts_generations_and_links_relatively(flakes: Flakes) -> None:
    profile = flakes.folder / "profile/system"
    profile.parent.mkdir()
    systems = []
    for colour in ("blue", "red", "blue"):
        flakes.build(flakes.locked_meta(flakes.agent(AGENT.replace("blue", colour))))
        systems.append((flakes.folder / "out").readlink())

    for system in (systems[0], systems[0], systems[1], systems[2]):
        flakes.run("nix-env", "-p", profile, "--set", system)
        assert profile.resolve() == system

    assert str(profile.readlink()) == "system-3-link"
    assert len(list(profile.parent.glob("system-*-link"))) == 3


def test_a_profile_cannot_be_set_to_what_is_not_there(flakes: Flakes) -> None:
    profile = flakes.folder / "profile/system"
    profile.parent.mkdir()

    ran = flakes.run("nix-env", "-p", profile, "--set", flakes.folder / "nothing", accept=ANY)

    assert ran.exit_code == 1
    assert "nothing': No such file or directory" in ran.tail
    assert not profile.is_symlink()


@pytest.mark.parametrize("word", ["--frob", "frob"])
def test_a_word_that_nix_does_not_know_is_an_error(flakes: Flakes, word: str) -> None:
    assert "nix --help' for more information." in flakes.nix(word, accept=(1,)).tail
