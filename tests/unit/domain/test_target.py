"""The closure key: equal for what is one closure, different for all that decides it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hive.domain.meta import Block
from hive.domain.target import KEY_DIGITS, closure_key
from hive.errors import Refused
from tests.unit.domain.samples import MANAGER, OTHER_REV, a_base, a_block, a_lock, a_node

Nodes = dict[str, Any]
OTHER_HASH = "sha256-BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="
BASE = a_base().label


def key(change: Callable[[Nodes], object] = lambda nodes: None, block: Block | None = None) -> str:
    return closure_key(block or a_block(), json.dumps(a_lock(change)))


def relabel(nodes: Nodes) -> None:
    """As nix does when another agent comes: labels and their order change, inputs do not."""
    nodes["lib_2"], nodes["deep_7"] = nodes.pop("lib"), nodes.pop("deep")
    nodes[BASE]["inputs"]["lib"] = "lib_2"
    nodes["tool"]["inputs"]["deep"] = "deep_7"
    for label in sorted(nodes, reverse=True):
        nodes[label] = nodes.pop(label)


def another_cache(nodes: Nodes) -> None:
    for node in nodes.values():
        node.get("locked", {}).update(lastModified=99, revCount=12)


def another_agent(nodes: Nodes) -> None:
    nodes["agent-bob"] = a_node(rev=OTHER_REV)
    nodes["root"]["inputs"]["agent-bob"] = "agent-bob"


def a_direct_input(nodes: Nodes) -> None:
    """What alice follows is named by its label, not by a path: the same node."""
    nodes["agent-alice"]["inputs"]["lib"] = "lib"


@pytest.mark.parametrize("change", [relabel, another_cache, another_agent, a_direct_input])
def test_what_varies_without_another_closure_gives_the_same_key(
    change: Callable[[Nodes], None],
) -> None:
    assert key(change) == key()


def test_a_root_of_another_name_gives_the_same_key() -> None:
    lock = a_lock()
    lock["nodes"]["top"], lock["root"] = lock["nodes"].pop("root"), "top"
    assert closure_key(a_block(), json.dumps(lock)) == key()


CHANGES: dict[str, Callable[[Nodes], object]] = {
    "the agent's narHash": lambda n: n["agent-alice"]["locked"].update(narHash=OTHER_HASH),
    "the base's rev": lambda n: n[BASE]["locked"].update(rev=OTHER_REV),
    "the base's narHash": lambda n: n[BASE]["locked"].update(narHash=OTHER_HASH),
    "the folder of the base's flake": lambda n: n[BASE]["locked"].update(dir="other"),
    "an input of the base": lambda n: n["lib"]["locked"].update(rev=OTHER_REV),
    "an input of the agent": lambda n: n["tool"]["locked"].update(rev=OTHER_REV),
    "an input of an input": lambda n: n["deep"]["locked"].update(narHash=OTHER_HASH),
    "an input's name": lambda n: n["tool"].update(inputs={"other": "deep"}),
    "a new input": lambda n: n["tool"]["inputs"].update(more="lib"),
    "one input less": lambda n: n["tool"].update(inputs={}),
    "where a follows leads": lambda n: n["agent-alice"]["inputs"].update(lib=[BASE]),
    "whether an input is a flake": lambda n: n["deep"].update(flake=False),
    "the path of an input within its flake": lambda n: n["deep"].update(
        locked={"type": "path", "path": "./sub"}
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_decides_the_closure_changes_the_key(change: Callable[[Nodes], object]) -> None:
    assert key(change) != key()


def test_two_paths_within_a_flake_give_two_keys() -> None:
    def inside(path: str) -> Callable[[Nodes], object]:
        return lambda nodes: nodes["deep"].update(locked={"type": "path", "path": path})

    assert key(inside("./a")) != key(inside("./b"))


@pytest.mark.parametrize(
    "block",
    [
        a_block(rev=OTHER_REV),
        a_block(environment=(("HIVE_PORT", "1"),)),
        a_block(environment=(*a_block().environment, ("HIVE_MORE", ""))),
        a_block(environment=()),
    ],
)
def test_the_agents_own_block_changes_the_key(block: Block) -> None:
    assert key(block=block) != key()


def test_the_manager_has_another_key_than_an_agent_of_the_same_commit() -> None:
    def rename(nodes: Nodes) -> None:
        nodes["root"]["inputs"]["agent-hm1nd"] = nodes["root"]["inputs"].pop("agent-alice")

    block = a_block(MANAGER, environment=a_block().environment)
    assert key(rename, block) != key()


def test_a_key_is_sixteen_hex_digits() -> None:
    assert len(key()) == KEY_DIGITS == 16
    assert int(key(), 16) >= 0


def test_inputs_that_lead_back_to_themselves_have_a_key() -> None:
    def cycle(nodes: Nodes) -> None:
        nodes["deep"]["inputs"] = {"back": "tool"}
        nodes["tool"]["inputs"]["self"] = "tool"

    assert key(cycle) != key()
    assert key(cycle) == key(cycle)


def test_inputs_that_share_inputs_have_a_key_without_being_walked_twice() -> None:
    """Thirty doublings, walked as a tree, would be a thousand million nodes."""

    def doublings(nodes: Nodes) -> None:
        for n in range(30):
            node = a_node()
            node["inputs"] = {"left": f"x{n + 1}", "right": f"x{n + 1}"}
            nodes[f"x{n}"] = node
        nodes["x30"] = a_node()
        nodes["deep"]["inputs"] = {"x": "x0"}

    assert key(doublings) != key()


BROKEN: dict[str, Callable[[Nodes], object]] = {
    "the agent is missing": lambda n: n["root"]["inputs"].pop("agent-alice"),
    "a node is missing": lambda n: n.pop("deep"),
    "the root is missing": lambda n: n.pop("root"),
    "paths that follow each other": lambda n: n["root"]["inputs"].update(
        {"agent-alice": [BASE], BASE: ["agent-alice"]}
    ),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_lock_that_does_not_hold_together_is_refused(change: Callable[[Nodes], object]) -> None:
    with pytest.raises(Refused) as refused:
        key(change)
    assert refused.value.code == "foreign-meta"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"nodes": [], "root": "root"}', "null"])
def test_what_is_no_lock_at_all_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        closure_key(a_block(), text)
