"""The lab: the real command line on a real host. Its systemd, nspawn and nix are the real ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.shell import ANY_EXIT, LocalShell, Ran
from hive.domain.names import AgentName
from hive.errors import HiveError
from tests.services import a_lab

HERE: Final = Path(__file__).parent
HIVE: Final = Path(sys.executable).with_name("hive")
SIM_BASE: Final = HERE.parents[1] / "hive" / "sim" / "base"
WITHIN: Final = timedelta(minutes=5)
CLOCK: Final = SystemClock()
BOOTED: Final = timedelta(minutes=2)
OFTEN: Final = timedelta(milliseconds=50)
NAMESPACES: Final = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}

#: The base is the sim's, with a system that really boots; hive is told of it as on any host.
BASE: Final = """
mkdir -p /srv/base /etc/hyperhive
cd /srv/base
cp {sim}/*.nix .
cp {lab}/*.nix .
git init --quiet --initial-branch main
git add .
git -c user.name=lab -c user.email=lab@lab commit --quiet --message "the lab's base"
cat >/etc/hyperhive/hive.toml <<'END'
node = "lab"
base_flake = "git+file:///srv/base"
nix_options = "sandbox=false;build-users-group=;substituters="
END
"""

#: What hive needs of a host, asked for without hive: a build, and a container of it that starts in
#: a user namespace of its own, and stops. Where that hangs, or cannot be, every test here would.
PROBE: Final = """
exec 2>&1
nix() { timeout 120 nix --extra-experimental-features 'nix-command flakes' "$@"; }
nix build --option sandbox false --option build-users-group '' --option substituters '' \\
    --out-link /srv/probe --impure --expr '
        let base = (builtins.getFlake "git+file:///srv/base").nixosConfigurations.agent-base;
        in (base.extendModules { modules = []; }).config.system.build.toplevel'
nixos-container create probe --system-path "$(readlink -f /srv/probe)"
echo PRIVATE_USERS=pick >>/etc/nixos-containers/probe.conf
sed -i -e '/^PRIVATE_NETWORK=/d' -e '/_ADDRESS=/d' /etc/nixos-containers/probe.conf
timeout 60 systemctl start container@probe || { journalctl -n 20 -u container@probe; exit 1; }
timeout 60 systemctl stop container@probe
timeout 60 nixos-container destroy probe
rm /srv/probe
"""

#: A host that never had an agent; nix keeps what it built.
EMPTIED: Final = """
shopt -s nullglob
for conf in /etc/nixos-containers/*.conf; do
    unit=container@$(basename "$conf" .conf).service
    systemctl stop "$unit"
    systemctl reset-failed "$unit" 2>/dev/null || true
done
chattr -R -f -i /var/lib/hyperhive || true  # homes are sealed
rm -rf /etc/nixos-containers/* /var/lib/nixos-containers/* /var/lib/hyperhive /run/hyperhive \
    /run/systemd/system/container@* /nix/var/nix/{profiles,gcroots}/per-container \
    /nix/var/nix/gcroots/hive
systemctl daemon-reload
"""

COMMIT: Final = """
cd /var/lib/hyperhive/applied/{agent}
cat >agent.nix
git -c user.name=lab -c user.email=lab@lab commit --quiet --all --message "a change"
git rev-parse HEAD
"""


@dataclass(frozen=True, slots=True)
class Lab:
    """A booted host. What is run inside is root there, and has nothing of our environment."""

    folder: Path
    """Of `scripts/lab boot`."""

    @property
    def init(self) -> int:
        """The pid of its first process, as this machine counts; another one after a reboot."""
        return int((self.folder / "leader").read_text())

    def reboot(self) -> None:
        """It has come up again; what was below `/run` is gone."""
        before = self.init
        self.run("systemctl", "reboot", accept=ANY_EXIT)
        came = wait_until(CLOCK, lambda: self.init != before, within=BOOTED, every=OFTEN)
        assert came, "it did not come up again"
        assert wait_until(CLOCK, self.is_up, within=BOOTED, every=OFTEN), "its boot does not end"

    def is_up(self) -> bool:
        # It can only be asked to wait once it has a bus.
        asked = ("timeout", "60", "systemctl", "is-system-running", "--wait")
        return self.run(*asked, accept=ANY_EXIT).out.strip() in ("running", "degraded")

    def run(
        self, *argv: str | Path, accept: Collection[int] = (0,), stdin: str | None = None
    ) -> Ran:
        enter = ("/usr/bin/nsenter", "--target", str(self.init), *NAMESPACES)
        given = None if stdin is None else stdin.encode()
        return LocalShell(ENVIRONMENT).run(
            *enter, "--", *argv, stdin=given, within=WITHIN, accept=accept
        )

    def script(self, text: str, *, stdin: str | None = None) -> str:
        """Some bash that must end well; what it says on stdout."""
        return self.run("bash", "-euc", text, stdin=stdin).out.strip()

    def hive(self, *words: str, accept: Collection[int] = (0,)) -> Ran:
        return self.run(HIVE, *words, accept=accept)

    def sees(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        """Its `--json`."""
        return json.loads(self.hive(*words, "--json").raw)

    def sees_lines(self, *words: str) -> list[Any]:
        """Its `--json`, where that is an object a line."""
        return [json.loads(line) for line in self.hive(*words, "--json").out.splitlines()]

    def steps(self, *words: str) -> dict[str, str]:
        """The steps of a job that must end well, and how each went."""
        return {step["name"]: step["state"] for step in self.sees(*words)["steps"]}

    def unit(self, agent: str, *properties: str) -> dict[str, str]:
        """What systemd says of the agent's container."""
        asked = ("systemctl", "show", "-p", ",".join(properties), AgentName(agent).container.unit)
        pairs = (line.partition("=") for line in self.run(*asked).out.splitlines())
        return {key: value for key, _, value in pairs}

    def state(self, agent: str) -> str:
        return self.unit(agent, "ActiveState")["ActiveState"]

    def leader(self, agent: str) -> str:
        """The pid of the container's first process, as the lab counts."""
        main = self.unit(agent, "MainPID")["MainPID"]
        return self.script(f"cat /proc/{main}/task/{main}/children")

    def system(self, agent: str) -> str:
        """What the container really runs."""
        return self.script(f"readlink /proc/{self.leader(agent)}/root/run/current-system")

    def as_container_root(self, agent: str, *words: str) -> Ran:
        """The one program there is inside, its init, run once more beside the first."""
        enter = ("--target", self.leader(agent), "--user", "--mount", "--setuid", "0")
        init = "/nix/var/nix/profiles/system/init"
        return self.run(
            "nsenter", *enter, "--setgid", "0", "--root", "--wd=/", "--", init, *words,
            accept=ANY_EXIT,
        )  # fmt: skip

    def container_units(self, text: str) -> None:
        """Every container's unit says this besides, as long as this test lasts."""
        folder = "/run/systemd/system/container@.service.d"
        write = f"mkdir {folder}; cat >{folder}/lab.conf; systemctl daemon-reload"
        self.script(write, stdin=f"[Service]\n{text}\n")

    def change(self, agent: str, **variables: str) -> str:
        """applied's main has another commit, whose `environment.variables` are these."""
        lines = "".join(f'  environment.variables.{k} = "{v}";\n' for k, v in variables.items())
        return self.script(COMMIT.format(agent=agent), stdin=f"{{ ... }}: {{\n{lines}}}\n")


@pytest.fixture(scope="session")
def booted_lab() -> Iterator[Lab]:
    """Up, with a base flake, and hive told of it; this worker's own."""
    with a_lab() as folder:
        lab = Lab(folder)
        _furnish(lab)
        yield lab


def _furnish(lab: Lab) -> None:
    if not wait_until(CLOCK, lab.is_up, within=BOOTED, every=OFTEN):
        pytest.skip(f"the lab did not come up within {BOOTED}: {_failed_units(lab)}")
    if lab.run(HIVE, "--version", accept=ANY_EXIT).exit_code != 0:
        pytest.skip(f"the lab cannot run {HIVE}: its Debian has another Python")
    lab.script(BASE.format(sim=SIM_BASE, lab=HERE / "base"))
    try:
        lab.script(PROBE)
    except HiveError as error:
        pytest.skip(f"a container cannot be started by hand here: {error.message}")


def _failed_units(lab: Lab) -> str:
    return lab.run("systemctl", "list-units", "--no-legend", "--failed", accept=ANY_EXIT).out


@pytest.fixture
def lab(booted_lab: Lab) -> Lab:
    """A real host without agents."""
    booted_lab.script(EMPTIED)
    return booted_lab
