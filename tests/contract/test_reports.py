"""What hive tells of its own accord, beside what the ends of jobs tell at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from hive.domain.message import OPERATOR, NewMessage
from hive.domain.names import MANAGER, AgentName
from hive.domain.report import Reader, Report
from hive.queue.report import report
from hive.store import agents, inboxes, telling
from hive.store.session import Database
from tests.contract.queue_samples import until
from tests.contract.store_samples import NODE, NOW, ON_POSTGRES, an_agent


def said(once: str, *to: Reader) -> Report:
    return Report("agent.failed", "it is given up", once=once, to=frozenset(to))


@ON_POSTGRES
def test_who_reports_and_who_ends_a_job_do_not_wait_in_a_circle(database: Database) -> None:
    with database.write() as session:
        agents.put(session, an_agent(name=AgentName(MANAGER), port=8000), now=NOW)
    begun = monotonic()

    def ends() -> None:
        with database.write() as session:
            both = (NewMessage(OPERATOR, "hive", "one"), NewMessage(MANAGER, "hive", "two", NODE))
            telling.leave(session, both, now=NOW)

    with ThreadPoolExecutor() as pool:
        with database.write() as session:
            report(session, NODE, said("first", Reader.MANAGER), now=NOW)
            ending = pool.submit(ends)
            until(lambda: ending.done() or monotonic() - begun > 0.5)
            report(session, NODE, said("second", *Reader), now=NOW)
        ending.result()
    with database.read() as session:
        assert inboxes.count(session, NODE, MANAGER) == 3
        assert inboxes.count(session, None, OPERATOR) == 2
