from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.tree import ROOT, modules

SHIPPED = ("hive", "cli", "workers")
LONGEST = 400


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_alembic_is_no_package_so_that_it_does_not_shadow_the_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()


@pytest.mark.parametrize("path", modules(*SHIPPED, "alembic", "benchmarks"), ids=named)
def test_a_module_opens_with_a_sentence(path: Path) -> None:
    text = path.read_text()
    if path.name == "__init__.py" and not text.strip():
        return
    said = ast.get_docstring(ast.parse(text)) or ""
    opening, _, _ = said.partition("\n\n")
    assert opening.endswith((".", ":")), f"{named(path)} opens with {opening!r}"


def test_no_file_is_longer_than_a_reader_is_patient() -> None:
    lines = {named(path): len(path.read_text().splitlines()) for path in modules(*SHIPPED)}
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}
