"""The image of a worker, as far as it can be judged where no image can be had: its text."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest

from hive.adapters.shell import LocalShell
from tests.house.tree import ROOT

HERE = ROOT / "nix" / "container"
WAYS = ("single-user", "determinate", "multi-stage")
KNOWN = {"ARG", "CMD", "COPY", "ENV", "FROM", "RUN", "STOPSIGNAL", "VOLUME", "WORKDIR"}
GIB = 1 << 30


@dataclass
class Stage:
    name: str
    base: str
    does: list[tuple[str, str]] = field(default_factory=list)
    """Each instruction, and the rest of its line."""

    def of(self, *kinds: str) -> list[str]:
        return [rest for kind, rest in self.does if kind in kinds]


def instructions() -> list[tuple[str, str]]:
    lines = (HERE / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    whole = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole if line.strip()]


def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    for kind, rest in instructions():
        if kind == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = Stage(name, base)
        elif found:
            list(found.values())[-1].does.append((kind, rest))
    return found


def arguments() -> dict[str, str]:
    """Those before the first stage, which stages are named by."""
    said: dict[str, str] = {}
    for kind, rest in instructions():
        if kind == "FROM":
            break
        name, _, value = rest.partition("=")
        said[name] = value
    return said


def sources(stage: Stage) -> list[str]:
    """What it copies from the project."""
    plain = [rest.split() for rest in stage.of("COPY") if not rest.startswith("--from")]
    return [name for words in plain for name in words[:-1]]


def is_sent(path: str) -> bool:
    """The last line that fits decides, as docker reads a `.dockerignore`."""
    sent = True
    for line in (HERE / "Dockerfile.dockerignore").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            pattern = line.removeprefix("!")
            parts = [path, *(str(parent) for parent in Path(path).parents)]
            if any(fnmatch(part, pattern) for part in parts):
                sent = line.startswith("!")
    return sent


def conf(*names: str) -> dict[str, str]:
    text = "".join((HERE / name).read_text() for name in names)
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


def test_every_instruction_is_one_that_docker_knows() -> None:
    assert {kind for kind, _ in instructions()} <= KNOWN


def test_a_stage_stands_on_an_earlier_one_or_on_an_image_with_a_version() -> None:
    known: set[str] = set()
    for stage in stages().values():
        named = re.sub(r"\$\{(\w+)\}", lambda found: arguments()[found[1]], stage.base)
        assert named in known or re.fullmatch(r"[\w./-]+:[\w.-]+", named), stage.base
        assert not named.endswith(":latest")
        for rest in stage.of("COPY"):
            if found := re.match(r"--from=(\S+)", rest):
                assert found[1] in known, rest
        known.add(stage.name)


def test_each_way_is_a_stage_and_the_usual_one_is_among_them() -> None:
    assert set(WAYS) <= stages().keys()
    assert arguments()["WAY"] in WAYS
    assert stages()["worker"].base == "${WAY}"
    assert list(stages())[-1] == "worker", "docker builds the last one"


def test_what_is_copied_is_there_and_is_sent() -> None:
    copied = [name for stage in stages().values() for name in sources(stage)]
    assert len(copied) > len(WAYS)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert [name for name in copied if not is_sent(name)] == []


@pytest.mark.parametrize("name", [".git", ".git/config", ".venv/bin/python", "tests/conftest.py"])
def test_what_is_not_copied_is_not_sent(name: str) -> None:
    assert not is_sent(name)


def test_what_the_wheel_is_made_of_is_copied() -> None:
    """As pyproject.toml names it."""
    assert {"hive", "workers", "cli", "alembic", "README.md", "LICENSE", "pyproject.toml"} <= set(
        sources(stages()["hive"])
    )


@pytest.mark.parametrize("stage", stages(), ids=str)
def test_what_a_stage_runs_is_a_script_that_stops_at_its_first_error(stage: str) -> None:
    for script in stages()[stage].of("RUN"):
        LocalShell(os.environ).run("sh", "-n", "-c", script)
        assert ";" not in re.sub(r";\s+(fi|\})(?= |$)|\]; then", "", script), script
        assert "|" not in re.sub(r"\|\||echo \S+  \S+ \| sha256sum --check", "", script), script


@pytest.mark.parametrize("stage", stages(), ids=str)
def test_what_is_fetched_comes_over_tls_and_can_be_pinned(stage: str) -> None:
    for script in stages()[stage].of("RUN"):
        if "curl" in script and "apt-get" not in script:
            assert "--proto '=https' --tlsv1.2 --fail" in script
            assert "sha256sum --check" in script


def test_a_stage_declares_each_argument_that_it_uses() -> None:
    """What stands before the first stage is empty inside one that does not name it again."""
    for stage in stages().values():
        declared = {rest.partition("=")[0] for rest in stage.of("ARG")}
        made = {"HOME", "PATH", *re.findall(r"(\w+)=\"\$\(", " ".join(stage.of("RUN")))}
        used = set(re.findall(r"\$\{?(\w+)", " ".join(stage.of("RUN", "ENV", "COPY"))))
        assert used <= declared | made, stage.name


def test_every_way_puts_nix_and_its_settings_where_the_worker_looks() -> None:
    (path,) = (rest for rest in stages()["system"].of("ENV") if rest.startswith("PATH="))
    assert "/nix/var/nix/profiles/default/bin" in path
    for way in WAYS:
        assert "nix/container/nix.conf" in sources(stages()[way]), way


def test_what_is_copied_into_the_store_is_kept_from_the_collector() -> None:
    """A link into the other store's folder leads nowhere in the worker's."""
    script, prebuilt = stages()["closure"].of("RUN")
    assert "/nix/var/nix/profiles /closure/nix/var/nix/gcroots/profiles" in script
    assert script.index("nix copy") < script.index("gcroots/profiles")
    assert "/closure/nix/var/nix/gcroots/prebuilt" in prebuilt


def test_the_store_is_a_volume_and_nothing_is_written_to_it_after_that() -> None:
    last = stages()["worker"].does[-1]
    assert last[0] == "VOLUME"
    assert '"/nix"' in last[1]
    assert [stage.name for stage in stages().values() if stage.of("VOLUME")] == ["worker"]


def test_nix_is_set_up_as_the_docs_say() -> None:
    said = conf("nix.conf")
    assert (said["sandbox"], said["experimental-features"]) == ("false", "nix-command flakes")
    assert (int(said["min-free"]), int(said["max-free"])) == (20 * GIB, 50 * GIB)
    assert conf("without-build-users.conf") == {"build-users-group": ""}


def test_garbage_is_collected_each_day_and_older_than_one() -> None:
    timer, service = (
        (HERE / f"hive-worker-collect.{kind}").read_text() for kind in ("timer", "service")
    )
    assert "OnCalendar=daily" in timer
    assert "docker exec hive-worker nix-collect-garbage --delete-older-than 1d" in service
