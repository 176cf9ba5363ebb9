"""Where things lie: hyperhive's folders and names, so that a host can move over in place."""

from __future__ import annotations

from pathlib import Path

from hive.domain.names import AgentName
from tests.unit.domain.samples import ALICE, BOB, MANAGER, a_layout

LAYOUT = a_layout()


def test_the_folders_of_the_contract_are_kept() -> None:
    assert LAYOUT.home(ALICE) == Path("/var/lib/hyperhive/agents/alice")
    assert LAYOUT.proposed(ALICE) == Path("/var/lib/hyperhive/agents/alice/config")
    assert LAYOUT.applied(ALICE) == Path("/var/lib/hyperhive/applied/alice")
    assert LAYOUT.meta == Path("/var/lib/hyperhive/meta")
    assert LAYOUT.runtime(ALICE) == Path("/run/hyperhive/agents/alice")
    assert LAYOUT.locks == Path("/run/hyperhive/locks")


def test_a_container_has_its_places_by_its_own_name() -> None:
    container = ALICE.container
    assert LAYOUT.conf(container) == Path("/etc/nixos-containers/h-alice.conf")
    assert LAYOUT.root(container) == Path("/var/lib/nixos-containers/h-alice")
    assert LAYOUT.profile(container) == Path("/nix/var/nix/profiles/per-container/h-alice/system")
    drop_in = "/run/systemd/system/container@h-alice.service.d/hyperhive-limits.conf"
    assert LAYOUT.drop_in(container) == Path(drop_in)


def test_a_closure_is_kept_by_its_key() -> None:
    assert LAYOUT.gcroot(ALICE, "0123") == Path("/nix/var/nix/gcroots/hive/alice/0123")


def test_no_agents_lock_is_the_lock_of_meta() -> None:
    assert LAYOUT.agent_lock(AgentName("meta")) != LAYOUT.meta_lock
    assert LAYOUT.agent_lock(ALICE).parent == LAYOUT.meta_lock.parent == LAYOUT.locks


def test_things_in_the_making_can_be_renamed_to_their_place() -> None:
    assert LAYOUT.scratch.parent == LAYOUT.state


def test_two_agents_share_no_place() -> None:
    for at in (LAYOUT.home, LAYOUT.proposed, LAYOUT.applied, LAYOUT.runtime, LAYOUT.agent_lock):
        assert len({at(ALICE), at(BOB), at(MANAGER)}) == 3
