"""What an operator has looked at, as it is stored with the approval."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.approval import Seen
from hive.domain.names import Rev
from hive.errors import Refused
from tests.unit.domain.samples import OTHER_REV, REV

REVS = st.text("0123456789abcdef", min_size=40, max_size=40).map(Rev)
SEEN = st.builds(
    Seen,
    rev=REVS,
    deployed=st.none() | REVS,
    base=st.none() | st.text(),
    closure=st.none() | st.text(),
)


@given(SEEN)
def test_what_was_seen_comes_back_from_json_as_it_was(seen: Seen) -> None:
    again = Seen.from_json(json.loads(json.dumps(seen.as_json())))
    assert again == seen
    assert isinstance(again.rev, Rev)


def test_it_is_told_by_keys_that_stay() -> None:
    seen = Seen(REV, OTHER_REV, "git+file:///base?rev=1", "/nix/store/x")
    assert seen.as_json() == {
        "rev": REV,
        "deployed": OTHER_REV,
        "base": "git+file:///base?rev=1",
        "closure": "/nix/store/x",
        "expected": None,
    }


def test_over_nothing_and_not_built_is_none() -> None:
    assert Seen.from_json({"rev": REV}) == Seen(REV, None, None, None)


def test_what_a_newer_hive_stored_is_passed_over() -> None:
    assert Seen.from_json({"rev": REV, "colour": "red"}) == Seen(REV, None, None, None)


@pytest.mark.parametrize("said", [{"rev": "main"}, {"rev": REV, "deployed": "main"}])
def test_a_name_that_can_move_was_never_seen(said: dict[str, str]) -> None:
    with pytest.raises(Refused):
        Seen.from_json(said)
