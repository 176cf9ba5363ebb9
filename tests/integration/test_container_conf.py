"""The settings of nix in a container, read by a real nix."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from hive.adapters.nix import FEATURES, Nix
from hive.adapters.shell import LocalShell
from tests.house.test_container_image import HERE, conf

NAMES = ("nix.conf", "without-build-users.conf")


def test_nix_knows_every_setting_and_takes_every_value(
    real_nix: dict[str, str], tmp_path: Path
) -> None:
    """Of what it does not know nix says so on stderr, and goes on."""
    (tmp_path / "nix.conf").write_text("".join((HERE / name).read_text() for name in NAMES))
    env = {**real_nix, "NIX_CONF_DIR": str(tmp_path)}
    env.pop("NIX_CONFIG", None)
    shell = LocalShell(env)
    ran = shell.run("nix", "show-config")
    assert "unknown setting" not in ran.tail
    told = dict(line.partition(" = ")[::2] for line in ran.out.splitlines())
    wanted = conf(*NAMES)
    features = "experimental-features"
    assert told.pop(features).split() == sorted(wanted.pop(features).split())
    cores = wanted.pop("cores")
    assert told["cores"] in (cores, str(os.cpu_count()))
    assert {key: told.get(key, "").strip() for key in wanted} == wanted
    config = Nix(shell).config()
    assert (config.sandbox, config.min_free, config.max_free) == (False, 20 << 30, 50 << 30)


def test_a_copied_store_has_a_root_that_leads_into_itself(
    real_nix: dict[str, str], tmp_path: Path
) -> None:
    """As the Dockerfile's stage `closure` puts right: else the collector would take nix itself."""
    shell = LocalShell(real_nix)
    expression = (
        'derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh";'
        ' args = [ "-c" "echo > $out" ]; }'
    )
    words = ("--no-link", "--json", "--impure", "--expr", expression)
    (built,) = json.loads(shell.run("nix", *FEATURES, "build", *words).raw)
    out = built["outputs"]["out"]
    shell.run("nix", *FEATURES, "copy", "--no-check-sigs", "--to", tmp_path / "closure", out)
    copied = tmp_path / "closure/nix"
    assert (copied / "store" / Path(out).name).exists()
    assert (copied / "var/nix/profiles").is_dir()
    assert (copied / "var/nix/gcroots/profiles").readlink() == copied / "var/nix/profiles"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
@pytest.mark.parametrize("kind", ["service", "timer"])
def test_systemd_takes_the_units_of_the_daily_collection(kind: str, tmp_path: Path) -> None:
    """Beside a docker that this machine may lack."""
    for one in ("service", "timer"):
        shutil.copy(HERE / f"hive-worker-collect.{one}", tmp_path)
    service = tmp_path / "hive-worker-collect.service"
    service.write_text(service.read_text().replace("/usr/bin/docker", "/bin/true"))
    (tmp_path / "docker.service").write_text("[Service]\nExecStart=/bin/true\n")
    unit = tmp_path / f"hive-worker-collect.{kind}"
    env = {"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    ran = LocalShell(env).run("systemd-analyze", "verify", "--man=no", unit, accept=range(256))
    assert "hive-worker-collect" not in ran.tail, ran.tail
    assert ran.exit_code == 0, ran.tail
