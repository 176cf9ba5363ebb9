"""Tokens, by which who asks over TCP is known; answers, to be said again under a key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ROLES = "role IN ('agent', 'ci', 'manager', 'operator', 'viewer')"


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        words("agent", nullable=True),
        words("digest"),
        instant("created_at"),
        words("created_by"),
        instant("expires_at", nullable=True),
        instant("used_at", nullable=True),
        instant("revoked_at", nullable=True),
        sa.CheckConstraint(ROLES, op.f("ck_tokens_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "answers",
        words("key"),
        words("request"),
        sa.Column("status", sa.Integer(), nullable=False),
        words("body"),
        instant("at"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_answers")),
    )
    op.create_index(op.f("ix_answers_at"), "answers", ["at"])


def downgrade() -> None:
    op.drop_table("answers")
    op.drop_table("tokens")


def instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def words(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)
