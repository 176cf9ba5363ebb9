"""Candidates beside meta's main, and what they stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.domain.job import JobId
from hive.domain.target import AppliedMain, Pinned
from hive.errors import Refused
from hive.steps.closure import Built
from hive.steps.deploy import Deployed
from hive.steps.meta import CandidatePinned
from hive.steps.repos import AppliedSeeded
from hive.steps.step import Differs, Holds
from hive.steps.tags import ProposalPinned
from tests.pretend import ALICE, BOB, MAIN, Pretend, a_base, a_pretend_host, tree

CANDIDATE = "refs/heads/candidate/alice"


def test_a_candidate_pins_the_agent_and_leaves_main_alone(pretend: Pretend) -> None:
    step = pretend.before(CandidatePinned)
    assert isinstance(pretend.finds(step), Differs)
    pretend.run(step)
    meta, rev = pretend.meta, pretend.refs(pretend.applied())[MAIN]
    assert set(pretend.refs(meta)) == {MAIN, CANDIDATE}
    assert pretend.git(meta, "log", "--format=%s", "main") == "init"
    assert f"?rev={rev}" in pretend.git(meta, "show", f"{CANDIDATE}:flake.nix")
    assert rev in pretend.git(meta, "show", f"{CANDIDATE}:flake.lock")
    assert pretend.is_clean(meta)


def test_a_candidate_that_is_there_costs_one_program(pretend: Pretend) -> None:
    step = pretend.after(CandidatePinned)
    assert pretend.cost(step) <= 2  # main's text, and the candidate's


def test_what_main_pins_costs_one_program_at_most(pretend: Pretend) -> None:
    pretend.spawn()
    assert pretend.cost(pretend.step(CandidatePinned)) <= 1


def test_a_candidate_of_an_older_commit_is_made_anew(pretend: Pretend) -> None:
    step = pretend.after(CandidatePinned)
    rev = pretend.deploy_next(agent_nix="{ }\n")
    assert pretend.run(step).applied == ["CandidatePinned"]
    assert f"?rev={rev}" in pretend.git(pretend.meta, "show", f"{CANDIDATE}:flake.nix")


def test_the_same_candidate_twice_is_the_same_commit(pretend: Pretend) -> None:
    step = pretend.after(CandidatePinned)
    before, files = pretend.refs(pretend.meta), tree(pretend.meta, without=(".git",))
    step.apply(pretend.world())
    assert pretend.refs(pretend.meta) == before
    assert tree(pretend.meta, without=(".git",)) == files
    assert pretend.holds(step)


def test_with_others_recorded_main_its_tree_and_its_index_stay_as_they_are(
    pretend: Pretend,
) -> None:
    pretend.spawn()
    before = pretend.refs(pretend.meta)[MAIN]
    index = (pretend.meta / ".git" / "index").read_bytes()
    files = tree(pretend.meta, without=(".git",))
    pretend.after(CandidatePinned, BOB)
    assert pretend.refs(pretend.meta)[MAIN] == before
    assert (pretend.meta / ".git" / "index").read_bytes() == index
    assert tree(pretend.meta, without=(".git",)) == files


def test_a_second_agent_stands_on_the_base_that_main_names(tmp_path: Path) -> None:
    with a_pretend_host(tmp_path, HIVE_BASE_FLAKE=a_base(tmp_path)) as pretend:
        pretend.spawn()
        (tmp_path / "base" / "modules.nix").write_text("{ }\n")  # a newer base
        pretend.started.clear()
        pretend.spawn(BOB, job=2)
        assert not [line for line in pretend.started if "flake metadata" in line]
        text = pretend.git(pretend.meta, "show", "main:flake.nix")
        assert text.count('inputs."base-') == 2
        assert len({line for line in text.splitlines() if '"base-' in line and ".url" in line}) == 1


@pytest.mark.parametrize("flake", ["{ outputs = {", "{ inputs = { }; }"])
def test_a_base_that_does_not_evaluate_is_refused_with_nixs_words(
    tmp_path: Path, flake: str
) -> None:
    with a_pretend_host(tmp_path, HIVE_BASE_FLAKE=a_base(tmp_path, flake)) as pretend:
        pretend.before(CandidatePinned)
        with pytest.raises(Refused) as caught:
            pretend.run(pretend.step(CandidatePinned), pretend.step(Built))
        assert caught.value.code in ("base-unreadable", "build-failed")
        assert len(caught.value.message.splitlines()) == 1


def test_a_base_that_nix_cannot_parse_is_refused_before_anything_is_pinned(tmp_path: Path) -> None:
    with a_pretend_host(tmp_path, HIVE_BASE_FLAKE=a_base(tmp_path, "{ outputs = {")) as pretend:
        step = pretend.before(CandidatePinned)
        with pytest.raises(Refused, match="syntax error") as caught:
            pretend.run(step)
        assert caught.value.code == "base-unreadable"
        assert set(pretend.refs(pretend.meta)) == {MAIN}


def test_a_base_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    with a_pretend_host(tmp_path, HIVE_BASE_FLAKE=f"path:{tmp_path}/nowhere") as pretend:
        step = pretend.before(CandidatePinned)
        with pytest.raises(Refused, match="nowhere") as caught:
            pretend.run(step)
        assert caught.value.code == "base-unreadable"


def test_without_a_base_nothing_is_pinned_and_the_hint_says_what_to_set(pretend: Pretend) -> None:
    pretend.changes["base"] = None
    step = pretend.before(CandidatePinned)
    with pytest.raises(Refused) as caught:
        pretend.run(step)
    assert caught.value.code == "no-base-flake"
    assert "HIVE_BASE_FLAKE" in caught.value.hint


def test_a_foreign_meta_is_refused_and_left_alone(pretend: Pretend) -> None:
    pretend.after(AppliedSeeded)
    meta = pretend.meta
    meta.mkdir()
    pretend.git(meta, "init", "--quiet", "--initial-branch=main")
    (meta / "flake.nix").write_text("{ outputs = _: { }; }\n")
    pretend.git(meta, "add", "--all")
    pretend.git(meta, "commit", "--quiet", "--message", "by hand")
    before = pretend.refs(meta)
    with pytest.raises(Refused) as caught:
        pretend.run(CandidatePinned(pretend.step(CandidatePinned).target))  # type: ignore[attr-defined]
    assert caught.value.code == "foreign-meta"
    assert pretend.refs(meta) == before


def test_a_folder_in_the_way_of_meta_is_refused_and_kept(pretend: Pretend) -> None:
    step = pretend.before(CandidatePinned)
    pretend.meta.mkdir()
    (pretend.meta / "notes").write_text("mine")
    with pytest.raises(Refused) as caught:
        pretend.run(step)
    assert caught.value.code == "in-the-way"
    assert (pretend.meta / "notes").read_text() == "mine"


def test_the_locks_of_a_killed_git_are_removed_before_the_next_candidate(pretend: Pretend) -> None:
    step = pretend.before(CandidatePinned)
    pretend.run(step)
    pretend.deploy_next(agent_nix="{ }\n")
    corpse = pretend.meta / ".git" / f"{CANDIDATE}.lock"
    corpse.touch()
    from hive.steps.leftovers import clear_leftovers

    clear_leftovers(pretend.world(), ALICE)
    assert not corpse.exists()
    assert pretend.run(step).applied == ["CandidatePinned"]


# What a target says beside a commit


def pinned_text(pretend: Pretend, ref: str = CANDIDATE) -> str:
    return pretend.git(pretend.meta, "show", f"{ref}:flake.nix")


def test_what_the_operator_set_is_in_the_candidate_and_makes_another_closure(
    pretend: Pretend,
) -> None:
    pretend.spawn()
    target = AppliedMain(ALICE, overrides=(("HIVE_MODEL", "o${p}us"),))
    assert pretend.holds(CandidatePinned(AppliedMain(ALICE)))
    found = pretend.finds(CandidatePinned(target))
    assert found == Differs("no commit of meta pins what alice wants")
    pretend.run(CandidatePinned(target))
    assert 'HIVE_MODEL = "o\\${p}us"' in pinned_text(pretend)
    assert "HIVE_MODEL" not in pinned_text(pretend, "main")
    assert pretend.run(Built(target)).applied == ["Built"]
    before = pretend.refs(pretend.meta)
    CandidatePinned(target).apply(pretend.world())
    assert pretend.refs(pretend.meta) == before
    assert pretend.cost(CandidatePinned(target)) <= 2


def test_what_is_set_no_more_is_in_no_candidate(pretend: Pretend) -> None:
    pretend.spawn()
    old, new = (AppliedMain(ALICE, (("HIVE_MODEL", name),)) for name in ("opus", "sonnet"))
    pretend.run(CandidatePinned(old), CandidatePinned(new))
    assert isinstance(pretend.finds(CandidatePinned(old)), Differs)
    assert "opus" not in pinned_text(pretend)
    assert pretend.holds(CandidatePinned(AppliedMain(ALICE))), "main pins that"


def test_a_target_with_a_base_moves_to_it_and_one_without_stays(tmp_path: Path) -> None:
    with a_pretend_host(tmp_path, HIVE_BASE_FLAKE=a_base(tmp_path)) as pretend:
        pretend.spawn()
        flake = tmp_path / "base" / "flake.nix"
        flake.write_text(flake.read_text() + "# newer\n")
        reference = pretend.world().base
        assert reference is not None
        base = pretend.world().nix.pin(reference)
        assert pretend.holds(CandidatePinned(AppliedMain(ALICE))), "a base that moved is nothing"
        moving = AppliedMain(ALICE, base=base)
        assert isinstance(pretend.finds(CandidatePinned(moving)), Differs)
        pretend.run(CandidatePinned(moving), Built(moving))
        assert base.url in pinned_text(pretend)
        assert base.url not in pinned_text(pretend, "main")
        found = pretend.finds(CandidatePinned(moving))
        assert isinstance(found, Holds)
        assert base.label in found.because
        pretend.run(Deployed(moving, JobId(2)))
        assert pretend.holds(CandidatePinned(AppliedMain(ALICE))), "what it stands on now"
        assert base.url in pinned_text(pretend, "main")


def test_a_commit_that_is_proposed_is_pinned_and_main_does_not_move(pretend: Pretend) -> None:
    pretend.spawn()
    before = pretend.refs(pretend.applied())[MAIN]
    rev = pretend.propose(agent_nix="{ }\n")
    target = Pinned(ALICE, rev)
    pretend.run(ProposalPinned(ALICE, JobId(2), rev), CandidatePinned(target), Built(target))
    assert f"?rev={rev}" in pinned_text(pretend)
    assert pretend.refs(pretend.applied())[MAIN] == before
    assert pretend.holds(CandidatePinned(AppliedMain(ALICE)))
    assert pretend.run(Deployed(target, JobId(2))).applied == ["Deployed"]
    assert pretend.refs(pretend.applied())[MAIN] == rev
