"""What a command line costs before it does anything: heavy imports live in command bodies."""

from __future__ import annotations

import os
import sys

import pytest

from hive.adapters.shell import LocalShell
from tests.house.tree import ROOT

HEAVY = (
    "sqlalchemy", "alembic", "dramatiq", "redis", "psycopg", "sh", "mcp", "pydantic", "fastapi",
    "uvicorn",
)  # fmt: skip

LOADED = f"print('loaded:', *[name for name in {HEAVY} if name in sys.modules])"
IMPORT = f"import sys, cli.app; {LOADED}"
CLIENT = f"import sys, hive.client; {LOADED}"
HARNESS = f"import sys, hive.harness.run; {LOADED}"
HELP = f"""
import os
import sys
from cli.start import main
sys.argv = ["hive", "--help"]
try:
    main()
except SystemExit as done:
    assert not done.code
{LOADED}
"""
STAYS = """
import gc
import sys
from cli import app, start
app.main = lambda: print("collects:", gc.isenabled(), "passes:", gc.get_freeze_count() > 10_000)
start.main()
"""


@pytest.mark.parametrize(
    "program", [IMPORT, HELP, CLIENT, HARNESS], ids=["import", "help", "client", "harness"]
)
def test_starting_up_loads_nothing_heavy(program: str) -> None:
    ran = LocalShell(os.environ).run(sys.executable, "-c", program, cwd=ROOT)
    assert ran.out.splitlines()[-1] == "loaded:"


def test_a_command_that_stays_collects_its_garbage_but_not_among_what_was_imported() -> None:
    ran = LocalShell(os.environ).run(sys.executable, "-c", STAYS, cwd=ROOT)
    assert ran.out == "collects: True passes: True\n"
