"""Indexes that a job leaves alone in its course, by states that few jobs are in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LIVE = "state IN ('queued', 'running', 'waiting')"
UNSUCCESSFUL = "state IN ('cancelled', 'denied', 'failed', 'superseded')"
BEFORE = {
    "ix_jobs_state_id": ("state", "id"),
    "ix_jobs_agent_state_id": ("agent", "state", "id"),
    "ix_jobs_kind_state_id": ("kind", "state", "id"),
}
AFTER = {
    "ix_jobs_state_live": (LIVE, "state", "id"),
    "ix_jobs_state_unsuccessful": (UNSUCCESSFUL, "state", "id"),
    "ix_jobs_agent_unsuccessful": (UNSUCCESSFUL, "agent", "state", "id"),
    "ix_jobs_kind_unsuccessful": (UNSUCCESSFUL, "kind", "state", "id"),
}
OLD_KEY, NEW_KEY = "uq_jobs_idempotency_key", "uq_jobs_key"


def upgrade() -> None:
    for name in BEFORE:
        op.drop_index(name, table_name="jobs")
    for name, (only, *columns) in AFTER.items():
        partial_index(name, *columns, where=only)
    if is_postgres():  # SQLite would have to make the table anew
        op.drop_constraint(OLD_KEY, "jobs", type_="unique")
        partial_index(NEW_KEY, "idempotency_key", where="idempotency_key IS NOT NULL", unique=True)


def downgrade() -> None:
    for name in AFTER:
        op.drop_index(name, table_name="jobs")
    for name, columns in BEFORE.items():
        op.create_index(name, "jobs", list(columns))
    if is_postgres():
        op.drop_index(NEW_KEY, table_name="jobs")
        op.create_unique_constraint(OLD_KEY, "jobs", ["idempotency_key"])


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> None:
    only = sa.text(where)
    op.create_index(
        name, "jobs", list(columns), unique=unique, sqlite_where=only, postgresql_where=only
    )
