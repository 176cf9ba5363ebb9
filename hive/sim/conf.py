"""A container's conf, read as systemd reads an environment file, and what nspawn makes of it."""

from __future__ import annotations

import os
import re

IDENTITY = (0, 0, 4294967295)
UIDS = 65536


def read(path: str) -> dict[str, str]:
    """The variables of an environment file. A line that is none is passed over, as systemd does."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return {}
    found = (line.partition("=") for line in lines if not line.lstrip().startswith(("#", ";")))
    return {key.strip(): unquoted(value) for key, equals, value in found if equals}


def unquoted(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == '"':
        return re.sub(r'\\([\\"$`])', r"\1", value[1:-1])
    return value


def flags(conf: dict[str, str]) -> list[str]:
    """Split at spaces and nowhere else: the unit expands them unquoted."""
    return conf.get("EXTRA_NSPAWN_FLAGS", "").split()


def bind_sources(conf: dict[str, str]) -> list[str]:
    """Folders that have to be there; a source with a `-` before it may be missing."""
    binds = (flag.split("=", 1)[1] for flag in flags(conf) if re.match(r"--bind(-ro)?=", flag))
    sources = (re.split(r"(?<!\\):", bind)[0].replace("\\:", ":") for bind in binds)
    return [source.removeprefix("+") for source in sources if not source.startswith("-")]


def missing_source(conf: dict[str, str]) -> str | None:
    return next((source for source in bind_sources(conf) if not os.path.lexists(source)), None)


def uid_map(container: str, conf: dict[str, str]) -> str:
    """The one line of `/proc/<leader>/uid_map`, as the kernel prints it."""
    inside, outside, count = _uids(container, conf)
    return f"{inside:10} {outside:10} {count:10}\n"


def _uids(container: str, conf: dict[str, str]) -> tuple[int, int, int]:
    wanted = conf.get("PRIVATE_USERS", "")
    for flag in flags(conf):
        if flag == "-U" or flag.startswith("--private-users="):
            wanted = flag.partition("=")[2] or "pick"
    if wanted == "pick":
        return 0, _picked(container), UIDS
    return (0, int(wanted), UIDS) if wanted.isdigit() and wanted != "0" else IDENTITY


def _picked(container: str) -> int:
    """The first of 65536 uids, by the name; nspawn too begins its search at a hash of it."""
    import hashlib  # a tenth of a start: only where it is needed

    digest = int.from_bytes(hashlib.sha256(container.encode()).digest()[:4], "big")
    return (8 + digest % (0x6FFF - 8)) * UIDS
