"""How far a build of a real nix is, as the job's log tells it while it goes on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from hive.adapters.nixlog import Told
from hive.adapters.shell import LocalShell, Stream

FEATURES = ("--extra-experimental-features", "nix-command flakes")
TEXT = """\
let
  package = name: text: more: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/bin:/usr/bin";
    args = [ "-c" text ];
  } // more);
  first = package "first-1.0" "echo ${toString ./.} > $out" { };
in package "second-2.0" "sleep 2; echo said; echo $first > $out" { inherit first; }
"""


def test_a_build_that_says_nothing_for_long_is_named_while_it_goes_on(
    real_nix: dict[str, str], tmp_path: Path
) -> None:
    told: list[str] = []

    def tell(stream: Stream, line: str) -> None:
        if stream is Stream.ERR:
            told.append(line)

    (tmp_path / "system.nix").write_text(TEXT)
    LocalShell(real_nix, tell=tell).run(
        *("nix", *FEATURES, "build", "--file", tmp_path / "system.nix", "--no-link"),
        *("--log-format", "internal-json", "-v"),
        within=timedelta(minutes=1),
        reads=Told(),
    )

    assert told == [
        "building 1 of 2: first-1.0",
        "building 2 of 2: second-2.0",
        "second> said",
    ]
