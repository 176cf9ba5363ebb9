"""What an agent says of itself, as a request."""

from __future__ import annotations

from hive.api.shapes import Body, Short
from hive.domain.notice import OwnNews


class OwnStatus(Body):
    text: Short
    about: OwnNews | None = None
    """Told to the manager, too."""
