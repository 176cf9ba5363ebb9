"""`hive agent logs` and `hive agent shell`, as a person types them, on a pretend host."""

from __future__ import annotations

import os
from pathlib import Path

from tests.acceptance.test_spawn import a_person, refused


def test_the_journal_of_an_agent_is_its_containers_and_nothing_else(tmp_path: Path) -> None:
    with a_person(tmp_path) as person:
        refused(person.hive("agent", "logs", "alice"), 2, "no-such-agent")
        of_shell = "no-such-agent" if os.geteuid() == 0 else "not-permitted"
        refused(person.hive("agent", "shell", "alice"), 2, of_shell)
        person.does("spawn", "alice")
        said = person.does("agent", "logs", "alice").splitlines()
        assert any("container@h-alice" in line for line in said)
        assert person.does("agent", "logs", "alice", "-n", "1").splitlines() == said[-1:]
        person.does("stop", "alice")
        stopped = person.does("agent", "logs", "alice").splitlines()
        assert stopped[: len(said)] == said
        assert "Stopped" in stopped[-1]
