"""The broker, as far as it must be there. It only carries doorbells: jobs live in the database."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from hive.errors import Refused, Transient

KNOCK: Final = 2.0  #: seconds


def reach(url: str) -> None:
    """It answers, or `redis-unreachable` says why; no message holds what the URL keeps secret."""
    import redis  # heavy, and most hosts have none
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        client = redis.Redis.from_url(
            url,
            socket_connect_timeout=KNOCK,
            socket_timeout=KNOCK,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:  # it may quote the password
        raise no_url() from None
    try:
        with client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        raise Transient(
            f"Redis at {_named(url)} does not answer: {_said(error)}",
            code="redis-unreachable",
            hint="check HIVE_REDIS_URL, and that Redis runs; until then jobs wait for a poll",
        ) from None


def no_url() -> Refused:
    return Refused(
        "HIVE_REDIS_URL is no URL of a Redis",
        code="bad-redis-url",
        hint="redis://host:6379/0, rediss://… or unix:///run/redis.sock",
    )


def _named(url: str) -> str:
    """Where it is, without who may enter."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]


def _said(error: Exception) -> str:
    said = str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__
