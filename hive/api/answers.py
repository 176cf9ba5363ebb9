"""How answers are said: the JSON of a view, a page of them, and what the description says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi.responses import JSONResponse
from pydantic import BaseModel, create_model

from hive.api import shapes
from hive.api.problems import MEDIA
from hive.api.shapes import Problem

Said = dict[int | str, dict[str, Any]]

WRONG: Final[Mapping[int, str]] = {
    401: "Over TCP: no good token came.",
    403: "The role of who asks may not do that.",
    404: "There is no such thing.",
    409: "It is not in a state that allows this, or the key was used for another request.",
    413: "The body is too large.",
    422: "The ask is wrong: the same one is refused again.",
    503: "Hive's database or disk misbehaves: the same may work later.",
    500: "Hive is wrong.",
}


def one(value: Mapping[str, Any], status: int = 200) -> JSONResponse:
    return JSONResponse(dict(value), status)


def page(
    items: Sequence[Mapping[str, Any]], following: str | None = None, status: int = 200
) -> JSONResponse:
    """`next` is the cursor of the page behind this one; null where there is none."""
    return JSONResponse({"items": [dict(item) for item in items], "next": following}, status)


def says(shape: Any, status: int = 200, *, what: str = "") -> Said:  # noqa: ANN401 - or a union
    return {status: {"model": shape, "description": what or "So it is."}, **_wrong()}


def lists(shape: type[BaseModel], status: int = 200) -> Said:
    return says(_page_of(shape), status, what="A page of them.")


def submits() -> Said:
    """Of one its job; of many a page of theirs."""
    return {**lists(shapes.Job), **says(shapes.Submitted, 202)}


def plans() -> Said:
    """Of one agent its steps; of a sweep what differs."""
    either: Any = _page_of(shapes.Planned) | shapes.Surveyed
    return says(either, what="What would be found.")


def gone() -> Said:
    return {204: {"description": "It is gone."}, **_wrong()}


def figures() -> Said:
    body = {"text/plain": {"schema": {"type": "string"}}}
    return {200: {"content": body, "description": "Prometheus's text."}, **_wrong()}


def streams(what: str) -> Said:
    body = {"text/event-stream": {"schema": {"type": "string"}}}
    return {200: {"content": body, "description": what}, **_wrong()}


def describes() -> Said:
    body = {"application/json": {"schema": {"type": "object"}}}
    return {200: {"content": body, "description": "OpenAPI."}, **_wrong()}


def _wrong() -> Said:
    content = {MEDIA: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {status: {"description": what, "content": content} for status, what in WRONG.items()}


_PAGES: Final[dict[type[BaseModel], type[BaseModel]]] = {}


def _page_of(shape: type[BaseModel]) -> type[BaseModel]:
    if shape not in _PAGES:
        fields: Any = {"items": (list[shape], ...), "next": (str | None, None)}  # type: ignore[valid-type]
        _PAGES[shape] = create_model(f"{shape.__name__}Page", **fields)
    return _PAGES[shape]
