"""The doorbell through Dramatiq: one actor, one job id a message, one queue a node.

Nothing of Dramatiq's own retries, time limits, delays or results is used: a message that is lost,
doubled or late changes nothing but when a row is looked at.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

import dramatiq
import redis
from dramatiq import Broker, Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import ConnectionClosed, DecodeError
from redis.backoff import NoBackoff
from redis.retry import Retry
from typing_extensions import override

from hive.domain.job import JobId
from hive.domain.names import NodeName
from hive.queue.broker import no_url

ACTOR: Final = "hive.ring"
MAINTENANCE: Final = 1_000_000  #: of a million: messages of dead workers come back with any fetch
HEARTBEAT: Final = 30_000  #: milliseconds
WAIT: Final = 0.5  #: seconds in Redis for a ring; so long a worker that ends may wait for its ear
NO_PAUSE: Final = 1  #: milliseconds after a look into the queue, where the wait was in Redis
FULL: Final = 25  #: milliseconds between two looks whether a thread is free again
SEND: Final = 1.0  #: seconds for one message to go out; nobody waits for it
DEAF: Final = 1.0  #: seconds without a try after one that failed
GOODBYE: Final = 0.3  #: seconds that a process which ends gives to what it has rung

Answer = Callable[[object], None]

log = logging.getLogger("hive.bell")


def local_broker(node: NodeName, answer: Answer) -> StubBroker:
    """In this process, without a word to anybody else."""
    broker = StubBroker(middleware=[])
    _declare(broker, node, answer)
    return broker


def redis_broker(url: str, node: NodeName, answer: Answer) -> RedisBroker:
    """As a worker has it: a fetch waits as long as Redis is paused."""
    by_tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}
    broker = _broker(_client(url, socket_timeout=None, **by_tcp))  # the default has become 5 s
    _declare(broker, node, answer)
    return broker


def message(node: NodeName, job: JobId) -> Message[Any]:
    return Message(queue_name=queue_of(node), actor_name=ACTOR, args=(job,), kwargs={}, options={})


def queue_of(node: NodeName) -> str:
    return f"hive.{node}"


class LocalBell:
    """Rings in this process. Who has been rung for, and not answered, is not rung for again."""

    def __init__(self, node: NodeName, answer: Answer) -> None:
        self._answer = answer
        self._rung: set[object] = set()
        self.broker = local_broker(node, self._answered)

    def ring(self, node: NodeName, job: JobId) -> None:
        if job not in self._rung:
            self._rung.add(job)
            self.broker.enqueue(message(node, job))

    def close(self) -> None: ...

    def _answered(self, job: object) -> None:
        self._rung.discard(job)
        self._answer(job)


class RedisBell:
    """Rings through Redis, from a thread of its own: one that is slow or gone delays nobody."""

    def __init__(self, url: str) -> None:
        _client(url).close()  # one that is no URL is refused here, and not in a thread
        self.lost = 0
        self._url = url
        self._rung: SimpleQueue[Message[Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._change = threading.Lock()
        self._deaf_until = float("-inf")

    def ring(self, node: NodeName, job: JobId) -> None:
        self._start()
        self._rung.put(message(node, job))

    def close(self) -> None:
        if self._thread is not None:
            self._rung.put(None)
            self._thread.join(GOODBYE)

    def _start(self) -> None:
        with self._change:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hive-bell", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        client = _client(self._url, socket_connect_timeout=SEND, socket_timeout=SEND)
        broker = _broker(client)
        while (rung := self._rung.get()) is not None:
            self._send(broker, rung)
        client.close()

    def _send(self, broker: Broker, rung: Message[Any]) -> None:
        if time.monotonic() < self._deaf_until:
            self.lost += 1
            return
        try:
            broker.enqueue(rung)
        except (redis.RedisError, OSError) as error:
            self.lost += 1
            self._deaf_until = time.monotonic() + DEAF
            log.warning("bell.not-heard because=%s", type(error).__name__)


def _declare(broker: Broker, node: NodeName, answer: Answer) -> None:
    def ring(*said: object, **_: object) -> None:
        """Whatever a message says is answered: what is no job of this node is dropped there."""
        answer(said[0] if said else None)

    dramatiq.actor(actor_name=ACTOR, queue_name=queue_of(node), broker=broker)(ring)


class _Ear(_RedisConsumer):
    """Hears rings only: of anything else Dramatiq would make a traceback and a pause.

    It waits in Redis, where Dramatiq would look again and again.
    """

    @override
    def __next__(self) -> MessageProxy | None:
        """None where nothing was heard that may be answered: then it is asked again."""
        try:
            self.timeout = NO_PAUSE if self._has_waited() else FULL
            heard: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        except (DecodeError, TypeError) as error:  # the latter where its id is no string
            self._drop(type(error).__name__)
            return None
        return heard if heard is None or self._is_ring(heard) else None

    def _has_waited(self) -> bool:
        """Until somebody rang, or a while; not where as many have rung as may be answered.

        The last of the queue is moved to its end, in one step of Redis, so no kill can lose it.
        """
        if self.outstanding_message_count >= self.prefetch:
            return False
        queue = f"{self.broker.namespace}:{self.queue_name}"
        try:
            self.broker.client.blmove(queue, queue, WAIT, "RIGHT", "RIGHT")
        except redis.ConnectionError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        return True

    def _is_ring(self, heard: MessageProxy) -> bool:
        """What is none is not kept: it would come back."""
        is_ours = heard.actor_name == ACTOR and isinstance(heard.kwargs, dict)
        is_known = isinstance(heard.options, dict) and "redis_message_id" in heard.options
        if is_known and not is_ours:
            self.ack(heard)  # type: ignore[no-untyped-call]
        if not (is_known and is_ours):
            self._drop("not-a-ring")
        return is_known and is_ours

    def _drop(self, because: str) -> None:
        """Counted as a ring that says nothing is."""
        log.warning("bell.garbage because=%s", because)
        self.broker.get_actor(ACTOR).fn()


class _Doorbells(RedisBroker):
    @property
    @override
    def consumer_class(self) -> type[_Ear]:
        return _Ear


def _broker(client: redis.Redis) -> RedisBroker:
    return _Doorbells(  # type: ignore[no-untyped-call]  # Dramatiq has not typed it
        client=client,
        middleware=[],
        maintenance_chance=MAINTENANCE,
        heartbeat_timeout=HEARTBEAT,
    )


def _client(url: str, **options: Any) -> redis.Redis:  # noqa: ANN401 - what redis-py takes
    """No retries: a fetch that was executed would be sent again, and its messages lost to us."""
    try:
        return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
    except ValueError:  # it may quote the password
        raise no_url() from None
