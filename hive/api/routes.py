"""The routes as data: what each is a matter of, for the docs and the tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi.routing import APIRoute

from hive.api.app import PREFIX, ROUTERS
from hive.api.identity import action_of, reach_of
from hive.domain.authority import Action


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    action: Action | None
    """None: what is asked for says it, as the kind of a job does."""
    of: str
    """Whom it is about: all, an agent, an inbox, a job, or who asks itself."""
    what: str
    has_body: bool


def endpoints() -> list[Endpoint]:
    """In the order of their files."""
    return list(_endpoints())


def _endpoints() -> Iterator[Endpoint]:
    for route in (route for router in ROUTERS for route in router.routes):
        assert isinstance(route, APIRoute)
        calls = [one.call for one in route.dependant.dependencies]
        action = next(filter(None, map(action_of, calls)), None)
        of = next(filter(None, map(reach_of, calls)), "all")
        for method in sorted(route.methods or ()):
            body = route.body_field is not None
            yield Endpoint(method, f"{PREFIX}{route.path}", action, of, route.description, body)
