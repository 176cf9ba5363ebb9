from __future__ import annotations

import pytest

from hive.sim.limits import span


@pytest.mark.parametrize(
    ("microseconds", "printed"),
    [
        (500_000, "500ms"),
        (1_000_000, "1s"),
        (1_500_000, "1.5s"),
        (333_300, "333.3ms"),
        (60_000_000, "1min"),
        (90_000_000, "1min 30s"),
        (0, "0"),
    ],
)
def test_a_span_is_printed_as_systemd_prints_it(microseconds: int, printed: str) -> None:
    assert span(microseconds) == printed
