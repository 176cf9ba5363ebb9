"""The processes that stay: worker, maintenance, the API, and all of it in one."""

from __future__ import annotations

import logging
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import connected, say

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from hive.domain.worker import Role
    from hive.queue.host import Host

Concurrency = Annotated[
    int, typer.Option(help="How many jobs run at once.", min=1, max=64, show_default=True)
]
Drain = Annotated[
    int,
    typer.Option(
        help="Seconds that a job may go on for after a signal; then it is given back.",
        min=0,
        max=86_400,
    ),
]
Listen = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Answer on TCP too, where each request needs a token."),
]


def worker(concurrency: Concurrency = 2, drain: Drain = 30) -> None:
    """Run the jobs of this node, until a signal ends it."""
    from hive.domain.worker import Role

    _serve(Role.WORKER, concurrency, drain)


def up(concurrency: Concurrency = 2, drain: Drain = 30, listen: Listen = None) -> None:
    """Worker, maintenance and the API in one process, until a signal ends it."""
    from hive.domain.worker import Role

    _serve(Role.UP, concurrency, drain, listen)


def api(listen: Listen = None) -> None:
    """Answer on this host's sockets, and on TCP where asked to, until a signal ends it."""
    _speak()
    with connected() as host:
        from hive.api.server import Api
        from workers import health
        from workers.main import until_signalled

        served = Api(host, listen)
        with until_signalled() as over:
            served.run(over, lambda: health.notify(health.READY))
            health.notify(health.STOPPING)


def maintenance(
    once: Annotated[
        bool, typer.Option("--once", help="Every chore once, then leave: for timers.")
    ] = False,
) -> None:
    """Rescue, ring again, trace verdicts and fire schedules, until a signal ends it."""
    _speak()
    with connected() as host:
        from workers.maintenance import Maintenance, chores_of

        chores = Maintenance(host, chores_of(host))
        if once:
            done = chores.once()
            say(", ".join(f"{count} {what}" for what, count in done.as_dict().items()))
            return
        from workers.main import keep_house

        keep_house(host, chores)


def _serve(role: Role, concurrency: int, drain: int, listen: str | None = None) -> None:
    _speak()
    with connected() as host:
        from hive.domain.worker import Role
        from hive.service.ground import number_above_tags, written_to
        from hive.settings import Settings
        from workers.main import Choices, Supervisor

        number_above_tags(host, written_to(host))
        redis_url = Settings.from_env(os.environ).redis_url
        choices = Choices(role, concurrency, timedelta(seconds=drain), redis_url)
        beside = (_answers(host, listen),) if role is Role.UP else ()
        Supervisor(host, choices, beside).run()


def _answers(host: Host, listen: str | None) -> Callable[[threading.Event], None]:
    """The API beside a worker, which does not wait for it, and goes on where it cannot be."""
    from hive.api.sockets import parsed
    from hive.errors import HiveError

    if listen is not None:
        parsed(listen)

    def run(over: threading.Event) -> None:
        from hive.api.server import Api  # heavy: jobs are taken up before it is there

        try:
            Api(host, listen).run(over)
        except HiveError as error:
            logging.getLogger("hive.api").warning("api.not-there because=%s", error.message)

    return run


def _speak() -> None:
    """Event, fields; the journal adds the time. Programs are in the jobs' own logs."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s"
    )
    for others in ("sh", "dramatiq"):
        logging.getLogger(others).setLevel(logging.WARNING)
