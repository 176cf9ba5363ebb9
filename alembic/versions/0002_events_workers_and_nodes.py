"""Events, workers and nodes; cuts of logs; what prune has taken away.

`jobs` only gains columns and indexes here: see 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PRUNABLE = "pruned = false AND finished_at IS NOT NULL"
SERIES_LIVE = "series IS NOT NULL AND state IN ('queued', 'running', 'waiting')"


def upgrade() -> None:
    extend_jobs()
    make_events()
    make_workers()
    make_nodes()
    make_log_cuts()


def downgrade() -> None:
    for table in ("log_cuts", "nodes", "workers", "events"):
        op.drop_table(table)
    op.drop_index("ix_jobs_series_live", "jobs")
    op.drop_index("ix_jobs_prunable", "jobs")
    for column in ("pruned", "series", "at_once"):
        op.drop_column("jobs", column)


def partial_index(name: str, *columns: str, where: str) -> None:
    only = sa.text(where)
    op.create_index(name, "jobs", list(columns), sqlite_where=only, postgresql_where=only)


def instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def words(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def extend_jobs() -> None:
    op.add_column("jobs", number("at_once", nullable=True))
    op.add_column("jobs", words("series", nullable=True))
    op.add_column(
        "jobs", sa.Column("pruned", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    partial_index("ix_jobs_prunable", "finished_at", where=PRUNABLE)
    partial_index("ix_jobs_series_live", "series", "id", where=SERIES_LIVE)


def make_events() -> None:
    op.create_table(
        "events",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        instant("at"),
        words("kind"),
        number("job_id", nullable=True),
        words("node"),
        words("agent", nullable=True),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_job_id_seq"), "events", ["job_id", "seq"])


def make_workers() -> None:
    op.create_table(
        "workers",
        words("id"),
        words("node"),
        sa.Column("role", sa.String(length=16), nullable=False),
        number("pid"),
        words("started"),
        words("boot"),
        words("namespace"),
        words("version"),
        number("concurrency"),
        sa.Column("draining", sa.Boolean(), nullable=False),
        instant("since"),
        instant("beat_at"),
        sa.CheckConstraint(
            "role IN ('command', 'maintenance', 'up', 'worker')", name=op.f("ck_workers_role")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )


def make_nodes() -> None:
    op.create_table(
        "nodes",
        words("name"),
        instant("seen_at", nullable=True),
        instant("paused_at", nullable=True),
        words("paused_by", nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_nodes")),
    )


def make_log_cuts() -> None:
    op.create_table(
        "log_cuts",
        number("job_id"),
        big("after_seq"),
        big("until_seq"),
        big("lines"),
        big("bytes"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_log_cuts_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_log_cuts")),
    )
