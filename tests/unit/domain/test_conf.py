"""A container's conf: hive's own lines, everyone else's as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.conf import owned, read, rewritten
from hive.errors import Refused
from tests.unit.domain.samples import ALICE, MANAGER, a_layout

CREATED = """\
# made by nixos-container
PRIVATE_NETWORK=1
HOST_ADDRESS=10.233.1.1
LOCAL_ADDRESS=10.233.1.2
HOST_BRIDGE=
HOST_PORT=
AUTO_START=0
"""
HOME = "/var/lib/hyperhive/agents/alice"


def test_an_agent_shares_the_hosts_network_and_has_users_of_its_own() -> None:
    wanted = owned(ALICE, a_layout(), privileged=False)
    assert wanted["PRIVATE_NETWORK"] == "0"
    addresses = ("HOST_ADDRESS", "LOCAL_ADDRESS", "HOST_ADDRESS6", "LOCAL_ADDRESS6", "HOST_BRIDGE")
    assert {wanted[key] for key in addresses} == {""}
    assert wanted["PRIVATE_USERS"] == "pick"
    assert wanted["EXTRA_NSPAWN_FLAGS"].split() == [
        "--bind=/run/hyperhive/agents/alice:/run/hive:idmap",
        f"--bind={HOME}/claude:/root/.claude:idmap",
        f"--bind={HOME}/state:/state:idmap",
    ]


def test_a_privileged_agent_is_the_hosts_root_and_needs_no_idmap() -> None:
    wanted = owned(ALICE, a_layout(), privileged=True)
    assert wanted["PRIVATE_USERS"] == "no"
    assert "idmap" not in wanted["EXTRA_NSPAWN_FLAGS"]


def test_the_manager_sees_all_agents_and_may_write_only_what_they_proposed() -> None:
    flags = owned(MANAGER, a_layout(), privileged=False)["EXTRA_NSPAWN_FLAGS"].split()
    assert flags[3:] == [
        "--bind=/var/lib/hyperhive/agents:/agents:idmap",
        "--bind-ro=/var/lib/hyperhive/applied:/applied:idmap",
        "--bind-ro=/var/lib/hyperhive/meta:/meta:idmap",
    ]


@pytest.mark.parametrize("letter", [*" \t\n:\"'\\$*?[;`\r\v\0", "\u2028", "\x85", "\xa0"])
def test_a_folder_that_nspawn_would_read_otherwise_is_refused(letter: str) -> None:
    for layout in (
        a_layout(state=Path(f"/srv/a{letter}b")),
        a_layout(run=Path(f"/srv/a{letter}b")),
    ):
        with pytest.raises(Refused) as refused:
            owned(ALICE, layout, privileged=False)
        assert refused.value.code == "bad-path"
        assert "HIVE_STATE_DIR" in refused.value.hint


@pytest.mark.parametrize("path", ["/srv/a-b_c.d", "/home/josé/.local/state", "/srv/A1"])
def test_an_ordinary_folder_is_bound(path: str) -> None:
    flags = owned(ALICE, a_layout(state=Path(path)), privileged=True)["EXTRA_NSPAWN_FLAGS"]
    assert f"--bind={path}/agents/alice/state:/state" in flags.split()


def test_what_was_written_is_read() -> None:
    wanted = owned(MANAGER, a_layout(), privileged=False)
    assert {**read(rewritten(CREATED, wanted))} == {"HOST_PORT": "", "AUTO_START": "0", **wanted}


def test_lines_of_others_stay_in_their_order() -> None:
    text = rewritten(CREATED + "\n# mine\nB=2\n A=1\n", {"PRIVATE_NETWORK": "0", "HOST_BRIDGE": ""})
    assert text.splitlines() == [
        "# made by nixos-container",
        "HOST_ADDRESS=10.233.1.1",
        "LOCAL_ADDRESS=10.233.1.2",
        "HOST_PORT=",
        "AUTO_START=0",
        "",
        "# mine",
        "B=2",
        " A=1",
        "PRIVATE_NETWORK=0",
        "HOST_BRIDGE=",
    ]


def test_a_line_of_hives_stands_there_once_however_often_it_stood() -> None:
    text = rewritten("A=1\nB=2\nA=3\n A = 4\n#A=5\n", {"A": "x y"})
    assert text == 'B=2\n#A=5\nA="x y"\n'


LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n")))


@given(LINES.map("\n".join))
def test_rewriting_twice_is_rewriting_once(text: str) -> None:
    wanted = owned(ALICE, a_layout(), privileged=False)
    once = rewritten(text, wanted)
    assert rewritten(once, wanted) == once
    assert {**wanted}.items() <= read(once).items()


@given(LINES)
def test_lines_of_others_are_kept_to_the_letter(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    assert rewritten(text, {}) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ('A="b c"', "b c"),
        ('A=""', ""),
        ("A=", ""),
        (" A = b ", "b"),
        ("A=b=c", "b=c"),
        ("A=1\nA=b", "b"),
        ('A="b\f\u2028c"', "b\f\u2028c"),
        ('A=b"', 'b"'),
    ],
)
def test_a_value_is_read_with_and_without_quotes(text: str, value: str) -> None:
    assert read(text)["A"] == value


@pytest.mark.parametrize("text", ["# A=b", "  # A=b", ";A=b", "A", ""])
def test_what_is_no_assignment_is_not_read(text: str) -> None:
    assert read(text) == {}
