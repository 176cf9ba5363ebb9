"""Git as hive changes a repo: whole or not at all, and as nobody but hive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hive.adapters.git import MAIN
from hive.adapters.streams import RefMove
from hive.domain.names import Rev
from hive.errors import CommandFailed, Refused
from tests.contract.git_samples import (
    AT,
    FILES,
    GHOST,
    GIT,
    SIDE,
    a_repo,
    by_hand,
    fetch,
    grown,
    main_of,
)

TAG = "refs/tags/deployed/1"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return a_repo(tmp_path / "repo")


def a_candidate(repo: Path, parent: Rev | None, text: str = "a") -> Rev:
    return GIT.commit(repo, SIDE, {"flake.nix": text}, parent=parent, subject="try", at=None)


def test_a_commit_holds_exactly_its_files_and_is_hives(repo: Path) -> None:
    rev = grown(repo, "second", {"b/c": "deep\n", "a": ""})
    assert by_hand(repo, "ls-tree", "-r", "--name-only", rev).split() == ["a", "b/c"]
    said = by_hand(repo, "log", "-1", "--format=%an %ae %cn %ce %ct %s%n%b", rev)
    who = "hive-c0re hive-c0re@hyperhive"
    assert said == f"{who} {who} {int(AT.timestamp())} second"
    assert by_hand(repo, "fsck", "--strict", "--no-dangling") == ""


def test_the_same_content_is_the_same_commit_if_the_date_is_fixed(
    repo: Path, tmp_path: Path
) -> None:
    first = main_of(repo)
    again = a_repo(tmp_path / "again")
    assert a_candidate(repo, first) == a_candidate(repo, first) == a_candidate(again, first)
    assert a_candidate(repo, first, "b") != a_candidate(repo, first)


def test_a_commit_takes_the_ref_whatever_it_was(repo: Path) -> None:
    first = main_of(repo)
    a_candidate(repo, first, "a")
    made = a_candidate(repo, first, "b")
    assert GIT.ref(repo, SIDE) == made
    assert GIT.parent(repo, made) == first
    alone = a_candidate(repo, None, "c")
    assert GIT.ref(repo, SIDE) == alone
    assert GIT.parent(repo, alone) is None
    assert by_hand(repo, "ls-tree", "--name-only", alone) == "flake.nix"


def test_a_commit_beside_main_leaves_main_and_its_tree_as_they_were(repo: Path) -> None:
    before = main_of(repo)
    a_candidate(repo, before)
    assert main_of(repo) == before
    assert GIT.is_clean(repo)


def test_a_commit_on_what_is_not_there_is_not_made(repo: Path) -> None:
    with pytest.raises(CommandFailed):
        a_candidate(repo, GHOST)
    assert GIT.ref(repo, SIDE) is None


def test_refs_move_together(repo: Path) -> None:
    first = main_of(repo)
    made = a_candidate(repo, first)
    GIT.move(repo, RefMove(MAIN, made, first), RefMove(SIDE, None, made), RefMove(TAG, made, None))
    assert GIT.refs(repo) == {MAIN: made, TAG: made}
    GIT.move(repo)
    GIT.move(repo, RefMove(SIDE, None, None))
    assert GIT.refs(repo) == {MAIN: made, TAG: made}


WRONG: dict[str, Callable[[Rev, Rev], RefMove]] = {
    "another old value": lambda first, made: RefMove(MAIN, made, made),
    "there, and should not be": lambda first, made: RefMove(MAIN, made, None),
    "not there, and should be": lambda first, made: RefMove("refs/heads/none", made, first),
    "gone already": lambda first, made: RefMove("refs/heads/none", None, first),
    "no such commit": lambda first, made: RefMove(MAIN, GHOST, first),
}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_one_move_that_cannot_be_made_moves_nothing(
    repo: Path, wrong: Callable[[Rev, Rev], RefMove], packed: bool
) -> None:
    first = main_of(repo)
    made = a_candidate(repo, first)
    if packed:
        by_hand(repo, "pack-refs", "--all")
    before = GIT.refs(repo)
    moves = [RefMove(TAG, made, None), wrong(first, made), RefMove(SIDE, None, made)]
    with pytest.raises(CommandFailed):
        GIT.move(repo, *moves)
    assert GIT.refs(repo) == before
    assert not list((repo / ".git").rglob("*.lock"))


def test_a_fetch_brings_the_branch_and_no_tags(repo: Path, tmp_path: Path) -> None:
    by_hand(repo, "tag", "theirs")
    to = tmp_path / "applied"
    GIT.init(to)
    fetch(to, repo, f"{MAIN}:{MAIN}")
    assert GIT.refs(to) == {MAIN: main_of(repo)}
    assert not (to / ".git" / "FETCH_HEAD").exists()
    GIT.reset_tree(to)
    assert GIT.is_clean(to)
    assert (to / "flake.nix").read_text() == FILES["flake.nix"]


def test_a_fetch_of_what_is_not_there_is_refused(repo: Path, tmp_path: Path) -> None:
    to = tmp_path / "applied"
    GIT.init(to)
    with pytest.raises(Refused) as refused:
        fetch(to, repo, "refs/heads/none:refs/heads/none")
    assert refused.value.code == "no-such-ref"
    GIT.init(tmp_path / "empty")
    with pytest.raises(Refused) as refused:
        fetch(to, tmp_path / "empty", f"{MAIN}:{MAIN}")
    assert refused.value.code == "no-such-ref"
