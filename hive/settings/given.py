"""What is given: the environment, and a file under it, read as what each setting may be."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from hive.errors import Refused
from hive.settings.table import GATED, SETTINGS, SIM_PARTS, Backend

T = TypeVar("T", bound=StrEnum)
HOST_STATE: Final = Path("/var/lib/hyperhive")
HOST_RUN: Final = Path("/run/hyperhive")


@dataclass(frozen=True, slots=True)
class Given:
    """The environment, and the file under it."""

    env: Mapping[str, str]
    config: Mapping[str, Any]

    def backend(self) -> Backend:
        return self.one_of("HIVE_BACKEND", Backend, Backend.NIXOS)

    def state_dir(self) -> Path:
        return self.path("HIVE_STATE_DIR", HOST_STATE if self._is_host else _user_state(self.env))

    def run_dir(self) -> Path:
        return self.path("HIVE_RUN_DIR", HOST_RUN if self._is_host else self.state_dir() / "run")

    @property
    def _is_host(self) -> bool:
        """Root works on this host, unless asked to pretend; others have folders of their own."""
        return os.geteuid() == 0 and self.backend() is Backend.NIXOS

    def text(self, name: str) -> str | None:
        value = self._said(name)
        if value is None or isinstance(value, str):
            return value
        raise _bad(name, "must be a string")

    def secret(self, name: str) -> str | None:
        """Said as it is, or by a file that holds it: `NAME_FILE`. The environment's one wins."""
        file = f"{name}_FILE"
        for place in (replace(self, config={}), replace(self, env={})):
            if place.text(name) and place.text(file):
                raise _bad(file, f"and {name} are both set: one of them is enough")
            if value := place.text(name) or place._read(file):
                return value
        return None

    def _read(self, name: str) -> str | None:
        """The one line of the file that `name` says. Of what is in it no error tells anything."""
        if self.text(name) is None:
            return None
        path = self.path(name, Path())
        try:
            value = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            because = error.strerror if isinstance(error, OSError) else "it is no text"
            raise _bad(name, f"cannot be read: {path}: {because}") from None
        if not value or len(value.splitlines()) > 1:
            raise _bad(name, f"must name a file of one line, and {path} is not")
        return value

    def _said(self, name: str) -> Any:  # noqa: ANN401 - what TOML can carry
        """None where nothing, or nothing but emptiness, is said."""
        key = next(setting.key for setting in SETTINGS if setting.name == name)
        value = self.env.get(name) or self.config.get(key)
        return None if value == "" else value

    def path(self, name: str, default: Path) -> Path:
        value = Path(self.text(name) or default)
        if not value.is_absolute() or "\0" in str(value):
            raise _bad(name, f"must be an absolute path, not {str(value)!r}")
        return value

    def program(self, name: str, default: str) -> str:
        return str(self.path(name, Path(default))) if self.text(name) else default

    def number(self, name: str, default: int) -> int:
        """Written as a number or as a string, as the environment can only give the latter."""
        value = self._said(name)
        if value is None:
            return default
        if isinstance(value, bool) or not re.fullmatch(r"[1-9][0-9]{0,5}", str(value)):
            raise _bad(name, f"must be a whole number from 1 on, not {value!r}")
        return int(value)

    def switch(self, name: str, *, default: bool) -> bool:
        value = self.text(name)
        if value not in ("yes", "no", None):
            raise _bad(name, f"must be yes or no, not {value!r}")
        return default if value is None else value == "yes"

    def kinds(self, name: str) -> frozenset[str]:
        value = self.text(name)
        found = frozenset(part.strip() for part in (value or "").split(",")) if value else GATED
        if value == "none":
            return frozenset()
        if not found <= GATED:
            raise _bad(name, f"must be none, or some of {','.join(sorted(GATED))}, not {value!r}")
        return found

    def one_of(self, name: str, kind: type[T], default: T) -> T:
        value = self.text(name)
        try:
            return kind(value) if value else default
        except ValueError:
            allowed = ", ".join(kind)
            raise _bad(name, f"must be one of {allowed}, not {value!r}") from None

    def parts(self, name: str) -> frozenset[str]:
        value = self.text(name)
        parts = frozenset(part.strip() for part in value.split(",")) if value else SIM_PARTS
        if not parts <= SIM_PARTS:
            raise _bad(name, f"must be a subset of {','.join(sorted(SIM_PARTS))}, not {value!r}")
        return parts

    def pairs(self, name: str) -> Mapping[str, str]:
        pairs = [pair for pair in (self.text(name) or "").split(";") if pair.strip()]
        if not all(pair.partition("=")[0].strip() and "=" in pair for pair in pairs):
            raise _bad(name, "must be key=value;key=value")
        return {k.strip(): v.strip() for k, _, v in (pair.partition("=") for pair in pairs)}


def read(config: Path) -> Mapping[str, Any]:
    """The file's keys; a missing file has none, an unknown key is refused."""
    try:
        found = tomllib.loads(config.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _bad(str(config), f"cannot be read: {error}") from None
    unknown = sorted(set(found) - {setting.key for setting in SETTINGS})
    if unknown:
        raise _bad(str(config), f"has a key that is no setting: {unknown[0]}")
    return found


def _user_state(env: Mapping[str, str]) -> Path:
    """By XDG's rules, of which one is that a relative folder does not count."""
    folder = Path(env.get("XDG_STATE_HOME", ""))
    home = Path(env.get("HOME") or "/root")
    return (folder if folder.is_absolute() else home / ".local/state") / "hive"


def _bad(name: str, because: str) -> Refused:
    return Refused(f"{name} {because}", code="bad-setting", hint="see docs/settings.md")
