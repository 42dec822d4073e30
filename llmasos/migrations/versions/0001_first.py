"""The first schema: jobs, conversations, deliveries and what workers remember."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    _jobs()
    _conversations()
    _deliveries()
    _keys()
    _hook_deliveries()
    op.create_table(
        "approvals",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("approval", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("decided_by", sa.String(200)),
        sa.Column("decided_at", sa.Double),
    )
    op.create_table(
        "schedules",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("times", sa.String(400), nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("last_at", sa.Double),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("holder", sa.String(120), nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
    op.create_table(
        "slack_installations",
        sa.Column("workspace", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("bot_user", sa.String(40), nullable=False),
        sa.Column("bot_id", sa.String(40), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("sealed_token", sa.Text, nullable=False),
        sa.Column("installed_by", sa.String(40), nullable=False),
        sa.Column("installed_at", sa.Double, nullable=False),
    )
    op.create_table(
        "handoffs",
        sa.Column("conversation", sa.String(300), primary_key=True),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("begun_at", sa.Double, nullable=False),
        sa.Column("held_until", sa.Double, nullable=False),
        sa.Column("told_at", sa.Double),
    )
    op.create_table(
        "feedback",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("principal_id", sa.String(200), primary_key=True),
        sa.Column("opinion", sa.String(20), nullable=False),
        sa.Column("comment", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("given_at", sa.Double, nullable=False),
    )


def _jobs() -> None:
    zero = sa.text("0")
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("queue", sa.String(64), nullable=False),
        sa.Column("turn", sa.Double, nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("principal", sa.String(200), nullable=False),
        sa.Column("channel", sa.String(200)),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("conversation", sa.String(300)),
        sa.Column("position", sa.Double, nullable=False),
        sa.Column("idempotency_key", sa.String(300), unique=True),
        sa.Column("parent", sa.String(32)),
        sa.Column("part", sa.String(200)),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("unsettled", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("due_at", sa.Double),
        sa.Column("attempt", sa.Integer, nullable=False, server_default=zero),
        sa.Column("waits_for", sa.String(200)),
        sa.Column("worker", sa.String(120)),
        sa.Column("runs", sa.Integer, nullable=False, server_default=zero),
        sa.Column("failures", sa.Integer, nullable=False, server_default=zero),
        sa.Column("waited", sa.Double, nullable=False, server_default=zero),
        sa.Column("lost_leases", sa.Integer, nullable=False, server_default=zero),
        sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("wakes", sa.Integer, nullable=False, server_default=zero),
        sa.Column("wake_at", sa.Double, nullable=False, server_default=zero),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("reply", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("usage", sa.Text),
        sa.Column("tokens", sa.Integer, nullable=False, server_default=zero),
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index("jobs_due", "jobs", ["queue", "turn"], sqlite_where=due, postgresql_where=due)
    own = ["principal", "queue", "turn"]
    one, waits = sa.text("unsettled = 1"), sa.text("unsettled")  # each as its queries say it
    op.create_index("jobs_waiting_of", "jobs", own, sqlite_where=one, postgresql_where=waits)
    runs = sa.text("status = 'running'")
    columns = ["status", "due_at"]
    op.create_index("jobs_running", "jobs", columns, sqlite_where=runs, postgresql_where=runs)
    op.create_index("jobs_unsettled", "jobs", ["conversation", "unsettled", "position", "id"])
    used = ["created_at", "parent", "tokens"]
    op.create_index("jobs_of_principal", "jobs", ["principal", *used])
    asked = sa.text("channel IS NOT NULL")
    columns = ["channel", *used]
    op.create_index("jobs_of_channel", "jobs", columns, sqlite_where=asked, postgresql_where=asked)
    part = sa.text("parent IS NOT NULL")
    op.create_index("jobs_parts", "jobs", ["parent"], sqlite_where=part, postgresql_where=part)
    op.create_index("jobs_created", "jobs", ["created_at", "id"])
    op.create_index("jobs_of", "jobs", ["owner", "id"])


def _conversations() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("conversation", sa.String(300), nullable=False),
        sa.Column("position", sa.Double, nullable=False),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("author", sa.String(200), nullable=False, server_default=sa.text("''")),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("messages_of", "messages", ["conversation", "position", "job_id"])
    op.create_index("messages_of_job", "messages", ["job_id"])
    op.create_table(
        "summaries",
        sa.Column("conversation", sa.String(300), primary_key=True),
        sa.Column("position", sa.Double, nullable=False),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("written_at", sa.Double, nullable=False),
    )
    op.create_index("summaries_of_job", "summaries", ["job_id"])


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("address", sa.String(2000), primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("run_after", sa.Double, nullable=False, server_default=sa.text("0")),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "posts",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("address", sa.String(2000), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("external_id", sa.String(300)),
        sa.Column("streaming", sa.Boolean, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("begun_at", sa.Double, nullable=False),
    )
    op.create_index("posts_known", "posts", ["address", "external_id"])
    op.create_table(
        "tool_calls",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("tool", sa.String(200), nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("result", sa.Text),
    )
    op.create_index("tool_calls_of", "tool_calls", ["job_id", "id"])


def _hook_deliveries() -> None:
    op.create_table(
        "hook_deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("hook", sa.String(64), nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("key", sa.String(200)),
        sa.Column("seal", sa.String(200)),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("job_id", sa.String(32)),
        sa.Column("headers", sa.Text),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_index("hook_deliveries_of", "hook_deliveries", ["hook", "received_at"])
    op.create_index("hook_deliveries_sealed", "hook_deliveries", ["hook", "seal"])


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.String(20), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(300), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
        sa.Column("last_used_at", sa.Double),
    )
