"""The settings that bound what a job, and an inbox, may cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.errors import Refused
from hive.settings import Settings

NO_FILE = Path("/nonexistent/hive.toml")


def read(**env: str) -> Settings:
    return Settings.from_env({"HOME": "/home/alice", **env}, config=NO_FILE)


def test_a_job_may_fail_five_times_and_keeps_64_megabytes_of_log() -> None:
    assert (read().failure_limit, read().log_limit) == (5, 64_000_000)


def test_both_can_be_chosen() -> None:
    settings = read(HIVE_FAILURE_LIMIT="1", HIVE_LOG_LIMIT="2")
    assert (settings.failure_limit, settings.log_limit) == (1, 2_000_000)


def test_an_inbox_holds_a_hundred_thousand_and_keeps_ten_thousand_of_what_is_done() -> None:
    assert (read().inbox_cap, read().inbox_kept) == (100_000, 10_000)
    settings = read(HIVE_INBOX_CAP="5", HIVE_INBOX_KEPT="4")
    assert (settings.inbox_cap, settings.inbox_kept) == (5, 4)


@pytest.mark.parametrize(
    "name", ["HIVE_FAILURE_LIMIT", "HIVE_LOG_LIMIT", "HIVE_INBOX_CAP", "HIVE_INBOX_KEPT"]
)
@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "1e3"])
def test_what_is_no_count_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(Refused) as refused:
        read(**{name: value})
    assert refused.value.code == "bad-setting"
    assert name in refused.value.message
