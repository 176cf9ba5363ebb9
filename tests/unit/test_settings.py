"""Settings: what each default is, what lies under what, and what is no setting."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from hive.errors import Refused
from hive.settings import SETTINGS, Backend, Setting, Settings

OF_COMMANDS = ("HIVE_URL", "HIVE_TOKEN", "HIVE_TOKEN_FILE")
"""Where they ask: tests/unit/test_where_to_ask.py."""
OF_A_HOST = [one for one in SETTINGS if one.name not in OF_COMMANDS]
Read = Callable[..., Settings]
HOME = "/home/alice"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "hive.toml"


@pytest.fixture
def read(config: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Settings of an environment and a file, as someone with this uid sees them."""

    def read(env: dict[str, str] | None = None, *, uid: int = 1000, toml: str = "") -> Settings:
        if toml:
            config.write_text(toml)
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        return Settings.from_env({"HOME": HOME, **(env or {})}, config=config)

    return read


def test_root_with_nixos_has_the_hosts_folders(read: Read) -> None:
    settings = read(uid=0)
    assert settings.backend is Backend.NIXOS
    assert not settings.is_sim
    assert settings.sim == frozenset()
    assert settings.state_dir == Path("/var/lib/hyperhive")
    assert settings.run_dir == Path("/run/hyperhive")
    assert settings.database_url == "sqlite:////var/lib/hyperhive/hive.sqlite"
    assert settings.is_embedded
    assert settings.container_conf_dir == Path("/etc/nixos-containers")
    assert settings.container_state_dir == Path("/var/lib/nixos-containers")
    assert settings.profiles_dir == Path("/nix/var/nix/profiles/per-container")
    assert settings.systemd_dir == Path("/run/systemd/system")
    assert settings.gcroots_dir == Path("/nix/var/nix/gcroots/hive")
    assert settings.proc_dir == Path("/proc")
    nothing = (settings.redis_url, settings.base_flake, settings.agent_address)
    assert nothing == (None, None, None)
    assert (settings.git, settings.nix_options, settings.nix_env) == ("git", {}, {})
    assert settings.node == platform.node()


def test_another_user_has_a_state_folder_at_home_and_the_locks_in_it(read: Read) -> None:
    settings = read()
    assert settings.state_dir == Path(HOME, ".local/state/hive")
    assert settings.run_dir == settings.state_dir / "run"
    assert settings.container_conf_dir == Path("/etc/nixos-containers")


NUMBERS = ("failure_limit", "log_limit", "inbox_cap", "inbox_kept", "builds", "starts")


@pytest.mark.parametrize("uid", [0, 1000])
def test_the_sim_lies_in_the_users_state_folder_whoever_that_is(read: Read, uid: int) -> None:
    settings = read({"HIVE_BACKEND": "sim"}, uid=uid)
    sim = Path(HOME, ".local/state/hive/sim")
    assert settings.is_sim
    assert settings.sim == {"nix", "containers"}
    assert settings.sim_root == sim
    assert settings.run_dir == settings.state_dir / "run"
    places = (
        settings.container_conf_dir,
        settings.container_state_dir,
        settings.profiles_dir,
        settings.systemd_dir,
        settings.gcroots_dir,
        settings.proc_dir,
    )
    assert all(place.is_relative_to(sim) for place in places)
    assert len(set(places)) == len(places)
    assert settings.base_flake is not None
    assert (Path(settings.base_flake.removeprefix("path:")) / "flake.nix").is_file()


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("nix", {"nix"}),
        ("containers", {"containers"}),
        ("nix,containers", {"nix", "containers"}),
        ("containers, nix", {"nix", "containers"}),
        ("", {"nix", "containers"}),
    ],
)
def test_a_part_of_the_sim_leaves_the_other_part_real(
    read: Read, value: str, parts: set[str]
) -> None:
    settings = read({"HIVE_BACKEND": "sim", "HIVE_SIM": value})
    assert settings.sim == parts
    assert settings.gcroots_dir.is_relative_to(settings.sim_root) is ("nix" in parts)
    for place in (settings.container_conf_dir, settings.profiles_dir, settings.proc_dir):
        assert place.is_relative_to(settings.sim_root) is ("containers" in parts)


def test_xdg_moves_the_users_state_folder_if_it_is_absolute(read: Read) -> None:
    assert read({"XDG_STATE_HOME": "/srv/state"}).state_dir == Path("/srv/state/hive")
    assert read({"XDG_STATE_HOME": "state"}).state_dir == Path(HOME, ".local/state/hive")


def test_every_setting_can_stand_in_the_file(read: Read) -> None:
    given = {
        "backend": "sim", "sim": "nix", "node": "n1", "state_dir": "/s", "run_dir": "/r",
        "database_url": "sqlite:////d", "redis_url": "redis://r", "base_flake": "path:/b",
        "container_conf_dir": "/c", "container_state_dir": "/t", "profiles_dir": "/p",
        "systemd_dir": "/y", "gcroots_dir": "/g", "agent_address": "127.0.0.9",
        "nix_options": "a=b", "nix_env": "C=d", "git": "/bin/git", "failure_limit": "7",
        "log_limit": "3", "inbox_cap": "5", "inbox_kept": "4", "builds": "3", "starts": "9",
        "approval": "apply", "build_first": "no", "manager_sees": "config",
    }  # fmt: skip
    # A file in place of a value has tests of its own.
    assert {one.key for one in OF_A_HOST if not one.key.endswith("_file")} == given.keys()
    settings = read(toml="\n".join(f'{key} = "{value}"' for key, value in given.items()))
    for key, value in given.items():
        found = getattr(settings, key)
        shown = {True: "yes", False: "no"}.get(found, found) if key == "build_first" else found
        assert str(next(iter(found)) if key in ("sim", "approval") else shown) in (
            value,
            "{'a': 'b'}",
            "{'C': 'd'}",
            str(int(value) * 1_000_000) if key == "log_limit" else value,
        )


