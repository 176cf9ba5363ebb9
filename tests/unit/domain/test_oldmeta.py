"""The meta flake of a hyperhive: what its lock pins, and what is refused for it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from hive.domain.meta import Base, Meta, parse, render
from hive.domain.names import AgentName
from hive.domain.oldmeta import read, refuse_other_content, url_of
from hive.errors import Refused
from tests.unit.domain.samples import ALICE, BOB, MANAGER, OTHER_REV, REV

HASH = "sha256-aIgTDdu7ReKBYzobpv8Mrk4f6Jj+khNylthLHccANwM="
BASE_REV = "070b237d0312345678901234567890123456789a"
APPLIED = "/var/lib/hyperhive/applied"
TEXT = """\
{
  inputs.hyperhive.url = "git+https://git.example/hyperhive?ref=main";
  inputs.agent-alice.url = "git+file:///var/lib/hyperhive/applied/alice?ref=main";
  outputs = { self, hyperhive, ... }@inputs: {
    nixosConfigurations.alice = hyperhive.nixosConfigurations.agent-base.extendModules { };
  };
}
"""


def applied(agent: AgentName) -> str:
    return f"git+file://{APPLIED}/{agent}"


def an_agent(agent: AgentName, rev: str = REV, **locked: object) -> dict[str, Any]:
    """As nix 2.18 writes it; newer ones spell the ref in full."""
    where = {"type": "git", "url": f"file://{APPLIED}/{agent}"}
    said = {"lastModified": 1715786258, "narHash": HASH, "ref": "main", "rev": rev, "revCount": 3}
    return {"locked": {**where, **said, **locked}, "original": {**where, "ref": "main"}}


def a_hyperhive(**locked: object) -> dict[str, Any]:
    where = {"type": "git", "url": "https://git.example/hyperhive"}
    said = {"lastModified": 1715786258, "narHash": HASH, "ref": "refs/heads/main", "rev": BASE_REV}
    return {
        "inputs": {"nixpkgs": "nixpkgs"},
        "locked": {**where, **said, **locked},
        "original": {**where, "ref": "main"},
    }


def a_lock(change: Callable[[dict[str, Any]], object] = lambda nodes: None) -> str:
    nodes = {
        "agent-alice": an_agent(ALICE),
        "agent-hm1nd": an_agent(MANAGER, OTHER_REV),
        "hyperhive": a_hyperhive(),
        "nixpkgs": {
            "locked": {"type": "github", "owner": "NixOS", "repo": "nixpkgs", "rev": "e" * 40},
            "original": {"type": "github", "owner": "NixOS", "repo": "nixpkgs"},
        },
    }
    names = ("agent-alice", "agent-hm1nd", "hyperhive")
    nodes["root"] = {"inputs": {name: name for name in names}}
    nodes = copy.deepcopy(nodes)
    change(nodes)
    return json.dumps({"nodes": nodes, "root": "root", "version": 7})


def test_each_agent_is_pinned_where_its_lock_is_on_the_base_of_the_lock() -> None:
    meta = read(TEXT, a_lock(), applied)
    assert meta.bases == (
        Base(
            "base-070b237d0312",
            f"git+https://git.example/hyperhive?ref=refs/heads/main&rev={BASE_REV}",
            "git+https://git.example/hyperhive?ref=main",
        ),
    )
    assert [(block.agent, block.rev, block.url) for block in meta.blocks] == [
        (ALICE, REV, applied(ALICE)),
        (MANAGER, OTHER_REV, applied(MANAGER)),
    ]
    assert parse(render(meta)) == meta


def test_a_label_is_not_the_name_of_an_input() -> None:
    def relabel(nodes: dict[str, Any]) -> None:
        nodes["agent-alice_2"], nodes["x"] = nodes.pop("agent-alice"), nodes.pop("hyperhive")
        nodes["root"]["inputs"].update({"agent-alice": "agent-alice_2", "hyperhive": "x"})

    assert read(TEXT, a_lock(relabel), applied) == read(TEXT, a_lock(), applied)


def test_of_several_other_inputs_the_base_is_the_one_whose_systems_are_taken() -> None:
    def more(nodes: dict[str, Any]) -> None:
        nodes["root"]["inputs"]["nixpkgs"] = ["hyperhive", "nixpkgs"]

    assert read(TEXT, a_lock(more), applied).bases == read(TEXT, a_lock(), applied).bases
    with pytest.raises(Refused, match="hyperhive, nixpkgs") as refused:
        read("{ }", a_lock(more), applied)
    assert refused.value.code == "foreign-meta"


def test_a_meta_without_agents_is_an_empty_one() -> None:
    lock = {"nodes": {"root": {}}, "root": "root", "version": 7}
    assert read(TEXT, json.dumps(lock), applied) == Meta()


@pytest.mark.parametrize(
    ("locked", "url"),
    [
        ({"type": "github", "owner": "o", "repo": "r", "rev": REV, "narHash": HASH},
         f"github:o/r/{REV}"),
        ({"type": "github", "owner": "o", "repo": "r", "ref": "v1"}, "github:o/r/v1"),
        ({"type": "github", "owner": "o", "repo": "r"}, "github:o/r"),
        ({"type": "gitlab", "owner": "o", "repo": "r", "rev": REV, "host": "h", "dir": "a b"},
         f"gitlab:o/r/{REV}?dir=a%20b&host=h"),
        ({"type": "git", "url": "ssh://git@h/r", "rev": REV, "ref": "main", "shallow": True},
         f"git+ssh://git@h/r?ref=main&rev={REV}&shallow=1"),
        ({"type": "path", "path": "/nix/store/x-source", "narHash": HASH, "lastModified": 7},
         "path:/nix/store/x-source?lastModified=7"
         "&narHash=sha256-aIgTDdu7ReKBYzobpv8Mrk4f6Jj%2BkhNylthLHccANwM%3D"),
        ({"type": "path", "path": "/srv/base"}, "path:/srv/base"),
        ({"type": "tarball", "url": "https://h/x.tar.gz"}, "https://h/x.tar.gz"),
    ],
)  # fmt: skip
def test_a_locked_input_is_named_by_its_url(locked: dict[str, Any], url: str) -> None:
    assert url_of(locked) == url


def test_a_base_without_a_commit_is_named_by_its_hash() -> None:
    def a_folder(nodes: dict[str, Any]) -> None:
        said = {"type": "path", "path": "/srv/base"}
        nodes["hyperhive"] |= {"locked": {**said, "narHash": HASH}, "original": said}

    (base,) = read(TEXT, a_lock(a_folder), applied).bases
    assert (base.label, base.origin) == ("base-6888130ddbbb", "path:/srv/base")


Change = Callable[[dict[str, Any]], object]
FOREIGN: dict[str, Change] = {
    "an agent of elsewhere": lambda n: n["agent-alice"]["locked"].update(url="file:///srv/alice"),
    "an agent of another agent's repo": lambda n: n["agent-alice"].update(an_agent(BOB)),
    "an agent that is a folder": lambda n: n["agent-alice"]["locked"].update(type="path"),
    "an agent in a folder of its repo": lambda n: n["agent-alice"]["locked"].update(dir="x"),
    "an agent without a commit": lambda n: n["agent-alice"]["locked"].pop("rev"),
    "an agent that is not locked": lambda n: n["agent-alice"].pop("locked"),
    "an agent that is not there": lambda n: n.pop("agent-alice"),
    "a name that is none": lambda n: n["root"]["inputs"].update({"agent-A": "agent-alice"}),
    "no base": lambda n: n["root"]["inputs"].pop("hyperhive"),
    "a base of no hash": lambda n: n["hyperhive"].update(locked={"type": "path", "path": "/x"}),
    "a base of another kind": lambda n: n["hyperhive"]["locked"].update(type="mercurial"),
    "a base of no url": lambda n: n["hyperhive"]["locked"].pop("url"),
    "a follows to nowhere": lambda n: n["root"]["inputs"].update(hyperhive=["no"]),
    "a hash that is none": lambda n: n["hyperhive"].update(
        locked={"type": "path", "path": "/x", "narHash": "sha256-?"}
    ),
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_what_cannot_be_read_is_refused(change: Change) -> None:
    with pytest.raises(Refused) as refused:
        read(TEXT, a_lock(change), applied)
    assert refused.value.code == "foreign-meta"
    assert refused.value.hint


@pytest.mark.parametrize("lock", [None, "", "{", "[]", "{}", '{"nodes": 1}', "null"])
def test_what_is_no_lock_is_refused(lock: str | None) -> None:
    with pytest.raises(Refused) as refused:
        read(TEXT, lock, applied)
    assert refused.value.code == "foreign-meta"


def test_a_lock_of_another_version_is_refused() -> None:
    with pytest.raises(Refused, match="version 5"):
        read(TEXT, a_lock().replace('"version": 7', '"version": 5'), applied)


# The lock that nix then makes for hive's text


def rendered(change: Change = lambda nodes: None) -> str:
    def ours(nodes: dict[str, Any]) -> None:
        nodes["base-x"] = nodes.pop("hyperhive")
        inputs = nodes["root"]["inputs"]
        inputs["base-x"] = inputs.pop("hyperhive").replace("hyperhive", "base-x")
        change(nodes)

    return a_lock(ours)


def test_the_same_inputs_under_other_names_are_the_same() -> None:
    refuse_other_content(TEXT, a_lock(), rendered())


def test_an_input_that_would_be_another_is_refused() -> None:
    def follows(nodes: dict[str, Any]) -> None:
        nodes["other"] = {"locked": {"rev": "f" * 40}}
        nodes["hyperhive"]["inputs"]["nixpkgs"] = "other"

    with pytest.raises(Refused, match="hyperhive would be another") as refused:
        refuse_other_content(TEXT, a_lock(follows), rendered())
    assert "follows" in refused.value.hint
    with pytest.raises(Refused, match="agent-alice would be another"):
        refuse_other_content(
            TEXT, a_lock(), rendered(lambda n: n["agent-alice"]["locked"].update(rev="f" * 40))
        )
