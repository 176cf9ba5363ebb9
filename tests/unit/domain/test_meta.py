"""The meta flake as a value: what is written is read back, and nothing else is guessed at."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.meta import (
    Base,
    Block,
    Meta,
    deploy_named,
    identity,
    parse,
    quoted,
    render,
    unquoted,
)
from hive.domain.names import AgentName, Rev
from hive.errors import Refused
from tests.unit.domain.samples import ALICE, BOB, MANAGER, OTHER_REV, a_base, a_block, a_meta

PIECES = ["\\", '"', "${", "$${", "$", "\n", "\r\n", "\t", ";", "''", "?rev=", "}", "é", "\x85"]
BREAKS = ["\v", "\f", "\x1c", "\u2028", "\u2029"]  # line ends to `splitlines`, not to nix
HOSTILE = st.lists(
    st.sampled_from([*PIECES, *BREAKS, "a", " = "]) | st.text(st.characters(codec="utf-8"))
).map("".join)
AGENTS = st.from_regex(AgentName.pattern, fullmatch=True).map(AgentName)
REVS = st.from_regex(Rev.pattern, fullmatch=True).map(Rev)
KEYS = st.from_regex(r"[A-Z_][A-Z0-9_]{0,9}", fullmatch=True)
LABELS = st.from_regex(r"base-[0-9a-f]{12}", fullmatch=True)
VARIABLES = st.dictionaries(KEYS, HOSTILE, max_size=3).map(lambda found: tuple(found.items()))


@st.composite
def metas(draw: st.DrawFn) -> Meta:
    meta = Meta()
    for agent in draw(st.lists(AGENTS, max_size=4)):
        base = Base(draw(LABELS), draw(HOSTILE), draw(HOSTILE))
        block = Block(agent, draw(HOSTILE), draw(REVS), base.label, draw(VARIABLES))
        meta = meta.with_block(block, base)
    return meta


@given(metas())
def test_what_is_rendered_is_read_back_as_it_was(meta: Meta) -> None:
    assert parse(render(meta)) == meta


@given(HOSTILE)
def test_a_string_stays_inside_its_quotes(text: str) -> None:
    literal = quoted(text)
    assert unquoted(literal) == text
    assert "\n" not in literal
    assert "\r" not in literal
    bare = re.sub(r"\\.", "_", literal[1:-1])
    assert '"' not in bare
    assert "${" not in bare


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ('say "hi"', r'"say \"hi\""'),
        ("a\\b", r'"a\\b"'),
        ("${x}", r'"\${x}"'),
        ("$${x}", r'"$\${x}"'),
        ("$x", '"$x"'),
        ("a\nb\rc\td", r'"a\nb\rc\td"'),
        ("", '""'),
    ],
)
def test_nix_reads_a_string_as_it_was(text: str, literal: str) -> None:
    assert quoted(text) == literal


def test_an_agent_is_pinned_by_its_rev_in_the_text() -> None:
    text = render(a_meta(ALICE, MANAGER))
    assert f'"agent-alice".url = "{a_block().url}?rev={a_block().rev}";' in text
    assert '"alice" = inputs."base-cccccccccccc".nixosConfigurations.agent-base.ext' in text
    assert '"hm1nd" = inputs."base-cccccccccccc".nixosConfigurations.manager.ext' in text


def test_a_harness_is_told_its_name_its_port_and_the_dashboards() -> None:
    assert dict(identity(ALICE)) == {
        "HIVE_DASHBOARD_PORT": "7000",
        "HIVE_LABEL": "alice",
        "HIVE_PORT": "8879",
    }


@given(metas(), AGENTS, REVS, HOSTILE)
def test_a_new_block_changes_no_other_and_no_base_that_another_stands_on(
    meta: Meta, agent: AgentName, rev: Rev, url: str
) -> None:
    for known in (*meta.bases, a_base()):
        base = Base(known.label, url, known.origin)
        changed = meta.with_block(a_block(agent, rev=rev, base=base.label), base)
        mine = changed.block(agent)
        assert mine is not None
        assert mine.rev == rev
        assert changed.base(mine.base).url == url
        for other in (block for block in meta.blocks if block.agent != agent):
            assert changed.block(other.agent) == other
            assert changed.base(other.base) == meta.base(other.base)


def test_two_flakes_of_one_commit_are_two_bases() -> None:
    folder = a_base(url=f"{a_base().url}&dir=other", origin="git+file:///srv/base?dir=other")
    meta = a_meta(ALICE).with_block(a_block(BOB), folder)
    assert [base.url for base in meta.bases] == [a_base().url, folder.url]
    assert meta.base_from(folder.origin) != meta.base_from(a_base().origin)
    again = meta.with_block(a_block(MANAGER), folder)
    assert len(again.bases) == 2
    assert parse(render(again)) == again


def test_a_base_that_nobody_stands_on_any_more_is_dropped() -> None:
    new = Base("base-dddddddddddd", "git+file:///srv/base?rev=d", "git+file:///srv/base")
    meta = a_meta(ALICE, BOB).with_block(a_block(BOB, base=new.label), new)
    assert meta.bases == (a_base(), new)
    assert meta.with_block(a_block(base=new.label), new).bases == (new,)


def test_without_an_agent_the_others_are_as_they_were() -> None:
    assert a_meta(ALICE, BOB).without(ALICE) == a_meta(BOB)
    assert a_meta(ALICE).without(ALICE) == Meta()
    assert a_meta(ALICE).without(BOB) == a_meta(ALICE)


def test_the_order_in_which_agents_came_does_not_show() -> None:
    assert a_meta(ALICE, BOB, MANAGER) == a_meta(MANAGER, BOB, ALICE)


def test_the_same_block_again_changes_nothing() -> None:
    meta = a_meta(ALICE, BOB)
    assert meta.with_block(a_block(), a_base()) == meta
    assert meta.with_block(a_block(rev=OTHER_REV), a_base()) != meta


TEXT = render(a_meta(ALICE, BOB))
FOREIGN = {
    "nothing": "",
    "another flake": "{ outputs = { self }: { }; }\n",
    "a line more": TEXT + "\n",
    "no newline at the end": TEXT.removesuffix("\n"),
    "another description": TEXT.replace("agents of this node", "agents of that node"),
    "a hand's change": TEXT.replace("modules = [", "modules = [ ./mine.nix"),
    "other line ends": TEXT.replace("\n", "\r\n"),
    "an agent without its input": TEXT.replace('"agent-bob".url', '"agent-bib".url'),
    "a base without its origin": TEXT.replace(f'      "{a_base().label}" = "', '      "x" = "'),
    "a short rev": TEXT.replace("a" * 40, "a" * 39),
    "no rev": TEXT.replace("?rev=" + "a" * 40, ""),
    "a name that is none": TEXT.replace("bob", "Bob"),
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_what_hive_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(text)
    assert refused.value.code == "foreign-meta"
    assert refused.value.hint


@pytest.mark.parametrize(
    ("subject", "named"),
    [
        ("deploy alice deployed/7 0123456789ab", ("alice", 7)),
        ("deploy alice deployed/0", ("alice", 0)),
        ("deploy alice", None),
        ("deploy alice deployed/ 0123456789ab", None),
        ("deploy alice deployed/x", None),
        ("deploy", None),
        ("deployed alice deployed/7", None),
        ("destroy alice 7", None),
        ("", None),
    ],
)
def test_a_commit_names_a_deploy_or_it_does_not(
    subject: str, named: tuple[str, int] | None
) -> None:
    assert deploy_named(subject) == named
