"""What `hive doctor` says of how nix builds here; docs/nix-in-a-container.md has what to do."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from hive.adapters.nixconfig import NixConfig
from hive.errors import HiveError
from hive.service.finding import Look, Said, Subject, Verdict

GIB: Final = 1 << 30
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
PRETENDED: Final = (Verdict.OK, "PRETENDED: the sim's stand-in for nix builds", "")
SSH: Final = re.compile(r"(git\+)?ssh(-ng)?://")
KIN: Final[Mapping[str, re.Pattern[str]]] = {
    "x86_64": re.compile(r"x86_64(-v\d)?|i[3456]86"),
    "aarch64": re.compile(r"aarch64|armv[5-8]\w*"),
}
"""What a processor runs besides its own, without an emulator."""


def _of_config(look: Callable[[Subject, NixConfig], Said]) -> Look:
    """Without a nix there is nothing to look at: that it is missing is said elsewhere, once."""

    def told(subject: Subject) -> Said:
        if "nix" in subject.pretended:
            return PRETENDED
        try:
            config = subject.config()
        except HiveError as error:
            return Verdict.NOTE, f"not looked at: {error.message}", ""
        return look(subject, config)

    return told


def _substituters(subject: Subject, config: NixConfig) -> Said:
    asked = [url for url in config.substituters if url.startswith(("http://", "https://"))]
    if not asked:
        return Verdict.NOTE, "no binary cache on the network is asked: all is built here", ""
    away = [(url, said) for url in asked if (said := subject.refuses(url)) is not None]
    if not away:
        return Verdict.OK, f"{' and '.join(asked)} can be reached", ""
    said = "; ".join(f"{url} cannot be reached: {because}" for url, because in away)
    hint = "look at the network, at DNS in this container, and at http_proxy and https_proxy"
    return Verdict.WARN, said, hint


def _sandbox(subject: Subject, config: NixConfig) -> Said:
    if not config.sandbox:
        hint = "build only what you trust, as all that this user can do a build can do"
        return Verdict.NOTE, "sandbox = false: builds are not isolated", hint
    if subject.has_daemon:
        return Verdict.OK, "sandbox = true, and the nix daemon builds", ""
    because = subject.sandbox_refusal()
    if because is None:
        return Verdict.OK, "sandbox = true, and this user can make one", ""
    said = f"sandbox = true, and this user cannot make one: {because}"
    if config.sandbox_fallback:
        hint = "sandbox-fallback lets builds out in silence: say sandbox = false, if that is meant"
        return Verdict.WARN, said, hint
    hint = "sandbox = false in nix.conf, or a container that may make namespaces"
    return Verdict.MISSING, said, hint


def _platforms(subject: Subject, config: NixConfig) -> Said:
    own = config.system.partition("-")[0]
    kin = KIN.get(own, re.compile(re.escape(own)))
    foreign = [name for name in config.extra_platforms if not kin.fullmatch(_processor(name))]
    if not foreign:
        return Verdict.NOTE, f"builds are for {config.system} alone: nothing is emulated", ""
    lacking = [name for name in foreign if not subject.emulates(_processor(name))]
    if not lacking:
        return Verdict.OK, f"{' and '.join(foreign)} can be emulated", ""
    said = f"extra-platforms has {' and '.join(lacking)}, for which no emulator is registered"
    hint = "register qemu with binfmt_misc on the host, or name a builder of that kind instead"
    return Verdict.MISSING, said, hint


def _builders(subject: Subject, config: NixConfig) -> Said:
    keys = dict(_machines(config.builders))
    if not keys:
        return Verdict.NOTE, "builds are done here: nix.conf names no other machine", ""
    if any(map(SSH.match, keys)) and subject.shell.find("ssh") is None:
        return _no_ssh("builds go to other machines over ssh")
    for machine, key in keys.items():
        if key is not None and (trouble := _unfit(key)) is not None:
            said, hint = trouble
            return Verdict.MISSING, f"the key for {machine}: {said}", hint
    return Verdict.OK, f"builds may go to {' and '.join(keys)}", ""


def _base_flake(subject: Subject) -> Said:
    flake = subject.base_flake
    if "nix" in subject.pretended:
        return PRETENDED
    if flake is None:
        return Verdict.NOTE, "HIVE_BASE_FLAKE is not set: no agent can be spawned", ""
    if not SSH.match(flake):
        return Verdict.OK, "it is not fetched over ssh", ""
    if subject.shell.find("ssh") is None:
        return _no_ssh("the base flake is fetched over ssh")
    if subject.has_ssh_command:
        said = "GIT_SSH_COMMAND is set, and hive hands it on to no program"
        return Verdict.WARN, said, "say the same in .ssh/config of the user who runs hive"
    for key in subject.ssh_keys():
        if (trouble := _unfit(key)) is not None:
            return Verdict.MISSING, *trouble
    return Verdict.OK, "it is fetched over ssh, which is there", ""


def _collector(_: Subject, config: NixConfig) -> Said:
    if not config.min_free:
        hint = "min-free and max-free in nix.conf, and a collection each day"
        return Verdict.NOTE, "min-free is not set: no build makes room for itself", hint
    low, high = (f"{size / GIB:.0f} GiB" for size in (config.min_free, config.max_free))
    return Verdict.OK, f"below {low} free a build collects garbage, up to {high}", ""


def _no_ssh(said: str) -> Said:
    return Verdict.MISSING, f"{said}, and there is no ssh on the PATH", "install an ssh client"


def _unfit(key: Path) -> tuple[str, str] | None:
    """What ssh would say against a key, and what to do."""
    try:
        mode = key.stat().st_mode
    except OSError as error:
        return f"{key}: {error.strerror}", "put the key there, or name another one"
    if mode & OTHERS:
        return f"{key} can be read by others, and ssh refuses it", f"chmod 600 {key}"
    return None


def _machines(said: str) -> Iterator[tuple[str, Path | None]]:
    """Each machine, and the key for it where one is named."""
    for line in re.split(r"[\n;]", _lines(said)):
        words = line.partition("#")[0].split()
        if words:
            named = words[2] if len(words) > 2 and words[2] != "-" else None
            yield _machine(words[0]), None if named is None else Path(named)


def _machine(name: str) -> str:
    """A bare name is one for ssh."""
    return name if "://" in name else f"ssh://{name}"


def _lines(said: str) -> str:
    if not said.startswith("@"):
        return said
    try:
        return Path(said.removeprefix("@")).read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _processor(platform: str) -> str:
    return platform.rpartition("-")[0]


LOOKS: Final[Mapping[str, Look]] = {
    "substituters": _of_config(_substituters),
    "sandbox": _of_config(_sandbox),
    "platforms": _of_config(_platforms),
    "builders": _of_config(_builders),
    "base-flake": _base_flake,
    "collector": _of_config(_collector),
}
