"""A container's conf: hive's own lines, everyone else's as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.conf import FLAGS, PLACES, drift, foreign, owned, read, rewritten
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


def test_a_manager_that_sees_the_repos_alone_is_given_a_folder_that_has_nothing_else() -> None:
    layout = a_layout(shows_homes=False)
    flags = owned(MANAGER, layout, privileged=False)["EXTRA_NSPAWN_FLAGS"].split()
    assert flags[3] == "--bind=/var/lib/hyperhive/configs:/agents:idmap"
    assert layout.proposed(ALICE) == Path("/var/lib/hyperhive/configs/alice/config")
    assert owned(ALICE, layout, privileged=False) == owned(ALICE, a_layout(), privileged=False)


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
    assert drift(wanted, read(once)) is None
    found = read(once)
    assert all(found[key] == value for key, value in wanted.items() if key != FLAGS)


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
        ("A='b c'", "b c"),
    ],
)
def test_a_value_is_read_with_and_without_quotes(text: str, value: str) -> None:
    assert read(text)["A"] == value


@pytest.mark.parametrize("text", ["# A=b", "  # A=b", ";A=b", "A", ""])
def test_what_is_no_assignment_is_not_read(text: str) -> None:
    assert read(text) == {}


# Flags of others

WORDS = st.text("abc/=.,", min_size=1, max_size=8)
OTHERS = st.lists(
    st.one_of(
        WORDS.map("--bind=/srv/{0}:/srv/{0}".format),
        WORDS.map("--bind-ro=/mnt/{}".format),
        WORDS.map("--bind /media/{}".format),
        WORDS.map("--setenv={}".format),
        st.sampled_from(["-U", "--capability=all", "--bind=/state-of:/state-of", "--bind"]),
    ).filter(lambda flag: flag != "--bind")
)
OWN = st.sampled_from(sorted(PLACES)).flatmap(
    lambda place: st.sampled_from(
        [f"--bind=/x:{place}", f"--bind-ro=/x:{place}/", f"--bind=/x\\:y:{place}:idmap",
         f"--bind /x:{place}", f"--bind={place}", f"--bind=-{place}", f"--bind=/x://{place[1:]}"]
    )
)  # fmt: skip


@given(st.data(), OTHERS)
def test_an_operators_flags_survive_a_rewrite_in_their_order(
    data: st.DataObject, others: list[str]
) -> None:
    mixed = list(others)
    for own in data.draw(st.lists(OWN)):
        mixed.insert(data.draw(st.integers(0, len(mixed))), own)
    wanted = owned(ALICE, a_layout(), privileged=False)
    text = rewritten(f'B=2\n{FLAGS}="{" ".join(mixed)}"\n', wanted)
    assert read(text)[FLAGS].split() == [*wanted[FLAGS].split(), *" ".join(others).split()]
    assert foreign(read(text)[FLAGS]) == others
    assert drift(wanted, read(text)) is None
    assert rewritten(text, wanted) == text


@given(OTHERS, OWN)
def test_another_flag_of_hives_is_drift_whatever_stands_beside_it(
    others: list[str], own: str
) -> None:
    wanted = owned(ALICE, a_layout(), privileged=False)
    more = " ".join((wanted[FLAGS], *others, own))
    assert drift(wanted, {**wanted, FLAGS: " ".join((wanted[FLAGS], *others))}) is None
    assert drift(wanted, {**wanted, FLAGS: more}) == FLAGS
    assert drift(wanted, {**wanted, FLAGS: " ".join(others)}) == FLAGS


def test_what_the_old_daemon_bound_is_taken_over_and_the_rest_is_kept() -> None:
    old = (
        "--bind=/run/hyperhive/agents/alice:/run/hive --bind=/srv/models:/models "
        f"--bind={HOME}/claude:/root/.claude --bind={HOME}/state:/state"
    )
    wanted = owned(ALICE, a_layout(), privileged=False)
    found = read(rewritten(f'AUTO_START=0\n{FLAGS}="{old}"\n', wanted))
    assert found == {
        "AUTO_START": "0",
        **wanted,
        FLAGS: f"{wanted[FLAGS]} --bind=/srv/models:/models",
    }
