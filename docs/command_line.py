"""The page of the command line, from the commands themselves."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Final

import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from cli.app import app
from cli.boundary import ENDED_BADLY, EXIT, INTERRUPTED
from hive.domain.event import Event
from hive.errors import Fault, Refused, Transient
from hive.service.fleet import NodeView, WorkerView
from hive.service.inbox import message_as_json
from hive.service.schedules import ScheduleView
from hive.service.tokens import TokenView
from hive.service.views import AgentView, JobView

WIDTH: Final = 92
Words = tuple[str, ...]

PAGE: Final = """\
# The command line

stdout carries the result and nothing else; words are on stderr. With `--json` stdout is one JSON
value, and a list is an array; `hive events --json` and `hive inbox --json` are an object a line. An
error is one line with its [code](errors.md) in brackets, and a hint under it:

```text
hive: 'bad_name' is not an agent's name [bad-name]
hint: 1 to 9 of a-z, 0-9 and -, with no - at either end
```

A verb that makes a job follows it: a live list of steps on a terminal, plain lines elsewhere. A
step is marked `=` where it held, `…` while it is made so, `+` once it was made so, `!` where it
could not be. While `hive up` or `hive worker` is alive on the node, the command only looks on; else
the command is the worker, and what `--detach` leaves waits for `hive up` or `hive job run`. A job
for another node (`--node`) is worked on there.

## Exits

| exit | when |
|---|---|
{exits}

## JSON

The keys stay. Instants are in UTC; what is not known is `null`.

| of | keys |
|---|---|
| a job | {job} |
| a step of a job | `name`, `state`, `because`, `seconds` |
| an agent | {agent} |
| a step of a plan | `name`, `holds`, `because` |
| a worker | {worker} |
| a node | {node} |
| an event | {event} |
| a message | {message} |
| a schedule | {schedule} |
| a token | {token} |
| a finding of the doctor | `name`, `verdict`, `message`, `hint` |

## Commands

{commands}"""

EXITS: Final = {
    0: "Done. Also: the job now waits at its gate; the id was printed, with `--detach`; "
    "`hive plan` found differences; the reader of a pipe has gone.",
    ENDED_BADLY: "A job was accepted and ended failed, denied, cancelled or superseded, whatever "
    "the class of its error: `state` and `error.code` say. Also: `hive plan --exit-code` found a "
    "difference; `hive cancel` came late; `hive doctor` misses something needed; an agent of the "
    "demo does not answer.",
    EXIT[Refused]: "Refused: nothing was accepted, and the ask must change. Also: a wrong option.",
    EXIT[Transient]: "Nothing was accepted: hive's own database or disk misbehaves. The same may "
    "work later.",
    EXIT[Fault]: "Nothing was accepted: a bug in hive, or a program that it needs is missing.",
    INTERRUPTED: "Interrupted: the job is queued again, or goes on elsewhere; stderr says which.",
}


def cli_page() -> str:
    return PAGE.format(
        exits="\n".join(f"| {number} | {when} |" for number, when in sorted(EXITS.items())),
        job=_keys(JobView.as_json),
        agent=_keys(AgentView.as_json),
        worker=_keys(WorkerView.as_json),
        node=_keys(NodeView.as_json),
        event=_keys(Event.as_json),
        message=_keys(message_as_json),
        schedule=_keys(ScheduleView.as_json),
        token=_keys(TokenView.as_json),
        commands="\n".join(_section(words) for words in commands()),
    )


def commands() -> dict[Words, bool]:
    """Every command by its words, `hive` itself being none, and whether others stand below it."""
    return dict(_below((), typer.main.get_command(app)))


def _below(words: Words, command: object) -> Iterator[tuple[Words, bool]]:
    is_group = isinstance(command, TyperGroup)
    yield words, is_group
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from _below((*words, name), below)


def _section(words: Words) -> str:
    return f"### {' '.join(('hive', *words))}\n\n```text\n{_help(words)}\n```\n"


def _help(words: Words) -> str:
    """As `--help` says it, on a terminal of one width, wherever this runs."""
    asked = CliRunner().invoke(app, [*words, "--help"], prog_name="hive", terminal_width=WIDTH)
    return "\n".join(line.rstrip() for line in asked.stdout.strip().splitlines())


def _keys(as_json: Callable[..., object]) -> str:
    return ", ".join(f"`{key}`" for key in keys(as_json))


def keys(as_json: Callable[..., object]) -> list[str]:
    """The keys of the dict that a view's `as_json` returns."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(as_json)))
    (made,) = (node.value for node in ast.walk(tree) if isinstance(node, ast.Return))
    found = made.keys if isinstance(made, ast.Dict) else []
    return [f"{key.value!s}" for key in found if isinstance(key, ast.Constant)]
