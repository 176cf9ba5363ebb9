"""A peer's worker, as a process: `python -m benchmarks.peers.worker PIPE PEER HANDS …`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.peers.stamps import Pen


def main() -> None:
    pipe, peer, hands, *given = sys.argv[1:]
    importlib.import_module(f"benchmarks.peers.{peer}").work(Pen(Path(pipe)), int(hands), *given)


if __name__ == "__main__":
    main()
