"""hive's API, for programs: `Client.at(place)`, and what it answers in `hive.client.answers`."""

from hive.client.routes import Client

__all__ = ["Client"]
