"""A commit is deployed on what its own lock says, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hive.domain.inputs import refuse_stale
from hive.domain.names import AgentName
from hive.errors import Refused

ALICE = AgentName("alice")


def node(rev: str, **inputs: Any) -> dict[str, Any]:  # noqa: ANN401 - a label, or a path
    return {"locked": {"type": "github", "rev": rev, "narHash": f"sha256-{rev}"}, "inputs": inputs}


def a_lock(nodes: dict[str, Any], **root: Any) -> str:  # noqa: ANN401
    return json.dumps({"nodes": {"root": {"inputs": root}, **nodes}, "root": "root", "version": 7})


def meta(nodes: dict[str, Any], **inputs: Any) -> str:  # noqa: ANN401
    agent = {"locked": {"type": "git", "rev": "a" * 40}, "inputs": inputs}
    return a_lock({"agent-alice": agent, **nodes}, **{"agent-alice": "agent-alice"})


def test_an_agent_without_inputs_needs_no_lock() -> None:
    refuse_stale(ALICE, None, meta({}))


def test_what_the_own_lock_says_is_what_meta_says() -> None:
    below = {"pkgs": node("1", lib="lib"), "lib": node("2")}
    refuse_stale(ALICE, a_lock(below, pkgs="pkgs"), meta(below, pkgs="pkgs"))


def test_labels_and_follows_may_differ_and_what_they_lead_to_may_not() -> None:
    own = a_lock({"pkgs": node("1"), "x": node("3", pkgs=["pkgs"])}, pkgs="pkgs", x="x")
    below = {"pkgs_2": node("1"), "x_2": node("3", pkgs=["agent-alice", "pkgs"])}
    refuse_stale(ALICE, own, meta(below, pkgs="pkgs_2", x="x_2"))


@pytest.mark.parametrize(
    "own",
    [
        None,
        a_lock({}),
        a_lock({"pkgs": node("9")}, pkgs="pkgs"),
        a_lock({"other": node("1")}, other="other"),
        "{}",
        "[]",
        "not json",
        json.dumps({"nodes": {"root": {"inputs": {"pkgs": "gone"}}}, "root": "root"}),
    ],
)
def test_what_nix_had_to_fill_in_is_refused(own: str | None) -> None:
    with pytest.raises(Refused) as refused:
        refuse_stale(ALICE, own, meta({"pkgs": node("1")}, pkgs="pkgs"))
    assert refused.value.code == "stale-lock"
