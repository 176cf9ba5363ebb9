from __future__ import annotations

import re

from tests.house.tree import ROOT, files, modules

EMPTY_WORDS = {"utils", "util", "common", "helpers", "models", "manager"}

# Put together here, so that this file does not hold what it looks for.
MACHINE_FOLDERS = ("work", "root")
INSIDE_A_CONTAINER = r"\.claude"
MACHINE_PATH = re.compile(
    rf"(?<![^\s\"'`=(:,])/(?:{'|'.join(MACHINE_FOLDERS)})/(?!{INSIDE_A_CONTAINER})"
)
REGISTRY = re.compile(
    "|".join(
        re.escape(".".join(words))
        for words in (
            ("pypi", "org"),
            ("files", "pythonhosted", "org"),
            ("registry", "npmjs", "org"),
            ("deb", "debian", "org"),
        )
    )
)


def test_every_module_has_a_name_that_says_something() -> None:
    nameless = [
        str(path.relative_to(ROOT))
        for path in modules()
        if EMPTY_WORDS & {path.stem, *re.split("[_-]", path.stem), path.parent.name}
    ]
    assert nameless == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    assert _lines_with(MACHINE_PATH) == []


def test_no_file_names_a_package_registry() -> None:
    assert _lines_with(REGISTRY) == []


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
