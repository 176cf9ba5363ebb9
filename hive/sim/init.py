"""What runs in a pretend container: an agent that answers HTTP on its port and says who it is.

`$HIVE_SIM_INIT <system>/init` becomes it; so a system that a real nix built needs no more than
`exec "$HIVE_SIM_INIT" "$0"` in its `init`, and an `agent.json` beside it.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import time
from _thread import start_new_thread

from hive.sim import journal
from hive.sim.places import Places, address_of
from hive.sim.supervisor import close_all_but

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TRIES = 12
FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0
LOOK_EVERY = 1.0
PATIENCE = 2.0
LARGEST_REQUEST = 65536


def main(arguments: list[str], places: Places) -> int:
    ready = int(os.environ.get("HIVE_SIM_READY", "-1"))
    close_all_but(ready)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    agent = Agent(places, os.path.dirname(os.path.abspath(arguments[0])))
    wish = agent.facts(agent.booted).get("variables", {}).get("HIVE_SIM_START")
    if wish == "fails":
        agent.note("init: this system asks to fail (HIVE_SIM_START)")
        return 1
    while wish == "hangs":
        signal.pause()
    time.sleep(agent.boot_seconds())
    return agent.serve(ready)


class Agent:
    def __init__(self, places: Places, system: str) -> None:
        self.places, self.booted = places, system
        self.container = os.environ.get("HIVE_SIM_CONTAINER", "")
        self.link = os.path.join(places.process(os.getpid()), "root/run/current-system")
        self.folder = os.environ.get("HIVE_SIM_CONTAINER_ROOT", "")
        self.root_id = identity(places.root)

    def facts(self, system: str) -> dict[str, Any]:
        with open(os.path.join(system, "agent.json"), encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
            return found

    def boot_seconds(self) -> float:
        """How long each system takes to come up here: `boot-seconds` in the sim's folder says."""
        try:
            with open(os.path.join(self.places.root, "boot-seconds"), encoding="utf-8") as file:
                return float(file.read())
        except FileNotFoundError:
            return 0.0

    def system(self) -> str:
        """What it runs now: a reload swaps the link."""
        return os.readlink(self.link)

    def note(self, message: str) -> None:
        journal.note(self.places, self.container, message, by="init")

    def serve(self, ready: int) -> int:
        facts = self.facts(self.booted)
        address = os.environ.get("HIVE_AGENT_ADDRESS") or address_of(self.places.root)
        server = self._bound(address, int(facts["port"]))
        if server is None:
            self.note(f"init: {address}:{facts['port']} stays in use; giving up")
            return 1
        self.note(f"init: {facts['agent']} answers on http://{address}:{facts['port']}/")
        if ready >= 0:
            os.write(ready, b"READY=1\n")
            os.close(ready)
        self._answer(server)
        return 0

    def _bound(self, address: str, port: int) -> socket.socket | None:
        """A quick restart finds the port still held by the one before: it is tried for 15 s.

        SO_REUSEADDR, never SO_REUSEPORT: with that, two agents would share a port in silence.
        """
        wait = FIRST_WAIT
        for _ in range(TRIES):
            server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                server.bind((address, port))
            except OSError as error:
                server.close()
                if error.errno != errno.EADDRINUSE:
                    raise
                time.sleep(wait)  # no kernel tells of a free port
                wait = min(wait * 2, LONGEST_WAIT)
            else:
                server.listen(64)
                return server
        return None

    def _answer(self, server: socket.socket) -> None:
        look_at = time.monotonic() + LOOK_EVERY
        while True:
            readable, _, _ = select.select([server], [], [], max(0.0, look_at - time.monotonic()))
            if readable:
                start_new_thread(self._one, (server.accept()[0],))
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + LOOK_EVERY
                if self._is_homeless():
                    return

    def _is_homeless(self) -> bool:
        """Its host, its own root or its system is gone: someone wiped the folder."""
        try:
            is_there = identity(self.places.root) == self.root_id and os.path.isdir(self.system())
        except OSError:
            return True
        return not is_there or (bool(self.folder) and not os.path.isdir(self.folder))

    def _one(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(PATIENCE)
                method = _request(client).split(b" ", 1)[0]
                if method:
                    client.sendall(self._page(method))
        except OSError:
            return

    def _page(self, method: bytes) -> bytes:
        system = self.system()
        facts = self.facts(system)
        allowed = method in (b"GET", b"HEAD")
        body = page(facts, system).encode() if allowed else b"only GET\n"
        head = (
            f"HTTP/1.1 {'200 OK' if allowed else '405 Method Not Allowed'}\r\n"
            f"Hive-Agent: {facts['agent']}\r\nHive-System: {os.path.realpath(system)}\r\n"
            f"Content-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + (b"" if method == b"HEAD" else body)


def _request(client: socket.socket) -> bytes:
    """The head of a request; nothing, where the caller left or wrote too much."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        more = client.recv(4096)
        if not more or len(head) > LARGEST_REQUEST:
            return b""
        head += more
    return head


def page(facts: dict[str, Any], system: str) -> str:
    said = {"system": system, "revision": facts.get("rev", ""), "base": facts.get("base", "")}
    said |= {f"change: {key}": value for key, value in facts.get("variables", {}).items()}
    said |= facts.get("environment", {})
    rows = "".join(
        f"<tr><th>{_escaped(key)}</th><td><code>{_escaped(str(value))}</code></td></tr>\n"
        for key, value in said.items()
        if value
    )
    name = _escaped(str(facts["agent"]))
    return (
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{name}</title>\n"
        "<style>body{font:16px/1.5 sans-serif;margin:3em auto;max-width:60em;padding:0 1em}"
        "th{text-align:left;padding-right:2em;white-space:nowrap}td{overflow-wrap:anywhere}</style>\n"
        f"<h1>{name}</h1>\n<p>A pretend agent in a pretend container (HIVE_BACKEND=sim).</p>\n"
        f"<table>\n{rows}</table>\n</html>\n"
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def identity(path: str) -> tuple[int, int]:
    """A folder that was removed and made again is another one."""
    found = os.stat(path)
    return found.st_dev, found.st_ino
