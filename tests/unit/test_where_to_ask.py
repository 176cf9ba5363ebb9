"""Where a command may ask, before anything that is only for hive's own processes is looked at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hive.errors import Refused
from hive.settings import Asking

Read = Callable[..., Asking]
OF_THE_HOST = Path("/run/hyperhive")


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(env: dict[str, str], toml: str = "") -> Asking:
        config = tmp_path / "hive.toml"
        config.write_text(toml)
        return Asking.from_env({"HOME": str(tmp_path), **env}, config=config)

    return read


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_a_url_and_its_token(read: Read, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hive_1_x\n")
    said = read({"HIVE_URL": "https://h", "HIVE_TOKEN_FILE": str(tmp_path / "token")})
    assert (said.url, said.token) == ("https://h", "hive_1_x")
    assert "hive_1_x" not in repr(said)
    by_file = read({}, 'url = "https://h"\ntoken = "hive_2_y"')
    assert (by_file.url, by_file.token) == ("https://h", "hive_2_y")


def test_a_secret_that_only_root_may_read_keeps_nobody_from_asking(
    read: Read, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    assert read({"HIVE_DATABASE_URL_FILE": str(gone), "HIVE_BUILDS": "none"}).url is None
    with pytest.raises(Refused) as refused:
        read({"HIVE_TOKEN_FILE": str(gone)})
    assert refused.value.code == "bad-setting"


@pytest.mark.parametrize("value", ["1", "true", "[]", '["a"]', "{a = 1}"])
@pytest.mark.parametrize("key", ["url", "token", "token_file"])
def test_a_value_in_the_file_is_a_string(read: Read, key: str, value: str) -> None:
    with pytest.raises(Refused) as refused:
        read({}, f"{key} = {value}")
    assert f"HIVE_{key.upper()}" in refused.value.message


@pytest.mark.usefixtures("somebody")
def test_somebody_asks_their_own_hive_and_then_that_of_the_host(read: Read, tmp_path: Path) -> None:
    own = tmp_path / ".local/state/hive/run"
    assert read({}).run_dirs == (own, OF_THE_HOST)
    assert read({"HIVE_RUN_DIR": "/r"}).run_dirs == (Path("/r"),)
    assert read({"HIVE_STATE_DIR": "/s"}).run_dirs == (Path("/s/run"),)
    assert read({"HIVE_BACKEND": "sim"}).run_dirs == (own,)


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root has a hive of their own")
def test_root_asks_the_host(read: Read, tmp_path: Path) -> None:
    assert read({}).run_dirs == (OF_THE_HOST,)
    assert read({"HIVE_BACKEND": "sim"}).run_dirs == (tmp_path / ".local/state/hive/run",)
