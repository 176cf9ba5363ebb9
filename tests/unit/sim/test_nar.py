from __future__ import annotations

from typing import TYPE_CHECKING

from hive.sim import nar

if TYPE_CHECKING:
    from hive.sim.nar import Tree


def test_the_hash_is_the_one_that_nix_prints() -> None:
    # `nix hash path --sri --type sha256` of such a folder, by nix 2.8
    tree: Tree = {"a": (False, b"one\n"), "b": {"c": (True, b"#!/bin/sh\n")}, "l": "a"}

    assert nar.nar_hash(tree) == "sha256-NPwSFo+BH3r91ni24JgvsWNU4ywkVFJo14SAvsLUmuU="


def test_base_32_is_nixs() -> None:
    # `nix hash to-base32 --type sha1` of the same digits, by nix 2.8
    assert nar.base32(bytes(range(20))) == "2c91240g1q6hq2qa1440f1h50h1h4080"


def test_a_store_hash_has_32_characters() -> None:
    assert len(nar.store_hash("a", "b")) == 32
    assert nar.store_hash("ab") != nar.store_hash("a", "b")


def test_a_text_is_found_below() -> None:
    tree: Tree = {"a": {"b": (False, b"said")}}

    assert nar.text(tree, "a/b") == "said"
    assert nar.text(tree, "a/c") is None
