"""Schedules, inboxes, notifiers, crashes, and how full a node's disk is."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("schedule_fires", "schedules", "messages", "inboxes", "notifiers", "crashes")
DEFAULTS = (
    ("sweep", "*/5 * * * *", "sweep", True),
    ("prune", "17 3 * * *", "prune", True),
    ("update-base", "0 4 * * 0", "update-base", False),
)


def upgrade() -> None:
    op.add_column("nodes", words("disk", nullable=True))
    make_schedules()
    make_inboxes()
    make_notifiers()
    make_crashes()
    partial_index("ix_events_agent", "events", "node", "agent", "seq", where="agent IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_events_agent", table_name="events")
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("nodes", "disk")


def instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def words(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def switch(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def big(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=nullable)


def sequence(name: str) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, sa.Identity(always=False), nullable=False)


def document(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(none_as_null=True), nullable=nullable)


def partial_index(name: str, table: str, *columns: str, where: str, unique: bool = False) -> None:
    only = sa.text(where)
    op.create_index(
        name, table, list(columns), unique=unique, sqlite_where=only, postgresql_where=only
    )


def make_schedules() -> None:
    schedules = op.create_table(
        "schedules",
        words("name"),
        words("cron"),
        words("zone"),
        sa.Column("verb", sa.String(length=16), nullable=False),
        sa.Column("catch_up", sa.String(length=16), nullable=False),
        switch("enabled"),
        instant("since"),
        instant("created_at"),
        instant("changed_at"),
        sa.CheckConstraint("verb IN ('prune', 'sweep', 'update-base')", op.f("ck_schedules_verb")),
        sa.CheckConstraint("catch_up IN ('all', 'last', 'skip')", op.f("ck_schedules_catch_up")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_schedules")),
    )
    op.create_table(
        "schedule_fires",
        words("schedule"),
        instant("fire_at"),
        instant("fired_at"),
        sa.ForeignKeyConstraint(
            ["schedule"],
            ["schedules.name"],
            name=op.f("fk_schedule_fires_schedule_schedules"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("schedule", "fire_at", name=op.f("pk_schedule_fires")),
    )
    now = datetime.now(UTC)
    if op.get_bind().dialect.name == "sqlite":  # which has no zones
        now = now.replace(tzinfo=None)
    made = {"since": now, "created_at": now, "changed_at": now}
    said = {"zone": "UTC", "catch_up": "last"}
    op.bulk_insert(
        schedules,
        [
            {"name": name, "cron": cron, "verb": verb, "enabled": enabled, **said, **made}
            for name, cron, verb, enabled in DEFAULTS
        ],
    )


def make_inboxes() -> None:
    op.create_table(
        "inboxes",
        words("node"),
        words("recipient"),
        number("open"),
        sa.CheckConstraint("open >= 0", op.f("ck_inboxes_open_not_negative")),
        sa.PrimaryKeyConstraint("node", "recipient", name=op.f("pk_inboxes")),
    )
    op.create_table(
        "messages",
        sequence("seq"),
        words("node"),
        words("recipient"),
        words("sender"),
        words("body"),
        words("topic", nullable=True),
        document("data", nullable=True),
        big("reply_to", nullable=True),
        words("once", nullable=True),
        instant("sent_at"),
        instant("delivered_at", nullable=True),
        number("deliveries"),
        words("reader", nullable=True),
        instant("leased_until", nullable=True),
        instant("acked_at", nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_messages")),
        sqlite_autoincrement=True,
    )
    open_only, acked_only = "acked_at IS NULL", "acked_at IS NOT NULL"
    due = ("node", "recipient", "leased_until", "seq")
    partial_index("ix_messages_due", "messages", *due, where=open_only)
    partial_index("ix_messages_open", "messages", "node", "recipient", "seq", where=open_only)
    partial_index("ix_messages_acked", "messages", "node", "recipient", "seq", where=acked_only)
    partial_index("ix_messages_prunable", "messages", "acked_at", where=acked_only)
    partial_index(
        "uq_messages_once", "messages", "node", "recipient", "once",
        where="once IS NOT NULL", unique=True,
    )  # fmt: skip


def make_notifiers() -> None:
    op.create_table(
        "notifiers",
        words("name"),
        words("node"),
        document("kinds"),
        document("command", nullable=True),
        words("url", nullable=True),
        words("url_file", nullable=True),
        switch("enabled"),
        big("after_seq"),
        instant("created_at"),
        instant("changed_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_notifiers")),
    )


def make_crashes() -> None:
    op.create_table(
        "crashes",
        sequence("seq"),
        words("node"),
        words("agent"),
        words("invocation"),
        instant("at"),
        words("result"),
        words("exit"),
        words("said"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_crashes")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_crashes_invocation", "crashes", ["node", "agent", "invocation"], unique=True
    )
    op.create_index(op.f("ix_crashes_node_at"), "crashes", ["node", "at"])
    op.create_index(op.f("ix_crashes_at"), "crashes", ["at"])