def test_the_environment_lies_over_the_file(read: Read) -> None:
    toml = 'node = "filed"\nstate_dir = "/filed"'
    assert read({"HIVE_NODE": "named"}, toml=toml).node == "named"
    assert read({"HIVE_NODE": ""}, toml=toml).node == "filed"
    assert read(toml=toml).state_dir == Path("/filed")


def test_what_is_empty_is_not_set(read: Read) -> None:
    toml = 'redis_url = ""\nagent_address = ""\nstate_dir = ""\ngit = ""'
    settings = read({"HIVE_BASE_FLAKE": ""}, toml=toml)
    assert (settings.redis_url, settings.agent_address, settings.base_flake) == (None, None, None)
    assert settings.state_dir == Path(HOME, ".local/state/hive")
    assert settings.git == "git"


def test_a_database_of_ones_own_is_not_embedded(read: Read) -> None:
    assert not read({"HIVE_DATABASE_URL": "postgresql+psycopg:///hive"}).is_embedded
    settings = read({"HIVE_STATE_DIR": "/srv/hive"})
    assert settings.database_url == "sqlite:////srv/hive/hive.sqlite"
    assert settings.is_embedded


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a=b", {"a": "b"}),
        ("a=b;c=d", {"a": "b", "c": "d"}),
        (" a = b c ; d=e=f ;", {"a": "b c", "d": "e=f"}),
        ("a=", {"a": ""}),
        (";;", {}),
    ],
)
def test_pairs_are_split_at_semicolons(read: Read, text: str, pairs: dict[str, str]) -> None:
    assert read({"HIVE_NIX_OPTIONS": text}).nix_options == pairs
    assert read({"HIVE_NIX_ENV": text}).nix_env == pairs


PATHS = [setting.name for setting in SETTINGS if setting.name.endswith("_DIR")]


@pytest.mark.parametrize("name", [*PATHS, "HYPERHIVE_GIT"])
@pytest.mark.parametrize("value", ["here", "./here", "~/here", "../here"])
def test_a_path_that_means_another_place_in_every_folder_is_refused(
    read: Read, name: str, value: str
) -> None:
    assert_bad(name, read, {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HIVE_BACKEND", "docker"),
        ("HIVE_BACKEND", "SIM"),
        ("HIVE_SIM", "systemd"),
        ("HIVE_SIM", "nix,docker"),
        ("HIVE_NIX_OPTIONS", "a"),
        ("HIVE_NIX_OPTIONS", "a=b;c"),
        ("HIVE_NIX_OPTIONS", "=b"),
        ("HIVE_NIX_ENV", "a"),
        ("HIVE_NIX_ENV", " =b"),
        ("HIVE_APPROVAL", "stop"),
        ("HIVE_BUILD_FIRST", "true"),
    ],
)
def test_a_value_that_is_none_of_its_kind_is_refused(read: Read, name: str, value: str) -> None:
    assert_bad(name, read, {name: value})


@pytest.mark.parametrize("value", ["1", "true", "[]", '["a"]', "0", "false", "1.5", "{a = 1}"])
@pytest.mark.parametrize("setting", OF_A_HOST, ids=lambda setting: setting.key)
def test_a_value_in_the_file_is_a_string(read: Read, setting: Setting, value: str) -> None:
    if setting.key in NUMBERS and value == "1":
        assert getattr(read(toml=f"{setting.key} = 1"), setting.key) in (1, 1_000_000)
    else:
        assert_bad(setting.name, read, toml=f"{setting.key} = {value}")


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "1000000", " 1"])
@pytest.mark.parametrize("key", [setting.name for setting in SETTINGS if setting.key in NUMBERS])
def test_a_number_is_whole_and_positive(read: Read, key: str, value: str) -> None:
    assert_bad(key, read, {key: value})


def test_a_path_in_the_file_holds_no_nul(read: Read) -> None:
    assert_bad("HIVE_STATE_DIR", read, toml=r'state_dir = "/a\u0000b"')


@pytest.mark.parametrize(
    "toml",
    ['colour = "red"', "[nix]\na = 1", 'HIVE_NODE = "n"', "node =", "=", "node = 'a'\nnode='b'"],
)
def test_a_file_with_another_key_or_no_toml_is_refused(read: Read, config: Path, toml: str) -> None:
    assert_bad(str(config), read, toml=toml)


def test_a_file_that_cannot_be_read_is_refused(read: Read, config: Path) -> None:
    config.mkdir()
    assert_bad(str(config), read)
    config.rmdir()
    config.write_bytes(b'node = "\xff"')
    assert_bad(str(config), read)


def test_every_setting_is_described_once() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    assert len({setting.key for setting in SETTINGS}) == len(SETTINGS)
    assert all(setting.what and setting.default for setting in SETTINGS)


def assert_bad(
    named: str, read: Read, env: dict[str, str] | None = None, *, toml: str = ""
) -> None:
    with pytest.raises(Refused) as refused:
        read(env, toml=toml)
    assert refused.value.code == "bad-setting"
    assert refused.value.hint == "see docs/settings.md"
    assert named in refused.value.message
