"""An answer that is an error, as the error that it was on the other side."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from hive.errors import Fault, HiveError, IllegalMove, NotFound, Refused, Transient

PROBLEM: Final = "application/problem+json"
PASSING: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Of these the same ask may work later."""


def raised(place: str, status: int, problem: Mapping[str, Any] | None) -> HiveError:
    """`problem` is None where hive itself did not say what is wrong."""
    if problem is None:
        return _unsaid(place, status)
    code, message, hint = (_text(problem, key) for key in ("code", "detail", "hint"))
    kind = _class_of(status, code)
    return kind(message or f"{place} answered {status}", code=code, hint=hint)


def not_hive(message: str) -> Refused:
    return Refused(message, code="not-hive", hint="see that this is the place of hive's API")


def _class_of(status: int, said: str) -> type[HiveError]:
    if status in PASSING:
        return Transient
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Fault
    if status == HTTPStatus.NOT_FOUND:
        return NotFound
    return IllegalMove if said == IllegalMove.default_code else Refused


def _unsaid(place: str, status: int) -> HiveError:
    """Of a proxy before hive, of a hive that has lost its words, or of somebody else."""
    if status in PASSING:
        return Transient(
            f"{place} answered {status}",
            code="api-unreachable",
            hint="see that hive's API runs there",
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Fault(f"{place} answered {status}")
    return not_hive(f"{place} answered {status}, and not as hive does")


def _text(problem: Mapping[str, Any], key: str) -> str:
    value = problem.get(key)
    return value if isinstance(value, str) else ""
