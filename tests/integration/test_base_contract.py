"""The bases of the tests, the pretend host's and the real one: beneath meta they are the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hive.domain.agent import AgentSettings
from hive.domain.meta import Base, Block, Meta, identity, render
from hive.domain.names import AgentName, Rev
from tests.nix_tree import CHECKS, ROOT, evaluated

Nix = dict[str, str]
SIM, LAB = ROOT / "hive" / "sim" / "base", ROOT / "tests" / "lab" / "base"
PLAIN = ROOT / "tests" / "integration" / "base"
AGENTS = (AgentName("alice"), AgentName("hm1nd"))
OVERRIDES = AgentSettings(model="opus", allowed_tools="Bash").overrides


@pytest.fixture
def meta(tmp_path: Path) -> Path:
    """Two agents of one base: one as it is, and the manager, with what an operator can set."""
    base = Base("base-0123456789ab", "path:/base", "path:/base")
    text = Meta()
    for agent in AGENTS:
        said = OVERRIDES if agent.is_manager else ()
        url = f"git+file:///applied/{agent}"
        block = Block.of(agent, url=url, rev=Rev("a" * 40), base=base.label, overrides=said)
        text = text.with_block(block, base)
    (tmp_path / "meta.nix").write_text(render(text), newline="")
    return tmp_path / "meta.nix"


@pytest.fixture
def bases(tmp_path: Path) -> dict[str, Path]:
    """As conftest of the lab puts its one together."""
    lab = tmp_path / "lab"
    shutil.copytree(SIM, lab)
    for file in LAB.glob("*.nix"):
        shutil.copy(file, lab)
    return {"sim": SIM / "flake.nix", "lab": lab / "flake.nix", "plain": PLAIN / "flake.nix"}


def seen(env: Nix, meta: Path, base: Path | None = None) -> dict[str, Any]:
    given = () if base is None else ("--arg", "base", str(base))
    found = evaluated(env, CHECKS / "contract.nix", "--arg", "meta", str(meta), *given)
    assert isinstance(found, dict)
    return found


def told(agent: AgentName) -> dict[str, str]:
    said = dict(identity(agent))
    return {**said, **dict(OVERRIDES)} if agent.is_manager else {**said, "HIVE_MODEL": "sonnet"}


@pytest.mark.parametrize("name", ["sim", "lab"])
def test_a_base_of_the_tests_is_to_meta_what_the_real_one_is(
    real_nix: Nix, meta: Path, bases: dict[str, Path], name: str
) -> None:
    real, other = seen(real_nix, meta), seen(real_nix, meta, bases[name])
    assert other["names"] == real["names"] == ["agent-base", "manager"]
    assert other["takesModules"] == real["takesModules"] == {"agent-base": True, "manager": True}
    assert other["agents"].keys() == real["agents"].keys() == set(AGENTS)
    for agent in AGENTS:
        mine, theirs = real["agents"][agent], other["agents"][agent]
        assert mine["isDerivation"] and theirs["isDerivation"]
        assert mine["GREETING"] == theirs["GREETING"] == "hello"
        # The real one says more, and nothing else of the same name.
        assert theirs["environment"] == told(agent)
        assert mine["environment"] | theirs["environment"] == mine["environment"]


def test_the_plain_base_hands_on_the_identity_too(
    real_nix: Nix, meta: Path, bases: dict[str, Path]
) -> None:
    """It has no module system: an agent's own definitions are not its business."""
    real, plain = seen(real_nix, meta), seen(real_nix, meta, bases["plain"])
    assert plain["names"] == real["names"]
    assert plain["takesModules"] == real["takesModules"]
    for agent in AGENTS:
        environment = plain["agents"][agent]["environment"]
        assert {key: environment[key] for key, _ in identity(agent)} == dict(identity(agent))
