"""The closure of an agent, and the link that keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.errors import Refused, Transient
from hive.steps.closure import Built
from hive.steps.meta import CandidatePinned
from hive.steps.repos import AppliedSeeded
from hive.steps.step import Differs
from tests.pretend import ALICE, Pretend


def links(pretend: Pretend) -> list[Path]:
    folder = pretend.host.layout.gcroots / ALICE
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_closure_is_built_and_kept_by_a_link_named_by_its_key(pretend: Pretend) -> None:
    step = pretend.before(Built)
    found = pretend.finds(step)
    assert isinstance(found, Differs)
    assert "is not built" in found.because
    pretend.run(step)
    (link,) = links(pretend)
    assert link.name in found.because
    assert (link.resolve() / "init").exists()


def test_a_closure_that_is_built_costs_two_looks_at_meta_and_no_nix(pretend: Pretend) -> None:
    step = pretend.after(Built)
    assert pretend.cost(step) <= 2
    assert not [line for line in pretend.started if line.startswith("nix")]


def test_a_closure_that_the_collector_took_is_built_again(pretend: Pretend) -> None:
    step = pretend.after(Built)
    (link,) = links(pretend)
    link.unlink()
    assert pretend.run(step).applied == ["Built"]
    assert links(pretend) == [link]


def test_a_link_to_nowhere_is_not_a_closure(pretend: Pretend) -> None:
    step = pretend.after(Built)
    (link,) = links(pretend)
    system = link.readlink()
    link.unlink()
    link.symlink_to("/nowhere")
    pretend.run(step)
    assert link.readlink() == system


def test_another_commit_is_another_closure_beside_the_first(pretend: Pretend) -> None:
    step = pretend.after(Built)
    pretend.deploy_next(agent_nix='{ ... }: { systemd.services.x.environment.A = "1"; }\n')
    pretend.run(pretend.step(CandidatePinned))
    assert pretend.run(step).applied == ["Built"]
    one, other = links(pretend)
    assert one.resolve() != other.resolve()


def test_building_twice_is_building_once(pretend: Pretend) -> None:
    step = pretend.after(Built)
    before = [(link, link.readlink()) for link in links(pretend)]
    step.apply(pretend.world())
    assert [(link, link.readlink()) for link in links(pretend)] == before


def test_a_flake_that_throws_is_refused_with_nixs_words(pretend: Pretend) -> None:
    pretend.after(AppliedSeeded)
    pretend.deploy_next(agent_nix='{ ... }: throw "no such moon"\n')
    step = pretend.before(Built)
    with pytest.raises(Refused, match="no such moon") as caught:
        pretend.run(step)
    assert caught.value.code == "build-failed"
    assert links(pretend) == []


def test_a_flake_with_an_open_bracket_is_refused(pretend: Pretend) -> None:
    pretend.after(AppliedSeeded)
    pretend.deploy_next(agent_nix="{ ... }: {\n")
    with pytest.raises(Refused, match="syntax error"):
        pretend.run(pretend.before(Built))


def test_a_build_that_is_killed_may_be_tried_again(pretend: Pretend, tmp_path: Path) -> None:
    step = pretend.before(Built)
    world = pretend.world()
    program = pretend.state / "sim" / "bin" / "nix"
    program.unlink()
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    with pytest.raises(Transient, match="signal 9"):
        step.apply(world)


def test_nothing_is_built_where_nothing_is_pinned(pretend: Pretend) -> None:
    step = pretend.step(Built)
    assert pretend.finds(step) == Differs("nothing pins alice yet")
    with pytest.raises(Refused):
        step.apply(pretend.world())
