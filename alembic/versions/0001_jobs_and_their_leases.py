"""Jobs and their leases.

Agents, jobs, their steps and their log lines. A change of `jobs` on SQLite must not rebuild the
table (`batch_alter_table` with anything but new columns and indexes): that forgets the highest
number, and numbers are never given twice.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

QUEUED = "state = 'queued'"
RUNNING = "state = 'running'"
LIVE = "state IN ('queued', 'running', 'waiting')"


def upgrade() -> None:
    make_agents()
    make_jobs()
    make_steps()
    make_log_lines()


def downgrade() -> None:
    for table in ("log_lines", "steps", "jobs", "agents"):
        op.drop_table(table)


def partial_index(name: str, table: str, *columns: str, where: str, unique: bool = False) -> None:
    only = sa.text(where)
    op.create_index(
        name, table, list(columns), unique=unique, sqlite_where=only, postgresql_where=only
    )


def instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def words(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def member(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=16), nullable=False)


def document(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(none_as_null=True), nullable=nullable)


def make_agents() -> None:
    op.create_table(
        "agents",
        words("node"),
        words("name"),
        number("port"),
        member("desired"),
        document("settings"),
        instant("failed_at", nullable=True),
        instant("created_at"),
        instant("changed_at"),
        sa.CheckConstraint(
            "desired IN ('destroyed', 'running', 'stopped')", name=op.f("ck_agents_desired")
        ),
        sa.PrimaryKeyConstraint("node", "name", name=op.f("pk_agents")),
    )
    partial_index(
        "uq_agents_port", "agents", "node", "port", where="desired != 'destroyed'", unique=True
    )


def make_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        words("kind"),
        words("node"),
        words("agent", nullable=True),
        document("ask"),
        member("state"),
        number("attempt"),
        number("failures"),
        number("losses"),
        sa.Column("restoring", sa.Boolean(), nullable=False),
        words("lock"),
        words("unique_key", nullable=True),
        words("idempotency_key", nullable=True),
        number("priority"),
        instant("run_at", nullable=True),
        instant("leased_until", nullable=True),
        words("worker", nullable=True),
        instant("cancel_requested_at", nullable=True),
        words("tag_due", nullable=True),
        number("parent_id", nullable=True),
        number("superseded_by", nullable=True),
        instant("approved_at", nullable=True),
        words("approved_by", nullable=True),
        document("seen", nullable=True),
        document("error", nullable=True),
        document("result", nullable=True),
        words("requested_by"),
        instant("created_at"),
        instant("started_at", nullable=True),
        instant("finished_at", nullable=True),
        instant("queued_at"),
        sa.CheckConstraint(
            "state IN ('cancelled', 'denied', 'failed', 'queued', 'running', 'succeeded',"
            " 'superseded', 'waiting')",
            name=op.f("ck_jobs_state"),
        ),
        sa.CheckConstraint("attempt >= 0", name=op.f("ck_jobs_attempt_not_negative")),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_jobs_failures_not_negative")),
        sa.CheckConstraint("losses >= 0", name=op.f("ck_jobs_losses_not_negative")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_jobs_idempotency_key")),
        sa.ForeignKeyConstraint(["parent_id"], ["jobs.id"], name=op.f("fk_jobs_parent_id_jobs")),
        sa.ForeignKeyConstraint(
            ["superseded_by"], ["jobs.id"], name=op.f("fk_jobs_superseded_by_jobs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sqlite_autoincrement=True,
    )
    partial_index("uq_jobs_lock_running", "jobs", "lock", where=RUNNING, unique=True)
    partial_index("uq_jobs_unique_key_live", "jobs", "unique_key", where=LIVE, unique=True)
    partial_index("ix_jobs_node_due", "jobs", "node", "priority", "id", where=QUEUED)
    partial_index("ix_jobs_lock_due", "jobs", "lock", "priority", "id", where=QUEUED)
    partial_index("ix_jobs_agent_live", "jobs", "node", "agent", where=LIVE)
    partial_index("ix_jobs_tag_due", "jobs", "node", "id", where="tag_due IS NOT NULL")
    partial_index("ix_jobs_parent_id", "jobs", "parent_id", where="parent_id IS NOT NULL")
    partial_index(
        "ix_jobs_superseded_by", "jobs", "superseded_by", where="superseded_by IS NOT NULL"
    )
    for leading in (("agent",), ("agent", "state"), ("state",), ("kind",), ("kind", "state")):
        columns = [*leading, "id"]
        op.create_index(op.f(f"ix_jobs_{'_'.join(columns)}"), "jobs", columns)


def make_steps() -> None:
    op.create_table(
        "steps",
        number("job_id"),
        number("position"),
        number("attempt"),
        words("name"),
        member("state"),
        words("because"),
        sa.Column("seconds", sa.Double(), nullable=False),
        instant("started_at"),
        sa.CheckConstraint(
            "state IN ('applied', 'applying', 'failed', 'held')", name=op.f("ck_steps_state")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_steps_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_steps")),
    )


def make_log_lines() -> None:
    op.create_table(
        "log_lines",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        number("job_id"),
        number("attempt"),
        words("step"),
        words("stream"),
        instant("at"),
        words("text"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_log_lines_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_log_lines")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_log_lines_job_id_seq"), "log_lines", ["job_id", "seq"])
