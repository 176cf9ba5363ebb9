"""The stand-in for `nix-env`: `-p PROFILE --set PATH`, in generations, as nix keeps them."""

from __future__ import annotations

import os
import re
import sys

from hive.sim.files import Lock, link_beside
from hive.sim.nix import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hive.sim.places import Places


def main(arguments: list[str], places: Places) -> int:
    profile = target = ""
    rest = iter(arguments)
    for word in rest:
        if word == "--version":
            print(f"nix-env (Nix) {VERSION}")
            return 0
        if word in ("-p", "--profile"):
            profile = next(rest, "")
        elif word == "--set":
            target = next(rest, "")
        elif word == "--option":
            next(rest, ""), next(rest, "")
        elif word == "--extra-experimental-features":
            next(rest, "")
        else:
            return _fail(f"unrecognised flag '{word}'\nTry 'nix-env --help' for more information.")
    if not profile or not target:
        return _fail("the sim's nix-env knows only '-p PROFILE --set PATH'")
    return _set(places, os.path.abspath(profile), target)


def _fail(words: str) -> int:
    sys.stderr.write(f"error: {words}\n")
    return 1


def _set(places: Places, profile: str, target: str) -> int:
    if not os.path.exists(target):
        return _fail(f"getting status of '{target}': No such file or directory")
    if not os.path.isdir(os.path.dirname(profile)):
        return _fail(f"opening lock file '{profile}.lock': No such file or directory")
    with Lock(os.path.join(places.root, "nix-env.lock")):
        _switch(places, profile, os.path.realpath(target))
    return 0


def _switch(places: Places, profile: str, system: str) -> None:
    """The newest generation is used again when it is this one already; the link is relative."""
    folder, name = os.path.split(profile)
    newest = max(_generations(folder, name), default=0)
    link = f"{name}-{newest}-link"
    if not newest or os.readlink(os.path.join(folder, link)) != system:
        link = f"{name}-{newest + 1}-link"
        link_beside(os.path.join(folder, link), system, tmp=places.tmp)
    if not os.path.islink(profile) or os.readlink(profile) != link:
        link_beside(profile, link, tmp=places.tmp)


def _generations(folder: str, name: str) -> list[int]:
    pattern = re.compile(re.escape(name) + r"-(\d+)-link")
    return [int(found[1]) for found in map(pattern.fullmatch, os.listdir(folder)) if found]
