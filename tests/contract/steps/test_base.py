"""The base that a node wants its agents on: pinned by a job, and read by those after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive.domain.job import JobId
from hive.errors import Fault, Refused
from hive.steps.base import BaseWanted, wanted_base
from hive.steps.step import Differs, Holds
from tests.pretend import Pretend, a_base, a_pretend_host

STEP = BaseWanted(JobId(3))


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[Pretend]:
    """A host whose base flake is the test's own, to change."""
    with a_pretend_host(tmp_path, HIVE_BASE_FLAKE=a_base(tmp_path)) as pretend:
        yield pretend


def move_base(pretend: Pretend) -> None:
    flake = pretend.folder / "base" / "flake.nix"
    flake.write_text(flake.read_text() + "# newer\n")


def file(pretend: Pretend) -> Path:
    return pretend.host.layout.wanted_base


def test_where_it_was_never_looked_at_there_is_no_base(pretend: Pretend) -> None:
    assert pretend.finds(STEP) == Differs(
        "the base flake was not looked at yet: nothing was pinned"
    )
    assert wanted_base(pretend.world()) is None
    assert pretend.started == []


def test_a_base_is_pinned_and_read_back_without_a_program(moving: Pretend) -> None:
    assert moving.run(STEP).applied == ["BaseWanted"]
    base = wanted_base(moving.world())
    assert base is not None
    assert base.origin == moving.world().base
    assert "narHash=" in base.url
    assert moving.finds(STEP) == Holds(f"the base is {base.label}")
    assert moving.cost(STEP) == 0


def test_pinning_twice_writes_the_same(moving: Pretend) -> None:
    moving.run(STEP)
    before = file(moving).read_bytes()
    STEP.apply(moving.world())
    assert file(moving).read_bytes() == before
    assert moving.run(STEP).held == ["BaseWanted"]


def test_one_job_pins_one_base_and_another_one_looks_again(moving: Pretend) -> None:
    moving.run(STEP)
    first = wanted_base(moving.world())
    move_base(moving)
    assert moving.run(STEP).held == ["BaseWanted"]
    assert wanted_base(moving.world()) == first
    assert moving.run(BaseWanted(JobId(4))).applied == ["BaseWanted"]
    second = wanted_base(moving.world())
    assert first is not None
    assert second is not None
    assert (second.url, second.label) != (first.url, first.label)


def test_a_number_that_a_lost_database_had_given_is_not_newer(moving: Pretend) -> None:
    """Else every update would hold without a look until the new numbers have caught up."""
    moving.run(BaseWanted(JobId(90)))
    first = wanted_base(moving.world())
    assert first is not None
    move_base(moving)
    assert moving.finds(STEP) == Differs(
        f"the base flake was not looked at yet: job 90 pinned {first.label}"
    )
    moving.run(STEP)
    assert wanted_base(moving.world()) != first


def test_a_write_that_was_cut_short_is_in_nobodys_way(moving: Pretend) -> None:
    moving.run(STEP)
    before = file(moving).read_text()
    for left in moving.state.glob("base.json*"):
        left.rename(left.with_name(f"{left.name}.hive-new"))
    moving.run(STEP)
    assert file(moving).read_text() == before


def test_without_a_base_flake_the_hint_says_what_to_set(pretend: Pretend) -> None:
    pretend.changes["base"] = None
    with pytest.raises(Refused) as caught:
        pretend.run(STEP)
    assert caught.value.code == "no-base-flake"
    assert "HIVE_BASE_FLAKE" in caught.value.hint
    assert not file(pretend).exists()


def test_a_base_that_cannot_be_read_leaves_the_wanted_one(moving: Pretend) -> None:
    moving.run(STEP)
    before = file(moving).read_text()
    (moving.folder / "base" / "flake.nix").write_text("{ outputs = {")
    with pytest.raises(Refused) as caught:
        moving.run(BaseWanted(JobId(4)))
    assert caught.value.code == "base-unreadable"
    assert file(moving).read_text() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"job": 3}',
        '{"job": null, "base": {}}',
        '{"job": "three", "base": {"label": "b", "url": "u", "origin": "o"}}',
        '{"job": 3, "base": {"label": "b"}}',
        json.dumps({"job": 3, "base": {"label": "b", "url": "u", "origin": "o", "colour": "red"}}),
    ],
)
def test_a_file_that_hive_did_not_write_is_told_of_and_left(pretend: Pretend, text: str) -> None:
    file(pretend).parent.mkdir(parents=True, exist_ok=True)
    file(pretend).write_text(text)
    for look in (STEP.check, wanted_base):
        with pytest.raises(Fault, match=r"base\.json") as caught:
            look(pretend.world())
        assert "update-base" in caught.value.hint
    assert file(pretend).read_text() == text
