"""What git's programs read and write on their pipes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hive.adapters.files import ANY
from hive.domain.names import Rev

AUTHOR: Final = "hive-c0re <hive-c0re@hyperhive>"
NOTHING: Final = Rev("0" * 40)


@dataclass(frozen=True, slots=True)
class RefMove:
    """One line of a transaction: `ref` goes from `old` to `new`; None is: not there."""

    ref: str
    new: Rev | None
    old: Rev | None


def commit(
    ref: str, files: Mapping[str, str], *, parent: Rev | None, subject: str, at: datetime | None
) -> bytes:
    """For `fast-import`: a commit of exactly these files; without an instant the date is fixed."""
    seconds = int(at.timestamp()) if at else 0
    stream = bytearray(b"feature done\n")
    stream += f"commit {ref}\ncommitter {AUTHOR} {seconds} +0000\n".encode()
    stream += _data(subject + "\n")
    stream += f"from {parent}\ndeleteall\n".encode() if parent else b""
    for path, text in files.items():
        stream += f"M 100644 inline {path}\n".encode() + _data(text)
    return bytes(stream + b"\ndone\n")


def moves(asked: Iterable[RefMove]) -> bytes:
    """For `update-ref --stdin`: all of these, or none."""
    return "".join(_line(move) for move in asked).encode()


def blob(raw: bytes) -> tuple[str | None, bytes]:
    """One answer of `cat-file --batch`, and the rest: `<path> missing`, or kind, size and bytes."""
    head, _, rest = raw.partition(b"\n")
    words = head.split(b" ")
    if words[-1] == b"missing":
        return None, rest
    size = int(words[2])
    text = rest[:size].decode(errors="backslashreplace") if words[1] == b"blob" else None
    return text, rest[size + 1 :]


def _data(text: str) -> bytes:
    raw = text.encode(errors=ANY)
    return f"data {len(raw)}\n".encode() + raw + b"\n"


def _line(move: RefMove) -> str:
    old = move.old or NOTHING
    if move.new is None:
        return f"delete {move.ref} {old}\n" if move.old else ""
    return f"update {move.ref} {move.new} {old}\n"
