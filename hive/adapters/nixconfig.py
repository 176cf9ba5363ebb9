"""How nix is set up on this machine, as it says itself; the words are the same since 2.8."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from hive.errors import Fault


@dataclass(frozen=True, slots=True)
class NixConfig:
    system: str
    extra_platforms: tuple[str, ...]
    sandbox: bool
    """Also where it is relaxed: then a build may ask to be let out."""
    sandbox_fallback: bool
    substituters: tuple[str, ...]
    builders: str
    """Lines of machines, or `@` and the file that has them."""
    min_free: int
    max_free: int
    """Bytes: below the one a build collects garbage, until the other is free."""

    @classmethod
    def read(cls, said: bytes) -> Self:
        """Of what `nix show-config --json` said."""
        try:
            found = {name: one["value"] for name, one in json.loads(said).items()}
            return cls(
                system=str(found["system"]),
                extra_platforms=_words(found["extra-platforms"]),
                sandbox=found["sandbox"] not in (False, "false"),
                sandbox_fallback=found["sandbox-fallback"] is True,
                substituters=_words(found["substituters"]),
                builders=str(found["builders"]),
                min_free=int(found["min-free"]),
                max_free=int(found["max-free"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            because = f"{type(error).__name__}: {error}"
            raise Fault(
                f"nix said nothing that hive understands of its settings: {because}"
            ) from None


def _words(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON
    """A list, or a line of words, as nix says it from one version to the next."""
    return tuple(value.split() if isinstance(value, str) else map(str, value))
