"""What a column holds, where SQLAlchemy's own kinds say too little."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text, TypeDecorator
from sqlalchemy.types import TypeEngine
from typing_extensions import override

AnyType = TypeEngine[Any] | type[TypeEngine[Any]]


class Instant(TypeDecorator[datetime]):
    """An aware datetime. SQLite has no zones: UTC goes in, and comes back as UTC."""

    impl: AnyType = DateTime(timezone=True)
    cache_ok: bool | None = True

    @override
    def process_bind_param(self, value: datetime | None, _: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"an instant without a zone: {value}")
        return value and value.astimezone(UTC)

    @override
    def process_result_value(self, value: datetime | None, _: Dialect) -> datetime | None:
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Words(TypeDecorator[str]):
    """Text that a program may have written: what no database takes of it is replaced."""

    impl: AnyType = Text
    cache_ok: bool | None = True

    @override
    def process_bind_param(self, value: str | None, _: Dialect) -> str | None:
        return value and storable(value)


def storable(words: str) -> str:
    """What every database takes of it."""
    if words.isascii() and "\0" not in words:
        return words
    return words.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
