"""Who may do what over the API: one table, used by the routes, the docs and the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hive.domain.names import AgentName
from hive.errors import Refused


class Role(StrEnum):
    """What somebody is to hive: said by the socket that they can open, or by their token."""

    OPERATOR = "operator"  #: runs the host
    VIEWER = "viewer"  #: looks, and changes nothing
    MANAGER = "manager"  #: the agent that writes the other agents' proposed repos
    AGENT = "agent"  #: any other agent, about itself
    CI = "ci"  #: a program that proposes what it has built


class Action(StrEnum):
    """What can be asked for; each endpoint is one of these."""

    GREET = "greet"  #: hear who one is, and whether hive is well
    SHOW_AGENT = "show-agent"
    LOOK = "look"  #: at the fleet, its jobs, events and figures
    READ_LOGS = "read-logs"
    READ_INBOX = "read-inbox"  #: without taking anything
    TAKE = "take"  #: messages, and acknowledge them
    SEND = "send"
    TELL_STATUS = "tell-status"
    SPAWN = "spawn"
    PROPOSE = "propose"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    REBUILD = "rebuild"
    WITHDRAW = "withdraw"
    APPLY = "apply"  #: propose, and approve with the same word
    ROLLBACK = "rollback"
    DESTROY = "destroy"
    PURGE = "purge"
    UPDATE_BASE = "update-base"
    RECONCILE = "reconcile"
    CANCEL = "cancel"
    RETRY = "retry"
    APPROVE = "approve"
    DENY = "deny"
    SET = "set"  #: change an agent's settings
    PAUSE = "pause"  #: a node, and resume it
    SCHEDULE = "schedule"  #: add, remove, switch and run schedules
    TOKENS = "tokens"  #: list, create and revoke them


class Reach(StrEnum):
    """About whom somebody may do something."""

    ALL = "all"
    OTHERS = "others"  #: never about itself
    ITSELF = "itself"
    OWN = "own"  #: a job that it asked for


_LOOKS: Final = {Action.GREET: Reach.ALL, Action.SHOW_AGENT: Reach.ALL, Action.LOOK: Reach.ALL}
_MAIL: Final = {
    Action.READ_INBOX: Reach.ITSELF,
    Action.TAKE: Reach.ITSELF,
    Action.SEND: Reach.ALL,
    Action.TELL_STATUS: Reach.ITSELF,
}
_CHANGES: Final = (
    Action.SPAWN, Action.PROPOSE, Action.START, Action.STOP, Action.RESTART, Action.REBUILD,
)  # fmt: skip

TABLE: Final[Mapping[Role, Mapping[Action, Reach]]] = MappingProxyType(
    {
        Role.OPERATOR: {action: Reach.ALL for action in Action if action is not Action.TELL_STATUS},
        Role.VIEWER: {**_LOOKS, Action.READ_LOGS: Reach.ALL, Action.READ_INBOX: Reach.ALL},
        Role.MANAGER: {
            **_LOOKS,
            **_MAIL,
            **dict.fromkeys(_CHANGES, Reach.OTHERS),
            Action.READ_LOGS: Reach.OTHERS,
            Action.WITHDRAW: Reach.OWN,
        },
        Role.AGENT: {Action.GREET: Reach.ALL, Action.SHOW_AGENT: Reach.ITSELF, **_MAIL},
        Role.CI: {
            **_LOOKS,
            Action.READ_LOGS: Reach.ALL,
            Action.PROPOSE: Reach.ALL,
            Action.WITHDRAW: Reach.OWN,
        },
    }
)
"""What is not here is not allowed."""


def reach(role: Role, action: Action) -> Reach | None:
    """None: it may not, whomever it is about."""
    return TABLE[role].get(action)


def may(role: Role, action: Action, *, itself: bool = False, own: bool = False) -> bool:
    """`itself`: it is about who asks. `own`: about a job that it asked for."""
    match reach(role, action):
        case None:
            return False
        case Reach.ALL:
            return True
        case Reach.OTHERS:
            return not itself
        case Reach.ITSELF:
            return itself
        case Reach.OWN:
            return own


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a role, and the name that rows keep as the requester."""

    role: Role
    name: str
    agent: AgentName | None = None
    """Of an agent, and of the manager, which one it is."""

    def refuse_unless(
        self, action: Action, about: str | None = None, *, requested_by: str | None = None
    ) -> None:
        """Raises `Refused`, code `not-allowed`. `about` is an agent or another recipient."""
        itself = self.agent is not None and about == self.agent
        if may(self.role, action, itself=itself, own=requested_by == self.name):
            return
        of = f" of {about}" if about else ""
        raise Refused(
            f"{self.name}, a {self.role}, may not {action}{of}",
            code="not-allowed",
            hint="see docs/api.md for who may do what",
        )
