"""What an agent's flake may stand on: nothing of this host's own files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.inputs import refuse_host_inputs, refuse_own_host_inputs
from hive.errors import Refused
from tests.unit.domain.samples import ALICE, BOB, a_base, a_lock, a_node

ON_HOST: dict[str, dict[str, Any]] = {
    "an absolute path": {"type": "path", "path": "/etc"},
    "the host's root": {"type": "path", "path": "/"},
    "a path that climbs out": {"type": "path", "path": "../../secret"},
    "a path that climbs out later": {"type": "path", "path": "./a/../../.."},
    "a folder within its own flake, where a link may be": {"type": "path", "path": "./sub/etc"},
    "a path that is none": {"type": "path", "path": None},
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
    "a mercurial repo by its path": {"type": "hg", "url": "/srv/repo"},
    "what a registry of this host says": {"type": "indirect", "id": "nixpkgs"},
    "a kind that is new": {"type": "vault", "url": "https://example.org/x"},
    "no kind": {"type": None},
    "a repo without a URL": {"type": "git", "url": None},
    "a URL that is no text": {"type": "git", "url": ["file:///srv/repo"]},
    "a program of git's": {"type": "git", "url": "ext::sh -c touch% /x"},
    "a program of git's behind a scheme": {"type": "git", "url": "ext::https://example.org"},
    "an option of ssh's": {"type": "git", "url": "ssh://-oProxyCommand=touch/x"},
    "an option of ssh's, as git writes it": {"type": "git", "url": "-oProxyCommand=x@y:z"},
    "a helper of git's": {"type": "git", "url": "a@b::file:///srv/repo"},
    "a host without a name": {"type": "tarball", "url": "https:///etc/passwd"},
    "a forge with a URL of this host": {"type": "github", "url": "file:///srv/repo"},
    "whatever a repo calls its submodules": {
        "type": "git",
        "url": "https://example.org/repo",
        "submodules": True,
    },
    "a folder outside of a repo": {
        "type": "git",
        "url": "https://example.org/repo",
        "dir": "../../etc",
    },
}
ELSEWHERE: dict[str, dict[str, Any]] = {
    "a repo": {"type": "git", "url": "https://example.org/repo"},
    "a repo by ssh": {"type": "git", "url": "ssh://git@example.org/repo"},
    "a repo by ssh, as git writes it": {"type": "git", "url": "git@example.org:repo.git"},
    "one of GitHub's": {"type": "github", "owner": "nixos", "repo": "nixpkgs"},
    "an archive": {"type": "tarball", "url": "https://example.org/x.tar.gz"},
    "a repo by http": {"type": "git", "url": "http://example.org:8080/repo"},
    "a repo by git's own way": {"type": "git", "url": "git://example.org/repo"},
    "a repo without submodules": {
        "type": "git",
        "url": "https://example.org/repo",
        "submodules": False,
        "dir": "a..b/...",
    },
    "one of GitLab's": {"type": "gitlab", "owner": "a", "repo": "b", "host": "git.example.org"},
    "one of sourcehut's": {"type": "sourcehut", "owner": "~a", "repo": "b"},
    "a repo of mercurial's": {"type": "hg", "url": "https://example.org/repo"},
    "a file": {"type": "file", "url": "https://example.org/x"},
}


def own_lock(label: str, **locked: object) -> str:
    """The lock of an agent's own flake, in which this node is another."""
    nodes = json.loads(with_input(label, **locked))["nodes"]
    kept = {name: nodes[name] for name in ("tool", "deep")}
    root = {"inputs": {"tool": "tool"}}
    return json.dumps({"nodes": {**kept, "root": root}, "root": "root", "version": 7})


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


@pytest.mark.parametrize("locked", ON_HOST.values(), ids=ON_HOST)
def test_it_is_refused_in_its_own_lock_before_nix_reads_that(locked: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="'deep' of alice") as caught:
        refuse_own_host_inputs(ALICE, own_lock("deep", **locked))
    assert caught.value.code == "host-input"


@pytest.mark.parametrize("locked", ELSEWHERE.values(), ids=ELSEWHERE)
def test_an_own_lock_may_name_what_is_elsewhere(locked: dict[str, Any]) -> None:
    refuse_own_host_inputs(ALICE, own_lock("tool", **locked))


@pytest.mark.parametrize(
    "own", ["", "{", "[]", "{}", "null", '{"nodes": 1, "root": "root"}', '{"nodes": {"a": 1}}',
            '{"nodes": {"tool": {}, "tool": {}}, "root": "root"}', "[" * 100_000]
)  # fmt: skip
def test_an_own_lock_that_can_be_read_in_two_ways_or_in_none_is_refused(own: str) -> None:
    with pytest.raises(Refused) as caught:
        refuse_own_host_inputs(ALICE, own)
    assert caught.value.code == "stale-lock"


def test_an_own_lock_without_an_answer_for_an_input_is_refused() -> None:
    with pytest.raises(Refused, match="not locked"):
        refuse_own_host_inputs(ALICE, '{"nodes": {"tool": {}, "root": {}}, "root": "root"}')


def test_the_agents_own_repo_has_no_submodules() -> None:
    with pytest.raises(Refused, match="submodules"):
        refuse_host_inputs(ALICE, with_input("agent-alice", submodules=True))


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
