from __future__ import annotations

import pytest

from hive.sim import conf


@pytest.mark.parametrize(
    ("written", "read"),
    [("plain", "plain"), ('"two words"', "two words"), ("'$x'", "$x"), (r'"a\"b"', 'a"b')],
)
def test_a_value_is_unquoted_as_in_an_environment_file(written: str, read: str) -> None:
    assert conf.unquoted(written) == read


def test_bind_sources_end_at_the_first_colon() -> None:
    flags = r"--bind=/a:/b:idmap --bind-ro=/c --bind=-/d:/d --link --bind=/e\:f:/g"

    assert conf.bind_sources({"EXTRA_NSPAWN_FLAGS": flags}) == ["/a", "/c", "/e:f"]


def test_a_picked_map_is_the_same_for_a_name_and_aligned() -> None:
    first = conf.uid_map("h-alice", {"PRIVATE_USERS": "pick"}).split()

    assert first == conf.uid_map("h-alice", {"EXTRA_NSPAWN_FLAGS": "-U"}).split()
    assert first[0] == "0"
    assert int(first[1]) % 65536 == 0
    assert first[1] != conf.uid_map("h-bob", {"PRIVATE_USERS": "pick"}).split()[1]
    assert conf.uid_map("h-bob", {"PRIVATE_USERS": "131072"}).split() == ["0", "131072", "65536"]
