"""Nix, in the few sentences that hive needs; every version from 2.8 on, and Lix."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from hive.adapters import nixlog
from hive.adapters.nixconfig import NixConfig
from hive.adapters.nixversion import NixVersion, sizes
from hive.adapters.pipes import Reader
from hive.adapters.shell import QUICK, Ran, Shell
from hive.domain.meta import Base
from hive.domain.names import AgentName, Rev
from hive.errors import CommandFailed, Fault, HiveError, Refused, Transient

BUILD = timedelta(hours=2)
LOCK = timedelta(minutes=10)
LOOK = timedelta(minutes=2)
FEATURES = ("--extra-experimental-features", "nix-command flakes")

#: Words by which nix tells of the world's trouble, not of the flake's.
WORLD = {
    "No space left on device": ("disk-full", "free some space, then run it again"),
    "Disk quota exceeded": ("disk-full", "free some space, then run it again"),
    "database or disk is full": ("disk-full", "free some space, then run it again"),
    "unable to download": ("network", "look at the network, then run it again"),
    "Could not resolve host": ("network", "look at the network, then run it again"),
    "Couldn't resolve host": ("network", "look at the network, then run it again"),
    "Temporary failure in name resolution": ("network", "look at the network, then run it again"),
    "Network is unreachable": ("network", "look at the network, then run it again"),
    "Connection reset by peer": ("network", "look at the network, then run it again"),
    "Connection refused": ("network", "is the nix daemon running?"),
    "Connection timed out": ("network", "look at the network, then run it again"),
}


@dataclass(frozen=True, slots=True)
class Nix:
    """Builds happen here, never in `nixos-container`. Failures carry nix's own last words."""

    shell: Shell
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    _known: list[NixVersion] = field(default_factory=list, init=False, repr=False, compare=False)
    """Its version, once it was asked."""

    def pin(self, reference: str) -> Base:
        """The base flake that `reference` names right now, locked.

        The label has the rev's first 12 digits, or the narHash's where there is no rev (hex).
        """
        try:
            ran = self._run("flake", "metadata", "--refresh", "--json", reference, within=LOCK)
        except CommandFailed as failed:
            raise _trouble(
                failed, f"the base flake {reference} cannot be read", "base-unreadable"
            ) from None
        try:
            return _pinned(json.loads(ran.raw), reference)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Fault(f"nix said nothing that hive understands of {reference}: {error}") from None

    def lock(self, folder: Path, store: Path) -> None:
        """Fill in what `folder/flake.lock` lacks of `folder/flake.nix`, and leave the rest.

        What nix fetches for it goes into `store`, and not into the one that everybody reads. No
        registry of this host says what a name means.
        """
        # A store that is new lacks what the host has: no cache is to be asked for it.
        apart = ("--store", store, *_off("substitute"), *_off("use-registries"))
        try:
            self._run("flake", "lock", f"path:{folder}", *apart, cwd=folder, within=LOCK)
        except CommandFailed as failed:
            raise _trouble(failed, "the meta flake cannot be locked", "lock-failed") from None

    def update_input(self, folder: Path, name: str) -> None:
        """Lock the input `name` of `folder/flake.nix` anew, and leave the rest.

        Nix only warns of a name that the flake does not have.
        """
        try:
            self._run(*self._version().update_input(folder, name), cwd=folder, within=LOCK)
        except CommandFailed as failed:
            raise _trouble(
                failed, f"the input {name} cannot be locked anew", "lock-failed"
            ) from None

    def build(self, flake: str, agent: AgentName, rev: Rev, *, link: Path, cwd: Path) -> None:
        """Build the system of `agent` from the meta flake at `rev`; `link` keeps it.

        Its log has the builders' lines, nix's messages, and how far it is.
        """
        wanted = f'{flake}?rev={rev}#nixosConfigurations."{agent}".config.system.build.toplevel'
        words = ("build", "--out-link", link, "--json", "--no-update-lock-file", wanted)
        # Before 2.31 two evaluations of one flake may wait for each other's cache without end.
        alone = _off("eval-cache")
        told = ("--log-format", "internal-json", "-v")
        try:
            self._run(*words, *alone, *told, cwd=cwd, within=BUILD, reads=nixlog.Told())
        except CommandFailed as failed:
            raise _trouble(failed, f"{agent} does not build", "build-failed") from None

    def closure(self, path: Path) -> dict[str, int]:
        """All that `path` needs and itself, with the bytes of each; `path` may be a link to it."""
        try:
            ran = self._run(*self._version().path_info(path), within=LOOK)
        except CommandFailed as failed:
            raise _trouble(
                failed, f"the closure of {path} cannot be read", "closure-unreadable"
            ) from None
        return sizes(ran.raw)

    def set_profile(self, profile: Path, system: Path) -> None:
        """The profile's newest generation is `system`."""
        self._call("nix-env", "-p", profile, "--set", system)

    def version(self) -> str:
        """Such as `2.18.1`; raises when there is no nix."""
        return self._version().text

    def has_flakes(self) -> bool:
        """Whether the experimental features can be had."""
        return self._run("flake", "--help", accept=(0, 1)).exit_code == 0

    def config(self) -> NixConfig:
        """As it holds for this user, here and now."""
        return NixConfig.read(self._run(*self._version().show_config()).raw)

    def _version(self) -> NixVersion:
        if not self._known:
            self._known.append(NixVersion(self._run("--version").out))
        return self._known[0]

    def _run(
        self,
        *words: str | Path,
        cwd: Path | None = None,
        within: timedelta = QUICK,
        accept: Sequence[int] = (0,),
        reads: Reader | None = None,
    ) -> Ran:
        return self._call(
            "nix", *FEATURES, *words, cwd=cwd, within=within, accept=accept, reads=reads
        )

    def _call(
        self,
        *words: str | Path,
        cwd: Path | None = None,
        within: timedelta = QUICK,
        accept: Sequence[int] = (0,),
        reads: Reader | None = None,
    ) -> Ran:
        options = [word for key, value in self.options.items() for word in ("--option", key, value)]
        return self.shell.run(
            *words,
            *options,
            cwd=cwd,
            env=self.environment,
            within=within,
            accept=accept,
            quiet=True,
            reads=reads,
        )


