"""Who may do what: what the table must never say."""

from __future__ import annotations

import pytest

from hive.domain.authority import TABLE, Action, Caller, Reach, Role, may
from hive.domain.names import AgentName
from hive.errors import Refused

MIND = Caller(Role.MANAGER, "hm1nd", AgentName("hm1nd"))
ALICE = Caller(Role.AGENT, "alice", AgentName("alice"))
OPERATORS = {
    Action.APPROVE, Action.DENY, Action.DESTROY, Action.PURGE, Action.SET, Action.TOKENS,
    Action.APPLY, Action.ROLLBACK, Action.CANCEL, Action.RETRY, Action.UPDATE_BASE,
    Action.RECONCILE, Action.PAUSE, Action.SCHEDULE,
}  # fmt: skip


@pytest.mark.parametrize("action", sorted(OPERATORS))
def test_what_is_the_operators_is_nobody_elses(action: Action) -> None:
    able = {
        role for role in Role if any(may(role, action, itself=it, own=True) for it in (True, False))
    }
    assert able == {Role.OPERATOR}


def test_the_manager_changes_others_and_never_itself() -> None:
    for action in (Action.START, Action.STOP, Action.RESTART, Action.REBUILD, Action.PROPOSE,
                   Action.SPAWN, Action.READ_LOGS):  # fmt: skip
        MIND.refuse_unless(action, "alice")
        with pytest.raises(Refused):
            MIND.refuse_unless(action, "hm1nd")


def test_a_requester_withdraws_its_own_and_no_other() -> None:
    MIND.refuse_unless(Action.WITHDRAW, "alice", requested_by="hm1nd")
    with pytest.raises(Refused):
        MIND.refuse_unless(Action.WITHDRAW, "alice", requested_by="root")


def test_an_agent_hears_of_itself_alone() -> None:
    ALICE.refuse_unless(Action.SHOW_AGENT, "alice")
    ALICE.refuse_unless(Action.TAKE, "alice")
    for about in ("bob", "operator", None):
        with pytest.raises(Refused) as refused:
            ALICE.refuse_unless(Action.TAKE, about)
        assert refused.value.code == "not-allowed"


def test_an_agent_may_do_little() -> None:
    assert set(TABLE[Role.AGENT]) == {
        Action.GREET, Action.SHOW_AGENT, Action.READ_INBOX, Action.TAKE, Action.SEND,
        Action.TELL_STATUS,
    }  # fmt: skip


def test_a_viewer_only_looks() -> None:
    assert set(TABLE[Role.VIEWER]) == {
        Action.GREET, Action.SHOW_AGENT, Action.LOOK, Action.READ_LOGS, Action.READ_INBOX,
    }  # fmt: skip
    assert set(TABLE[Role.VIEWER].values()) == {Reach.ALL}
