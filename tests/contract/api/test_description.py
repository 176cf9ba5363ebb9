"""The description is whole: every body and answer has a shape and an example that fits it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from hive.api import examples, shapes
from hive.api.answers import WRONG
from hive.api.app import build_app
from hive.api.problems import MEDIA, OF_CLASS, OF_CODE, status_of

Said = Mapping[str, Any]


@pytest.fixture(scope="module")
def described() -> Said:
    return build_app(None).openapi()


def operations(described: Said) -> Iterator[tuple[str, Said]]:
    for path, methods in described["paths"].items():
        for method, said in methods.items():
            yield f"{method} {path}", said


def test_every_body_and_every_answer_has_a_schema_and_an_example(described: Said) -> None:
    for name, said in operations(described):
        assert said["description"], name
        assert len([status for status in said["responses"] if status.startswith("2")]) >= 1, name
        for status, answer in [("body", said.get("requestBody", {})), *said["responses"].items()]:
            assert answer.get("content") or status in ("body", "204"), (name, status)
            for content in answer.get("content", {}).values():
                assert content["schema"], (name, status)
                assert content["example"], (name, status)


def test_every_endpoint_tells_of_every_error_that_there_can_be(described: Said) -> None:
    assert set(WRONG) == {*OF_CLASS.values(), *OF_CODE.values()}
    for name, said in operations(described):
        for status in WRONG:
            example = said["responses"][str(status)]["content"][MEDIA]["example"]
            assert example["status"] == status, name
            assert example["code"], name
            assert example["hint"], name


def test_there_is_an_example_of_each_status() -> None:
    assert {status_of(error) for error in examples.ERRORS} == set(WRONG)


@pytest.mark.parametrize("shape", examples.SHAPES)
def test_an_example_is_what_its_shape_says(shape: type[BaseModel]) -> None:
    example = examples.SHAPES[shape]
    shape.model_validate_json(json.dumps(example), strict=True)
    if issubclass(shape, shapes.Shape):  # of an answer it has every key, and no other
        named = {field.alias or name for name, field in shape.model_fields.items()}
        assert set(example) == named


def test_nothing_is_described_that_no_endpoint_says(described: Said) -> None:
    text = json.dumps(described)
    for name in described["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text, name
