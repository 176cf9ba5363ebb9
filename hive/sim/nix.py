"""The stand-in for `nix`: the few commands that hive and its operators use, with nix's words."""

from __future__ import annotations

import json
import os

from hive.sim import build, lockfile, modules, sources
from hive.sim.files import link_beside, write_beside
from hive.sim.sources import NixError, Reference, Source
from hive.sim.voice import WARN, Voice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from hive.sim.build import System
    from hive.sim.places import Places

VERSION = "2.18.1"
_TAKES = {
    "--extra-experimental-features": 1, "--experimental-features": 1, "--option": 2,
    "--log-format": 1, "--out-link": 1, "-o": 1, "--type": 1, "--json-format": 1, "--max-jobs": 1,
    "-j": 1, "--cores": 1, "--store": 1, "--update-input": 1, "--flake": 1,
}  # fmt: skip
_ALONE = {
    "--json", "-r", "--recursive", "-s", "--size", "-S", "--closure-size", "--no-link", "-v",
    "--verbose", "-vv", "-L", "--print-build-logs", "--no-update-lock-file", "--no-write-lock-file",
    "--offline", "--refresh", "--quiet", "--version", "--help", "--impure", "--print-out-paths",
    "--sri", "--show-trace", "--no-eval-cache", "--keep-going", "-k", "--accept-flake-config",
    "--debug",
}  # fmt: skip


def main(arguments: list[str], places: Places) -> int:
    words, options, unknown = _parsed(arguments)
    voice = Voice(
        is_json=options.get("--log-format") == "internal-json",
        prints_logs=bool({"-L", "--print-build-logs"} & options.keys()),
    )
    if "--version" in options:
        print(f"nix (Nix) {VERSION}")
        return 0
    if unknown:
        voice.error(f"unrecognised flag '{unknown}'\nTry 'nix --help' for more information.")
        return 1
    try:
        return Nix(places, options, voice).run(words)
    except NixError as error:
        voice.error(str(error))
        return error.code


def _parsed(arguments: list[str]) -> tuple[list[str], dict[str, str], str]:
    words: list[str] = []
    options: dict[str, str] = {}
    rest: Iterator[str] = iter(arguments)
    for word in rest:
        if word in _TAKES:
            options[word] = [next(rest, "") for _ in range(_TAKES[word])][-1]
        elif word in _ALONE:
            options[word] = ""
        elif word.startswith("-"):
            return words, options, word
        else:
            words.append(word)
    return words, options, ""


