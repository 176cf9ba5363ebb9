"""The page of the API, from its routes, its shapes and the table of authority."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from hive.api.answers import WRONG
from hive.api.app import LARGEST, build_app
from hive.api.connection import UNREAD, WITHIN
from hive.api.problems import OF_CLASS, OF_CODE
from hive.api.routes import Endpoint, endpoints
from hive.api.shapes import LONGEST_WAIT
from hive.domain.authority import Action, Role, reach

PAGE: Final = """\
# The API

`hive api`, and `hive up`, answer HTTP on sockets of the host, and on TCP where `--listen HOST:PORT`
asks for it. Nothing is decided and no job is run in a request: a job is accepted, which means that
it is on the disk, and a worker runs it. `GET /v1/openapi.json` describes all of it to programs.

```console
# curl --unix-socket /run/hyperhive/host.sock http://hive/v1/agents
$ curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:7000/v1/agents
```

## Who asks

| door | who that is |
|---|---|
| `<run>/host.sock` (0660, of the group `hive-admin` where there is one) | an operator; \
the user at the other end, as the kernel says, is recorded as requester |
| `<run>/agents/NAME/hive.sock`, in the container `/run/hive/hive.sock` | that agent; of `hm1nd`, \
the manager |
| TCP | whom the token was made for: `hive token create` |

On a socket no token is looked at. Over TCP each request needs one, also those of the probes.

## Who may do what

`all`: about everybody. `others`: never about itself. `itself`: about itself alone. `own`: jobs that
it asked for.

{roles}

What the manager spawns waits for an operator before its container is made, as `HIVE_APPROVAL` says.

## Endpoints

A list is `{{"items": […], "next": …}}`, where `next` is the cursor of the page behind it, or null.
`number` is a job's or a token's. The action of `POST /v1/jobs` is the kind that is asked for.

{endpoints}

`/healthz`, `/readyz` and `/metrics` answer without the prefix too.

### POST /v1/jobs

{job}

With `"kind": "rebuild"` and no agent it is a job for each agent of the node, and with
`"kind": "reconcile", "all_nodes": true` one for each node: the answer is a list. `new` is false
where equal work was live already. An `apply` of a commit that waits as a proposal approves that.

### Streams

The live ones are server-sent events. Who comes back with `Last-Event-ID`, or `?after=`, misses
nothing. A log ends with the event `end`, which tells the job's state. A comment comes every 15
seconds. `take` with `"wait"` is answered as soon as there is a message, after {wait} seconds at
most.

### Sent again

Each POST takes an `Idempotency-Key`. Sent again with it within a day, it is not done again, and
gets the same answer, with `Idempotent-Replay: true`; a key of a job or of a message holds for ever.
Keys are everybody's own. What was refused is not kept, nor an answer beyond a million characters. A
token is never said twice: its POST makes another one.

## Errors

`application/problem+json`, with `code` and `hint` as in [errors.md](errors.md):

```json
{problem}
```

| status | when |
|---|---|
{wrong}

A body has at most {largest} bytes, and a request {within:g} seconds to arrive. An answer of which
nothing is taken for {unread:g} seconds is given up. What is no HTTP at all is told so with 400.

## Shapes

{shapes}
"""
EXAMPLE: Final = {
    "type": "urn:hive:error:no-such-agent", "title": "NotFound", "status": 404,
    "detail": "there is no agent carol", "code": "no-such-agent", "hint": "see `hive agents`",
}  # fmt: skip


def api_page() -> str:
    described = build_app(None).openapi()
    shapes = described["components"]["schemas"]
    return PAGE.format(
        roles="\n".join(_roles()),
        endpoints="\n".join(_endpoints(endpoints())),
        job=_fields(shapes["NewJob"]),
        wait=LONGEST_WAIT,
        problem=json.dumps(EXAMPLE, indent=2),
        wrong="\n".join(f"| {status} | {what}{_codes(status)} |" for status, what in WRONG.items()),
        largest=LARGEST,
        within=WITHIN,
        unread=UNREAD,
        shapes="\n\n".join(_shapes(shapes)),
    )


def _roles() -> Iterator[str]:
    yield f"| action | {' | '.join(Role)} |"
    yield f"|---|{'---|' * len(Role)}"
    for action in Action:
        cells = (reach(role, action) or "" for role in Role)
        yield f"| `{action}` | {' | '.join(cells)} |"


def _endpoints(found: list[Endpoint]) -> Iterator[str]:
    yield "| endpoint | action | what it does |"
    yield "|---|---|---|"
    for one in found:
        action = f"`{one.action}`" if one.action else "the kind"
        said = " ".join(one.what.split())
        yield f"| `{one.method} {one.path}` | {action} | {said} |"


def _shapes(shapes: dict[str, Any]) -> Iterator[str]:
    """Answers and requests, but for pages."""
    for name, shape in sorted(shapes.items()):
        if "properties" in shape and not name.endswith("Page"):
            yield f"### {name}\n\n{_fields(shape)}"


def _fields(shape: dict[str, Any]) -> str:
    needed = set(shape.get("required", ()))
    fields = shape["properties"].items()
    return ", ".join(f"`{name}`: {_type(of)}{'' if name in needed else ' (may be left out)'}"
                     for name, of in fields)  # fmt: skip


def _type(of: dict[str, Any]) -> str:
    """In a word, as JSON has it."""
    if "anyOf" in of:
        return " or ".join(_type(one) for one in of["anyOf"])
    if "$ref" in of:
        return str(of["$ref"]).rpartition("/")[2]
    if of.get("type") == "array":
        return f"array of {_type(of['items'])}"
    return str(of.get("type", "anything"))


def _codes(status: int) -> str:
    """The codes that have a status of their own."""
    classes = ", ".join(kind.__name__ for kind, one in OF_CLASS.items() if one == status)
    codes = ", ".join(f"`{code}`" for code, one in OF_CODE.items() if one == status)
    said = "; ".join(filter(None, (classes, codes)))
    return f" {said}." if said else ""
