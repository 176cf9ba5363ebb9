"""Asking for something once, also where its answer is lost on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar
from uuid import uuid4

from hive.errors import Transient

T = TypeVar("T")
WAITS: Final = (0.5, 2.0)
"""Seconds: hive may be starting anew."""


def once(ask: Callable[[str], T]) -> T:
    """`ask` is handed a key of this request's own: under it hive does it a single time."""
    key = uuid4().hex
    for wait in WAITS:
        try:
            return ask(key)
        except Transient:
            threading.Event().wait(wait)
    return ask(key)
