"""Each nix is asked in its own words, and its answer is read; golden files say whose they are."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.nixversion import NixVersion, sizes
from hive.errors import Fault

GOLDEN = Path(__file__).parents[2] / "golden"
STORE = "/nix/store"
TOP = f"{STORE}/y9fhppdxymdjf800f1djlbvs8m3l6502-nixos-system-alice-23.05"
CLOSURE = {
    f"{STORE}/lw1fpd1fshsqn92jq8c8z4j15r55mfwa-big-data-1.0": 6_000_112,
    f"{STORE}/xw0dmwddicfqr36ik2wv9j5a85h07smd-libfoo-1.2.3": 120,
    TOP: 248,
}


@pytest.fixture(params=["2.8", "2.26", "2.34", "lix-2.93"])
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    text = (GOLDEN / f"nix-{request.param}.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def test_one_input_is_updated_in_the_words_of_each_nix(golden: dict[str, Any]) -> None:
    words = NixVersion(golden["version"]).update_input(Path("/meta"), "other")
    assert shlex.join(words) == golden["update_input"]


def test_a_closure_is_asked_for_in_the_words_of_each_nix(golden: dict[str, Any]) -> None:
    words = NixVersion(golden["version"]).path_info(Path(TOP))
    assert shlex.join(words) == golden["path_info"]["words"]


def test_a_closure_is_read_from_the_answer_of_each_nix(golden: dict[str, Any]) -> None:
    assert sizes(json.dumps(golden["path_info"]["said"]).encode()) == CLOSURE


def test_a_golden_answer_says_whether_a_nix_gave_it(golden: dict[str, Any]) -> None:
    assert golden["from"].partition(":")[0] in ("recorded", "written, not recorded")


@pytest.mark.parametrize(
    ("version", "verb"),
    [("2.8.0", "lock"), ("2.18.9", "lock"), ("2.19.0", "update"), ("2.19.1", "update"),
     ("2.19.2", "update"), ("2.100.0", "update"), ("3.0", "update"),
     ("2.35pre20260101_abcdef0", "update"), ("2.18.0pre20230901_x", "lock")],
)  # fmt: skip
def test_the_old_words_end_where_their_flag_was_gone(version: str, verb: str) -> None:
    assert NixVersion(f"nix (Nix) {version}\n").update_input(Path("/meta"), "x")[1] == verb


@pytest.mark.parametrize(
    ("said", "named"),
    [("nix (Nix) 2.32.5", False), ("nix (Nix) 2.33.0", True), ("nix (Lix, like Nix) 2.94.0", False),
     ("nix (Determinate Nix 3.11.2) 2.31.1", False), ("nix (Determinate Nix 3.15.0) 2.33.0", True)],
)  # fmt: skip
def test_only_a_nix_that_knows_formats_is_asked_for_one(said: str, named: bool) -> None:
    assert ("--json-format" in NixVersion(said).path_info(Path("/x"))) is named


@pytest.mark.parametrize("said", ["", "nix", "nix (Nix) next\n"])
def test_a_version_that_is_none_is_a_fault(said: str) -> None:
    with pytest.raises(Fault, match="no version"):
        NixVersion(said).path_info(Path("/x"))


@pytest.mark.parametrize(
    "said",
    ["", "{", "null", "1", '"/x"', "[1]", "[{}]", '[{"path": "/x", "valid": false}]',
     '{"/x": null}', '{"/x": {}}', '{"/x": {"narSize": "1"}}', "[" * 100_000],
)  # fmt: skip
def test_an_answer_of_another_shape_is_a_fault(said: str) -> None:
    with pytest.raises(Fault, match="of a closure"):
        sizes(said.encode())
