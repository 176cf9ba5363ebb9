"""Where `hive` begins and ends: what a command has imported stays, and is not searched for garbage.

Python's collector walks through all that there is again and again while it is imported, and once
more at the end: a sixth of what a read from the shell takes.
"""

from __future__ import annotations

import gc


def main() -> None:
    """Exits as `cli.app.main` does."""
    gc.disable()
    from cli import app

    gc.freeze()
    gc.enable()
    try:
        app.main()
    finally:
        gc.freeze()
