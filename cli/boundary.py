"""Where errors become one line, a hint and an exit; and where a command meets hive."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from cli.plain import plain
from hive.errors import Fault, HiveError, Refused, Transient

if TYPE_CHECKING:
    from cli.here import Here
    from cli.hive import Hive
    from hive.domain.names import AgentName, NodeName
    from hive.queue.host import Host

EXIT = {Refused: 2, Transient: 75, Fault: 70}  # usage; EX_TEMPFAIL; EX_SOFTWARE
ENDED_BADLY = 1
INTERRUPTED = 130


def say(text: str) -> None:
    """Words are for stderr; stdout carries the result."""
    typer.echo(plain(text), err=True)


def complain(message: str, code: str, hint: str = "") -> None:
    say(f"hive: {' '.join(message.split())} [{code}]")
    if hint:
        say(f"hint: {hint}")


@contextmanager
def boundary() -> Iterator[None]:
    try:
        yield
    except HiveError as error:
        complain(error.message, error.code, error.hint)
        code = next((c for kind, c in EXIT.items() if isinstance(error, kind)), EXIT[Fault])
        raise typer.Exit(code) from None
    except BrokenPipeError:
        _leave_quietly()


def agent_name(text: str) -> AgentName:
    """Checked before anything is looked at, so that a bad name leaves no trace."""
    from hive.domain.names import AgentName

    with boundary():
        return AgentName(text)


def node_name(text: str | None) -> NodeName | None:
    from hive.domain.names import NodeName

    with boundary():
        return None if text is None else NodeName(text)


@contextmanager
def asked() -> Iterator[Hive]:
    """hive, as it can be asked from here: at `HIVE_URL`, at this host's socket, in the database."""
    with boundary():
        over = _over()
        if over is not None:
            yield over
            return
        with _here() as hive:
            yield hive


@contextmanager
def asked_here() -> Iterator[Here]:
    """This host's hive in its database, for verbs that only a process on the host can do."""
    with boundary(), _here() as hive:
        yield hive


@contextmanager
def connected() -> Iterator[Host]:
    """This host's hive, for what only a process on the host can do."""
    with boundary(), on_this_host() as host:
        yield host


@contextmanager
def on_this_host() -> Iterator[Host]:
    """As the environment and the settings file describe it. Raises `Refused` for another's."""
    from hive import bootstrap
    from hive.settings import Asking, Settings

    if Asking.from_env(os.environ).url is not None:
        raise Refused(
            "this is done on the host itself, and HIVE_URL names another place",
            code="not-over-url",
            hint="run it on that host, or unset HIVE_URL",
        )
    host = bootstrap.build(Settings.from_env(os.environ), os.environ)
    try:
        yield host
    finally:
        host.bell.close()
        host.database.dispose()


@contextmanager
def _here() -> Iterator[Here]:
    with on_this_host() as host:
        from cli.here import Here

        yield Here(host, requester())


def requester() -> str:
    """Who asks, as far as this machine knows."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _over() -> Hive | None:
    """The API where there is one; nothing of it is loaded where there is not."""
    from hive.domain.layout import HOST_SOCKET
    from hive.settings import Asking

    asking = Asking.from_env(os.environ)
    if asking.url is not None:
        from cli.over import Over

        return Over.at(asking.url, asking.token)
    for folder in asking.run_dirs:
        if (folder / HOST_SOCKET).exists():
            from cli.over import Over

            over = Over.socket(folder / HOST_SOCKET, is_ours=folder == asking.run_dirs[0])
            if over is not None:
                return over
    return None


def _leave_quietly() -> NoReturn:
    """The reader of stdout has gone, as `head` does: nothing is left to say to it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(0)