def _off(option: str) -> tuple[str, str, str]:
    return "--option", option, "false"


def _trouble(failed: CommandFailed, what: str, code: str) -> HiveError:
    """A program that was killed, or the world's trouble, may pass; anything else is the flake's."""
    last = _last_words(failed.tail)
    if failed.exit_code < 0:
        return Transient(f"{what}: nix was killed by signal {-failed.exit_code}")
    for words, (trouble, hint) in WORLD.items():
        if words in failed.tail:
            return Transient(f"{what}: {last}", code=trouble, hint=hint)
    return Refused(
        f"{what}: {last}", code=code, hint="`hive logs` of the job has all of nix's words"
    )


def _last_words(tail: str) -> str:
    """The last thing that nix called an error, or its last line."""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:") and line != "error:"]
    return (errors or lines or ["it said nothing"])[-1].removeprefix("error:").strip()


def _pinned(found: Mapping[str, Any], reference: str) -> Base:
    """What `nix flake metadata` said, as a base."""
    locked = found.get("locked") or {}
    rev = found.get("revision") or locked.get("rev")
    if rev is None and locked.get("type") in ("git", "hg"):
        raise Refused(
            f"the base flake {reference} has changes that are not committed",
            code="base-unreadable",
            hint="commit them there: only a commit can be had again",
        )
    digits = str(rev) if rev else _hex(locked["narHash"])
    return Base(f"base-{digits[:12]}", _with_hash(str(found["url"]), locked), reference)


def _with_hash(url: str, locked: Mapping[str, Any]) -> str:
    """A plain path's locked URL carries its narHash, also where this nix leaves it out."""
    known = parse_qs(urlsplit(url).query)
    if "rev" in known or "narHash" in known or "narHash" not in locked:
        return url
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}narHash={quote(locked['narHash'], safe='')}"


def _hex(sri: str) -> str:
    """The digits of an SRI hash."""
    return base64.b64decode(sri.removeprefix("sha256-"), validate=True).hex()