class Nix:
    def __init__(self, places: Places, options: dict[str, str], voice: Voice) -> None:
        self.places, self.options, self.voice = places, options, voice

    def run(self, words: list[str]) -> int:
        commands = {
            ("flake", "metadata"): self.metadata, ("flake", "lock"): self.lock,
            ("store", "diff-closures"): self.difference, ("hash", "path"): self.hash,
            ("build",): self.build, ("path-info",): self.path_info,
        }  # fmt: skip
        if "--help" in self.options:
            print("The sim's nix: " + ", ".join(" ".join(command) for command in commands))
            return 0
        for command, act in commands.items():
            if tuple(words[: len(command)]) == command:
                return act(*words[len(command) :])
        missing = " ".join(words[:1]) or ""
        raise NixError(
            f"'{missing}' is not a recognised command\nTry 'nix --help' for more information."
            if missing
            else "no subcommand specified\nTry 'nix --help' for more information."
        )

    def _graph(self, reference: Reference, source: Source) -> dict[str, Any]:
        """The flake's lock, complete; written down where that is possible and allowed."""
        modules.check_syntax(source)
        old = source.json(lockfile.NAME)
        anew = self.options.get("--update-input")
        graph = lockfile.locked(self.places, source, anew=anew)
        if graph == (old or lockfile.EMPTY):
            return graph
        may_write = "--no-write-lock-file" not in self.options
        if may_write and reference.kind == "git" and "rev" in reference.query:
            raise NixError(
                f"cannot write modified lock file of flake '{reference.url}' "
                "(use '--no-write-lock-file' to ignore)"
            )
        if "--no-update-lock-file" in self.options:
            raise NixError(
                f"flake '{reference.url}' requires lock file changes but they're not allowed "
                "due to '--no-update-lock-file'"
            )
        if may_write:
            self._write_lock(reference, graph, is_new=not old)
        return graph

    def _write_lock(self, reference: Reference, graph: dict[str, Any], *, is_new: bool) -> None:
        folder = os.path.join(reference.path, reference.query.get("dir", ""))
        path = os.path.join(folder, lockfile.NAME)
        write_beside(path, lockfile.written(graph), tmp=self.places.tmp)
        if reference.kind == "git":
            from hive.sim import gitread

            gitread.git(reference.path, "add", "--intent-to-add", "--force", "--", path)
        self.voice.say(WARN, f"warning: {'creating' if is_new else 'updating'} lock file '{path}'")

    def metadata(self, *words: str) -> int:
        reference = sources.parsed(words[0] if words else ".")
        source = sources.fetch(self.places, reference)
        graph = self._graph(reference, source)
        said = _metadata(reference, source, graph)
        if "--json" in self.options:
            print(json.dumps(said, sort_keys=True, separators=(",", ":")))
        else:
            print(f"Resolved URL:  {said['resolvedUrl']}\nLocked URL:    {said['url']}")
        return 0

    def lock(self, *words: str) -> int:
        reference = sources.parsed(words[0] if words else ".")
        self._graph(reference, sources.fetch(self.places, reference))
        return 0

    def build(self, *words: str) -> int:
        built = []
        for word in words or (".",):
            flake, _, attribute = word.partition("#")
            reference = sources.parsed(flake or ".")
            source = sources.fetch(self.places, reference)
            graph = self._graph(reference, source)
            system = build.system_of(self.places, source, graph, reference.url, attribute)
            system.realise(self.voice)
            built.append(system)
        self._link(built)
        if "--json" in self.options:
            said = [{"drvPath": each.drv, "outputs": {"out": each.path}} for each in built]
            print(json.dumps(said, separators=(",", ":")))
        elif "--print-out-paths" in self.options:
            print("\n".join(each.path for each in built))
        return 0

    def _link(self, built: list[System]) -> None:
        if "--no-link" in self.options or not built:
            return
        link = self.options.get("--out-link") or self.options.get("-o") or "result"
        link_beside(os.path.abspath(link), built[-1].path, tmp=self.places.tmp)

    def path_info(self, *words: str) -> int:
        from hive.sim import paths

        found = [paths.valid(self.places, word) for word in words]
        if {"-r", "--recursive"} & self.options.keys():
            found = list(dict.fromkeys(each for path in found for each in paths.closure(path)))
        with_closure = bool({"-S", "--closure-size"} & self.options.keys())
        infos = [paths.info(path, with_closure_size=with_closure) for path in found]
        if "--json" in self.options:
            print(json.dumps(infos, separators=(",", ":")))
        else:
            with_size = bool({"-s", "--size"} & self.options.keys())
            print(
                "\n".join(f"{i['path']}\t{i['narSize']}" if with_size else i["path"] for i in infos)
            )
        return 0

    def difference(self, *words: str) -> int:
        from hive.sim import paths

        before, after = (paths.valid(self.places, word) for word in words)
        for line in paths.difference(before, after):
            print(line)
        return 0

    def hash(self, *words: str) -> int:
        from hive.sim import nar

        for word in words:
            print(nar.nar_hash(nar.read(word)))
        return 0


def _metadata(reference: Reference, source: Source, graph: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "locked": source.locked,
        "locks": graph,
        "original": reference.attributes,
        "originalUrl": reference.url,
        "path": source.path,
        "resolved": reference.attributes,
        "resolvedUrl": reference.url,
        "url": sources.url_of(source.locked),
    }
    for name in ("lastModified", "revCount"):
        if name in source.locked:
            said[name] = source.locked[name]
    if "rev" in source.locked:
        said["revision"] = source.locked["rev"]
    return said
