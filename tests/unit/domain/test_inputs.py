"""What an agent's flake may stand on: nothing of this host's own files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.inputs import refuse_host_inputs
from hive.errors import Refused
from tests.unit.domain.samples import ALICE, BOB, a_base, a_lock, a_node

ON_HOST: dict[str, dict[str, Any]] = {
    "an absolute path": {"type": "path", "path": "/etc"},
    "the host's root": {"type": "path", "path": "/"},
    "a path that climbs out": {"type": "path", "path": "../../secret"},
    "a path that climbs out later": {"type": "path", "path": "./a/../../.."},
    "a repo of this host": {"type": "git", "url": "file:///var/lib/hyperhive/applied/bob"},
    "a repo of this host by its scheme": {"type": "git", "url": "git+file:///srv/repo"},
    "a repo of this host by its path": {"type": "git", "url": "/srv/repo"},
    "a repo beside hive's own work": {"type": "git", "url": "../../../agents/bob/config"},
    "a repo below it": {"type": "git", "url": "repo"},
    "a file by a name that only nix's downloader knows": {"type": "file", "url": "FILE:///etc/x"},
    "a file behind a blank": {"type": "file", "url": " file:///etc/shadow"},
    "an archive of this host": {"type": "tarball", "url": "file:///root/x.tar.gz"},
    "a file of this host": {"type": "file", "url": "file:///etc/shadow"},
    "a mercurial repo of this host": {"type": "hg", "url": "file:///srv/repo"},
}
ELSEWHERE: dict[str, dict[str, Any]] = {
    "a repo": {"type": "git", "url": "https://example.org/repo"},
    "a repo by ssh": {"type": "git", "url": "ssh://git@example.org/repo"},
    "a repo by ssh, as git writes it": {"type": "git", "url": "git@example.org:repo.git"},
    "one of GitHub's": {"type": "github", "owner": "nixos", "repo": "nixpkgs"},
    "an archive": {"type": "tarball", "url": "https://example.org/x.tar.gz"},
    "a folder within its own flake": {"type": "path", "path": "./sub"},
    "another folder within it": {"type": "path", "path": "sub/flake"},
    "a folder with dots in its name": {"type": "path", "path": "a..b/..."},
}


def with_input(label: str, **locked: object) -> str:
    """The lock in which this node is another."""
    return json.dumps(a_lock(lambda nodes: nodes[label].update(locked=a_node(**locked)["locked"])))


@pytest.mark.parametrize("label", ["tool", "deep"])
@pytest.mark.parametrize("locked", ON_HOST.values(), ids=ON_HOST)
def test_an_input_that_names_this_host_is_refused_however_deep(
    label: str, locked: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match=f"'{label}' of alice") as caught:
        refuse_host_inputs(ALICE, with_input(label, **locked))
    assert caught.value.code == "host-input"
    assert str(locked.get("url", locked.get("path"))).strip() in caught.value.message


@pytest.mark.parametrize("locked", ELSEWHERE.values(), ids=ELSEWHERE)
def test_an_input_from_elsewhere_is_taken(locked: dict[str, Any]) -> None:
    refuse_host_inputs(ALICE, with_input("tool", **locked))


def test_the_agents_own_repo_is_on_this_host_and_is_hives() -> None:
    refuse_host_inputs(ALICE, with_input("agent-alice", type="git", url="file:///applied/alice"))


def test_the_base_may_be_on_this_host_and_what_follows_it_too() -> None:
    """An operator set it; `lib` of alice follows the base's."""
    label = a_base().label
    refuse_host_inputs(ALICE, with_input(label, type="path", path="/srv/base"))
    refuse_host_inputs(ALICE, with_input("lib", type="path", path="/srv/lib"))


def test_what_others_stand_on_is_theirs() -> None:
    lock = with_input("tool", type="path", path="/etc")
    refuse_host_inputs(BOB, lock)


def test_an_agent_without_inputs_stands_on_nothing() -> None:
    refuse_host_inputs(ALICE, json.dumps(a_lock(lambda nodes: nodes["agent-alice"].pop("inputs"))))


@given(st.dictionaries(st.sampled_from("abcde"), st.lists(st.sampled_from("abcde")), min_size=5))
def test_whatever_leads_to_what_a_file_of_this_host_is_found_and_nothing_else(
    leads: dict[str, list[str]],
) -> None:
    """Also where inputs lead round in a circle."""
    nodes = {
        name: {"inputs": {to: to for to in leads[name]}, "locked": {"type": "github"}}
        for name in leads
    }
    nodes["e"]["locked"] = {"type": "path", "path": "/etc"}
    root = {"inputs": {"agent-alice": "a"}}
    lock = json.dumps({"nodes": {**nodes, "root": root}, "root": "root"})
    if "e" in reached(leads, "a"):
        with pytest.raises(Refused):
            refuse_host_inputs(ALICE, lock)
    else:
        refuse_host_inputs(ALICE, lock)


def reached(leads: dict[str, list[str]], start: str) -> set[str]:
    """All that lies below, and not the start itself."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = set(leads[waiting.pop()]) - found - {start}
        found |= new
        waiting += new
    return found
