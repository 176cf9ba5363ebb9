"""How the sim's nix speaks: stdout is the answer, stderr the talk, as words or as `@nix {json}`."""

from __future__ import annotations

import json
import sys

ERROR, WARN, NOTICE, TALKATIVE = 0, 1, 3, 4
BUILDS, BUILD, BUILD_LOG_LINE, PROGRESS = 104, 105, 101, 105


class Voice:
    """`is_json`: `--log-format internal-json`; `prints_logs`: `-L`."""

    def __init__(self, *, is_json: bool, prints_logs: bool) -> None:
        self.is_json, self.prints_logs = is_json, prints_logs
        self._number = 0

    def say(self, level: int, message: str) -> None:
        if self.is_json:
            self._event(action="msg", level=level, msg=message)
        else:
            sys.stderr.write(f"{message}\n")

    def error(self, words: str) -> None:
        self.say(ERROR, f"error: {words}")

    def building(self, drv: str) -> int:
        """The number by which the build's end is told."""
        self._number += 1
        if self.is_json:
            self._event(action="start", id=0, level=0, parent=0, text="", type=BUILDS)
            self._event(action="result", id=0, type=PROGRESS, fields=[0, 1, 1, 0])
            self._event(
                action="start", id=self._number, level=NOTICE, parent=0, type=BUILD,
                text=f"building '{drv}'", fields=[drv, "", 1, 1],
            )  # fmt: skip
        else:
            sys.stderr.write(f"building '{drv}'...\n")
        return self._number

    def log_line(self, number: int, name: str, line: str) -> None:
        if self.is_json:
            self._event(action="result", id=number, type=BUILD_LOG_LINE, fields=[line])
        elif self.prints_logs:
            sys.stderr.write(f"{name}> {line}\n")

    def built(self, number: int, *, failed: bool = False) -> None:
        if self.is_json:
            done = [0, 1, 0, 1] if failed else [1, 1, 0, 0]
            self._event(action="stop", id=number)
            self._event(action="result", id=0, type=PROGRESS, fields=done)
            self._event(action="stop", id=0)

    def _event(self, **fields: object) -> None:
        sys.stderr.write(f"@nix {json.dumps(fields, sort_keys=True, separators=(',', ':'))}\n")
