"""What differs from one nix to the next, in one place: the words for it, and its answers.

Nix 2.19 gave locks other commands and `path-info` another JSON; 2.33 wants its format named. Lix
forked from 2.18 and counts on from 2.90: it took over the commands, and its numbers say nothing of
what nix got later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hive.errors import Fault

NEW_LOCKS = (2, 19)
NEW_CONFIG = (2, 20)
NAMED_FORMATS = (2, 33)


@dataclass(frozen=True, slots=True)
class NixVersion:
    """What `nix --version` says: `nix (Nix) 2.8.0`, `nix (Lix, like Nix) 2.91.1`."""

    said: str

    @property
    def text(self) -> str:
        """Such as `2.18.1`; '' if it said nothing."""
        return self.said.strip().rpartition(" ")[-1]

    @property
    def is_lix(self) -> bool:
        return "(Lix" in self.said

    def is_at_least(self, wanted: tuple[int, int]) -> bool:
        found = re.match(r"(\d+)\.(\d+)", self.text)
        if found is None:
            raise Fault(f"this nix says no version that hive understands: {self.said.strip()!r}")
        return (int(found[1]), int(found[2])) >= wanted

    def update_input(self, folder: Path, name: str) -> tuple[str, ...]:
        """The words after `nix`.

        Never the old ones from 2.19 on: 2.19.0 and 2.19.1 lack the flag. Never the new ones before
        it: `nix flake update X` would take X for a flake, and update all of it.
        """
        if self.is_at_least(NEW_LOCKS):
            return ("flake", "update", name, "--flake", f"path:{folder}")
        return ("flake", "lock", "--update-input", name, f"path:{folder}")

    def show_config(self) -> tuple[str, ...]:
        """The words after `nix`, for its own settings; the old ones are deprecated from 2.20 on."""
        if self.is_at_least(NEW_CONFIG) and not self.is_lix:
            return ("config", "show", "--json")
        return ("show-config", "--json")

    def path_info(self, path: Path) -> tuple[str, ...]:
        """The words after `nix`, for all that `path` needs and itself, with sizes."""
        words = ("path-info", "--recursive", "--json", "--size", str(path))
        if self.is_at_least(NAMED_FORMATS) and not self.is_lix:
            return (*words, "--json-format", "1")
        return words


def sizes(said: bytes) -> dict[str, int]:
    """Store path → bytes (`narSize`), of what `nix path-info --json` said in any version."""
    try:
        return dict(sorted(_sizes(json.loads(said))))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        because = f"{type(error).__name__}: {error}"
        raise Fault(f"nix said nothing that hive understands of a closure: {because}") from None


def _sizes(found: object) -> Iterator[tuple[str, int]]:
    """A list up to 2.18, from then on an object by path; a path that is not there has no size.

    Beside the paths 2.33 may have `version` and `storeDir`, which are no paths.
    """
    match found:
        case list():
            pairs = [(str(one["path"]), one) for one in found]
        case dict():
            pairs = [(path, one) for path, one in found.items() if path.startswith("/")]
        case _:
            raise TypeError(f"{type(found).__name__} is neither a list nor an object")
    for path, one in pairs:
        size = one["narSize"]
        if not isinstance(size, int):
            raise TypeError(f"the size of {path} is {size!r}")
        yield path, size
