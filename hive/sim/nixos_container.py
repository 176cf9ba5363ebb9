"""The stand-in for `nixos-container`, traps included: what this leaves behind, it leaves too."""

from __future__ import annotations

import os
import re
import sys

from hive.sim import systemctl, units
from hive.sim.files import Lock, remove_tree, write_beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hive.sim.places import Places

LONGEST_NAME = 11
ADDRESSES = range(1, 255)
#: perl's `die` exits with the last errno: these are what stands there, ENOTTY and ENOENT.
EXISTS, MISSING = 25, 2
VERBS = ("create", "destroy", "start", "stop", "restart", "terminate", "status", "update")
_OPTIONS = {"--system-path", "--flake", "--nixos-path", "--config", "--config-file", "--signal",
            "--host-address", "--local-address", "--bridge", "--port"}  # fmt: skip


class Died(Exception):
    def __init__(self, words: str, code: int = 1) -> None:
        super().__init__(words)
        self.code = code


def main(arguments: list[str], places: Places) -> int:
    os.umask(0o022)
    try:
        words, options = _parsed(arguments)
        return _run(places, words, options)
    except Died as died:
        sys.stderr.write(f"nixos-container: {died}\n")
        return died.code


def _parsed(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(arguments)
    for word in rest:
        key, equals, value = word.partition("=")
        if key in _OPTIONS:
            options[key] = value if equals else next(rest, "")
        elif word.startswith("--"):
            options[word] = "1"
        else:
            words.append(word)
    return words, options


def _run(places: Places, words: list[str], options: dict[str, str]) -> int:
    if "--help" in options:
        print("Usage: nixos-container list | " + " | ".join(f"{verb} <name>" for verb in VERBS))
        return 0
    if not words:
        raise Died("no action specified")
    if words[0] == "list":
        print("".join(f"{name}\n" for name in _names(places)), end="")
        return 0
    if len(words) < 2:
        raise Died("no container name specified")
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", words[1]):
        raise Died("invalid container name")
    if words[0] not in VERBS:
        raise Died(f"unknown action ‘{words[0]}’")
    return _act(places, words[0], words[1], options)


def _act(places: Places, verb: str, name: str, options: dict[str, str]) -> int:
    if verb == "create":
        return create(places, name, options)
    if not os.path.exists(places.conf(name)):
        return _missing(verb, name)
    if verb in ("start", "stop", "restart"):
        return _systemctl(places, verb, name)
    if verb == "status":
        print("up" if units.look(places, name).state[0] == "active" else "down")
        return 0
    return {"destroy": destroy, "terminate": terminate, "update": update}[verb](
        places, name, options
    )


def _missing(verb: str, name: str) -> int:
    if verb == "destroy":
        return 0
    if verb == "status":
        print("gone")
    raise Died(f"container ‘{name}’ does not exist", MISSING)


def _names(places: Places) -> list[str]:
    """Of every conf, half-made ones included."""
    try:
        entries = sorted(os.listdir(places.conf_dir))
    except FileNotFoundError:
        return []
    return [name[:-5] for name in entries if name.endswith(".conf") and name[0] != "."]


def create(places: Places, name: str, options: dict[str, str]) -> int:
    """The conf comes first, and stays when the rest fails: every retry says "already exists"."""
    with Lock(os.path.join(places.root, "create.lock")):
        if os.path.exists(places.conf(name)):
            raise Died(f"container ‘{name}’ already exists", EXISTS)
        if len(name) > LONGEST_NAME:
            raise Died(f"container name ‘{name}’ is too long", EXISTS)
        host, local = _addresses(places, options)
        _write_conf(places, name, host, local, options)
    sys.stderr.write(f"host IP is {host}, container IP is {local}\n")
    profile = places.profile(name)
    os.makedirs(os.path.dirname(profile), exist_ok=True)
    _set_profile(profile, _system(options))
    os.makedirs(places.container_root(name), 0o755, exist_ok=True)
    return 0


def _addresses(places: Places, options: dict[str, str]) -> tuple[str, str]:
    if "--host-address" in options:
        return options["--host-address"], options.get("--local-address", "")
    taken = set()
    for name in _names(places):
        with open(places.conf(name), encoding="utf-8") as file:
            taken |= set(
                re.findall(r"^(?:HOST|LOCAL)_ADDRESS=([0-9.]+)$", file.read(), re.MULTILINE)
            )
    for number in ADDRESSES:
        pair = f"10.233.{number}.1", f"10.233.{number}.2"
        if not taken & set(pair):
            return pair
    raise Died("out of IP addresses")


def _write_conf(places: Places, name: str, host: str, local: str, options: dict[str, str]) -> None:
    lines = {
        "PRIVATE_NETWORK": "1",
        "HOST_ADDRESS": host,
        "LOCAL_ADDRESS": local,
        "HOST_BRIDGE": options.get("--bridge", ""),
        "HOST_PORT": options.get("--port", ""),
        "AUTO_START": options.get("--auto-start", "0"),
    }
    if "--flake" in options:  # the attribute is lost: a later bare `update` builds another one
        lines["FLAKE"] = options["--flake"].partition("#")[0]
    text = "".join(f"{key}={value}\n" for key, value in lines.items())
    write_beside(places.conf(name), text, tmp=places.tmp)


def _system(options: dict[str, str]) -> str:
    """The path to run. `--flake` builds in the working directory and reads the link back, so that
    two at once in one directory swap their systems."""
    if "--system-path" in options:
        return options["--system-path"]
    if "--flake" not in options:
        raise Died("failed to build initial container configuration: the sim has no <nixpkgs>")
    flake, _, attribute = options["--flake"].partition("#")
    wanted = (
        f'{flake}#nixosConfigurations."{attribute or "container"}".config.system.build.toplevel'
    )
    features = ("--extra-experimental-features", "nix-command flakes")
    if _call("nix", *features, "build", "-o", ".tmp", wanted) != 0:
        raise Died("failed to build initial container configuration")
    system = os.readlink(".tmp")
    os.unlink(".tmp")
    return system


def _set_profile(profile: str, system: str) -> None:
    if _call("nix-env", "-p", profile, "--set", system) != 0:
        raise Died("failed to set initial container configuration")


def _call(*argv: str) -> int:
    sys.stdout.flush()
    pid = os.posix_spawnp(argv[0], argv, os.environ)  # the caller's PATH decides which
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _systemctl(places: Places, verb: str, name: str) -> int:
    if systemctl.main([verb, f"container@{name}"], places) != 0:
        raise Died(f"failed to {verb} container")
    return 0


def terminate(places: Places, name: str, _: dict[str, str]) -> int:
    from hive.sim import machinectl

    if machinectl.terminate(places, name) != 0:
        raise Died("failed to terminate container")
    return 0


def update(places: Places, name: str, options: dict[str, str]) -> int:
    """The profile moves first, so a reload that fails leaves a broken next start; and a unit that
    is only `activating` is passed over in silence."""
    profile = places.profile(name)
    _set_profile(profile, _system(options))
    if units.look(places, name).state[0] == "active":
        sys.stderr.write("reloading container...\n")
        return _systemctl(places, "reload", name)
    return 0


def destroy(places: Places, name: str, _: dict[str, str]) -> int:
    """Stops only what is exactly `active`; removes the conf even where the root would not go.
    Drop-ins, the unit's failed state and the journal stay."""
    if units.look(places, name).state[0] == "active":
        _systemctl(places, "stop", name)
    remove_tree(os.path.dirname(places.profile(name)))
    remove_tree(os.path.join(places.gcroots, "per-container", name))
    remove_tree(places.container_root(name))
    os.unlink(places.conf(name))
    return 0
