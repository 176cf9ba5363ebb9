from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from hive.client import answers
from hive.service.inbox import message_as_json
from hive.service.views import JobView
from tests.unit.client import samples
from tests.unit.client.samples import sent

VIEWS: dict[type, dict[str, Any]] = {
    answers.Job: JobView(samples.JOB, (samples.STEP,), "a note").as_json(),
    answers.Agent: samples.AGENT_VIEW.as_json(),
    answers.Kept: samples.KEPT.as_json(),
    answers.Diff: samples.DIFF.as_json(),
    answers.Event: samples.EVENT.as_json(),
    answers.Message: message_as_json(samples.MESSAGE),
    answers.Schedule: samples.SCHEDULE.as_json(),
    answers.Worker: samples.WORKER.as_json(),
    answers.Node: samples.NODE.as_json(),
    answers.Status: samples.STATUS.as_json(),
}


def differences(kind: Any, value: Any, at: str = "") -> list[str]:  # noqa: ANN401 - a type
    """Where a value is not of its type, looked at all the way down."""
    origin, inside = get_origin(kind), get_args(kind)
    if kind is Any:
        return []
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        if not isinstance(value, dict) or hints.keys() != value.keys():
            return [f"{at}: {sorted(hints)} but {value}"]
        return [one for key in hints for one in differences(hints[key], value[key], f"{at}.{key}")]
    if origin in (Union, types.UnionType):
        found = [differences(one, value, at) for one in inside]
        return [] if [] in found else found[0]
    if origin is list:
        return [one for item in value for one in differences(inside[0], item, f"{at}[]")]
    if origin is dict:
        return [] if isinstance(value, dict) else [f"{at} is {value!r}"]
    numbers = (int, float) if kind is float else kind
    is_so = isinstance(value, numbers) and (kind is bool or not isinstance(value, bool))
    return [] if is_so else [f"{at} is {value!r} and no {kind}"]


@pytest.mark.parametrize("kind", VIEWS, ids=lambda kind: kind.__name__)
def test_an_answer_is_the_json_of_its_view(kind: type) -> None:
    assert differences(kind, sent(VIEWS[kind])) == []


@pytest.mark.parametrize("kind", VIEWS, ids=lambda kind: kind.__name__)
def test_an_answer_that_lacks_any_key_is_seen(kind: type) -> None:
    for key in VIEWS[kind]:
        lacking = {name: value for name, value in VIEWS[kind].items() if name != key}
        assert differences(kind, lacking) != []


def test_keys_that_a_newer_hive_adds_are_kept() -> None:
    assert answers.of(answers.Kept, {**sent(samples.KEPT.as_json()), "colour": "red"})[
        "colour"  # type: ignore[typeddict-item]  # that is the point
    ]
