"""Settings that others must not read: said by a file, and never told by an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hive.errors import Refused
from hive.settings import Settings

Read = Callable[..., Settings]
DATABASE = "postgresql+psycopg://hive:secret@db/hive"
BROKER = "redis://:secret@cache:6379"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(env: dict[str, str], toml: str = "") -> Settings:
        config = tmp_path / "hive.toml"
        config.write_text(toml)
        return Settings.from_env({"HOME": str(tmp_path), **env}, config=config)

    return read


@pytest.fixture
def a_file(tmp_path: Path) -> Callable[..., Path]:
    def a_file(text: str, name: str = "secret") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return a_file


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \n"])
def test_a_file_says_a_url_in_its_one_line(
    read: Read, a_file: Callable[..., Path], end: str
) -> None:
    database, broker = a_file(DATABASE + end, "database"), a_file(BROKER + end, "broker")
    said = {"HIVE_DATABASE_URL_FILE": str(database), "HIVE_REDIS_URL_FILE": str(broker)}
    by_env = read(said)
    assert (by_env.database_url, by_env.redis_url) == (DATABASE, BROKER)
    assert not by_env.is_embedded
    by_file = read({}, f'database_url_file = "{database}"\nredis_url_file = "{broker}"')
    assert (by_file.database_url, by_file.redis_url) == (DATABASE, BROKER)


def test_what_the_environment_says_wins_in_either_form(
    read: Read, a_file: Callable[..., Path], tmp_path: Path
) -> None:
    """A unit has its credential; the file is for who types `hive`, and may be out of reach."""
    credential = {"HIVE_DATABASE_URL_FILE": str(a_file(DATABASE))}
    assert read(credential, 'database_url = "sqlite:////other"').database_url == DATABASE
    gone = f'database_url_file = "{tmp_path / "gone"}"'
    assert read(credential, gone).database_url == DATABASE
    assert read({"HIVE_DATABASE_URL": DATABASE}, gone).database_url == DATABASE


@pytest.mark.parametrize("name", ["HIVE_DATABASE_URL", "HIVE_REDIS_URL"])
def test_both_forms_at_once_are_refused(read: Read, a_file: Callable[..., Path], name: str) -> None:
    both = {name: DATABASE, f"{name}_FILE": str(a_file(BROKER))}
    assert f"{name}_FILE and {name} are both set" in refusal(read, both)
    toml = "\n".join(f'{key.removeprefix("HIVE_").lower()} = "{both[key]}"' for key in both)
    assert "are both set" in refusal(read, {}, toml)


@pytest.mark.parametrize("text", ["", "\n", f"{DATABASE}\n{BROKER}\n"])
def test_a_file_without_its_one_line_is_refused(
    read: Read, a_file: Callable[..., Path], text: str
) -> None:
    path = a_file(text)
    said = refusal(read, {"HIVE_DATABASE_URL_FILE": str(path)})
    assert "HIVE_DATABASE_URL_FILE" in said
    assert str(path) in said
    assert "secret@" not in said


def test_a_file_that_cannot_be_read_is_refused_by_its_name(read: Read, tmp_path: Path) -> None:
    asked = {"HIVE_REDIS_URL_FILE": str(tmp_path / "gone")}
    assert refusal(read, asked).endswith(f"{tmp_path / 'gone'}: No such file or directory")
    assert "Is a directory" in refusal(read, {"HIVE_REDIS_URL_FILE": str(tmp_path)})
    assert "absolute" in refusal(read, {"HIVE_REDIS_URL_FILE": "secret"})
    (tmp_path / "bytes").write_bytes(b"\xff")
    assert "it is no text" in refusal(read, {"HIVE_REDIS_URL_FILE": str(tmp_path / "bytes")})


def refusal(read: Read, env: dict[str, str], toml: str = "") -> str:
    with pytest.raises(Refused) as refused:
        read(env, toml)
    assert refused.value.code == "bad-setting"
    return refused.value.message
