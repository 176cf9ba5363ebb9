"""The docs say what the code does: reference pages, codes, terms, commands, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.boundary import EXIT
from docs import generate
from docs.codes import Kind, codes
from docs.command_line import Words, commands
from hive.domain.job import Trouble
from tests.house.tree import ROOT, files, modules

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *(path for path in files("docs") if path.suffix == ".md")])
UNDER: dict[Kind, str] = {Trouble: "Of a job only"}
UNDER |= {kind: f"{kind.__name__}: exit {number}" for kind, number in EXIT.items()}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def rows(text: str) -> Iterator[tuple[str, str]]:
    """First and last cell of each row of the tables in `text`, but for their heads."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0] not in ("code", "term"):
            yield cells[0].strip("`"), cells[-1]


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text() == generate.page(name), "run scripts/docs"


def test_every_error_code_is_documented_and_no_other() -> None:
    assert {code for code, _ in rows((DOCS / "errors.md").read_text())} == set(codes())


def test_an_error_stands_under_its_class_and_its_exit_or_is_of_a_job_only() -> None:
    _, *sections = re.split(r"^## ", (DOCS / "errors.md").read_text(), flags=re.MULTILINE)
    under = {section.partition("\n")[0]: set(dict(rows(section))) for section in sections}
    assert set(under) == set(UNDER.values())
    for code, kinds in codes().items():
        told = {UNDER[kind] for kind in kinds if kind}
        documented = {title for title, found in under.items() if code in found}
        assert told <= documented if None in kinds else told == documented, code


def test_a_code_has_a_sentence_for_what_to_do() -> None:
    said = dict(rows((DOCS / "errors.md").read_text()))
    assert [code for code, words in said.items() if not words.endswith(".")] == []


def test_every_term_of_the_glossary_is_used() -> None:
    terms = [term for term, _ in rows((DOCS / "glossary.md").read_text())]
    code = "\n".join(path.read_text() for path in modules("hive", "cli", "workers"))
    words = re.sub(r"[_\s]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", code)).lower()
    unused = [term for term in terms if not re.search(rf"\b{re.escape(term)}s?\b", words)]
    assert terms == sorted(set(terms))
    assert unused == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    known = commands()
    assert [" ".join(words) for words in _shown(page.read_text()) if not _is(words, known)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    prose = FENCE.sub("", page.read_text())
    dead = [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not _leads(page, link)]
    assert dead == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, left = set[Path](), [ROOT / "README.md"]
    while left:
        page = left.pop()
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text())
        inside = ((page.parent / link).resolve() for link in links if "://" not in link)
        left += [path for path in inside if path not in seen and path.is_file()]
    assert set(PAGES) - seen == set()


def _shown(text: str) -> Iterator[Words]:
    """The words of each `hive …` in a block or in backticks, up to the first that is no command."""
    lines = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    asked = [re.sub(r"^([$#] )?(\S*/)?", "", line.strip(), count=1) for line in lines]
    asked += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", FENCE.sub("", text))
    for line in asked:
        if found := re.match(r"hive((?: [a-z][a-z-]*)+)(?= |$)", line):
            yield tuple(found[1].split())


def _is(words: Words, known: dict[Words, bool]) -> bool:
    """A command, whatever is said to it; a noun alone stands for all of its verbs."""
    at: Words = ()
    for word in words:
        if (*at, word) not in known:
            return not known[at]
        at = (*at, word)
    return True


def _leads(page: Path, link: str) -> bool:
    if "://" in link:
        return True
    name, _, heading = link.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists():
        return False
    return not heading or heading in _headings(path.read_text())


def _headings(text: str) -> set[str]:
    """As GitHub names them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


OPTION = re.compile(r"(?<![a-z.])services\.(?:hyperhive|hive-agent)\.[a-zA-Z]+(?:\.[a-zA-Z]+)*")
"""Of the module or the agents' base; docs/nixos.md has a row of each, held to the code."""


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=named)
def test_an_option_that_a_page_names_is_there(page: Path) -> None:
    table = (DOCS / "nixos.md").read_text()
    options = set(re.findall(rf"^\| `({OPTION.pattern})`", table, re.MULTILINE))
    assert len(options) > 10
    for said in OPTION.findall(page.read_text()):
        group, part = f"{said}.", said.rpartition(".")[0]
        assert said in options or part in options or any(one.startswith(group) for one in options)
