from __future__ import annotations

import re

import pytest

from hive.sim.places import NoRoot, Places, address_of


def test_folders_lie_under_the_root_unless_set() -> None:
    places = Places.from_environment(
        {"HIVE_SIM_ROOT": "/no/where", "HIVE_PROFILES_DIR": "/else/profiles"}
    )

    assert places.conf("h-a") == "/no/where/etc/nixos-containers/h-a.conf"
    assert places.container_root("h-a") == "/no/where/var/containers/h-a"
    assert places.drop_ins("h-a") == "/no/where/systemd/container@h-a.service.d"
    assert places.profile("h-a") == "/else/profiles/h-a/system"


def test_a_host_without_a_root_is_refused() -> None:
    with pytest.raises(NoRoot, match="HIVE_SIM_ROOT is not set"):
        Places.from_environment({})


def test_an_address_is_the_folders_own() -> None:
    assert address_of("/a") == address_of("/b/../a") != address_of("/b")
    assert re.fullmatch(r"127\.\d+\.\d+\.\d+", address_of("/a"))
