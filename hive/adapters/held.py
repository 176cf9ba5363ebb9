"""What commits hold, as far as it was read: that never changes, so one that has read tells all."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from hive.domain.names import Rev

MOST: Final = 32_000_000
"""Characters of a process, in all."""
Place = tuple[Rev, str]
"""A path in a commit."""


class Held:
    """Of all jobs of one process, from any of its threads; what was asked for longest ago goes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._texts: OrderedDict[Place, str | None] = OrderedDict()
        self._change = threading.Lock()

    def known(self, *places: Place) -> dict[Place, str | None]:
        """Those of them that were read; None is the answer where the commit has no such path."""
        with self._change:
            found = {place: self._texts[place] for place in places if place in self._texts}
            for place in found:
                self._texts.move_to_end(place)
            return found

    def learn(self, texts: Mapping[Place, str | None]) -> None:
        with self._change:
            for place, text in texts.items():
                if place not in self._texts:
                    self._texts[place] = text
                    self._size += len(text or "")
            while self._size > self._most:
                _, gone = self._texts.popitem(last=False)
                self._size -= len(gone or "")
