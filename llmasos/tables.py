"""The tables of the durable state, as SQLAlchemy sees them; `migrations/` makes them.

The table of jobs is the queue. A job may be taken by a worker from `due_at` on: a worker that takes
it moves `due_at` ahead and keeps doing so while it lives (its lease), so that a job whose worker
died falls due by itself. `attempt` grows with each taking; every write names it (the fence).
Times are seconds since the epoch. Knows nothing of who reads or writes them.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
    true,
)

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("queue", String(64), nullable=False),
    Column("turn", Double, nullable=False),  # order within the queue; see `queues.py`
    Column("agent", String(64), nullable=False),
    Column("principal", String(200), nullable=False),
    Column("channel", String(200)),  # where it was asked; see `budgets.py`
    Column("owner", String(200), nullable=False),  # who may see and stop it besides its keepers
    Column("status", String(20), nullable=False),
    Column("request", Text, nullable=False),  # the whole Request as JSON
    Column("conversation", String(300)),
    Column("position", Double, nullable=False),  # order within the conversation, by its source
    Column("idempotency_key", String(300), unique=True),
    Column("parent", String(32)),  # the job that this one is a part of
    Column("part", String(200)),  # the key under which that one delegated it
    Column("fingerprint", String(64), nullable=False),  # what a repeat must agree with
    # The queue's own side
    Column("unsettled", Boolean, nullable=False, server_default=true()),  # holds up what follows
    Column("due_at", Double),  # None: there is nothing to do
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("waits_for", String(200)),  # why it is due only later
    Column("worker", String(120)),
    Column("runs", Integer, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("waited", Double, nullable=False, server_default=text("0")),  # for a backend
    Column("lost_leases", Integer, nullable=False, server_default=text("0")),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("wakes", Integer, nullable=False, server_default=text("0")),
    Column("wake_at", Double, nullable=False, server_default=text("0")),
    # What came of it
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("reply", Text),
    Column("error", Text),
    Column("usage", Text),
    Column("tokens", Integer, nullable=False, server_default=text("0")),
)
# These two answer `budgets.py` by themselves.
Index("jobs_of_principal", jobs.c.principal, jobs.c.created_at, jobs.c.parent, jobs.c.tokens)
Index(
    "jobs_of_channel",
    jobs.c.channel,
    jobs.c.created_at,
    jobs.c.parent,
    jobs.c.tokens,
    sqlite_where=jobs.c.channel.is_not(None),
    postgresql_where=jobs.c.channel.is_not(None),
)
Index(
    "jobs_due",
    jobs.c.queue,
    jobs.c.turn,
    sqlite_where=jobs.c.due_at.is_not(None),
    postgresql_where=jobs.c.due_at.is_not(None),
)
Index(
    "jobs_waiting_of",
    jobs.c.principal,
    jobs.c.queue,
    jobs.c.turn,
    sqlite_where=text("unsettled = 1"),  # as queries say it, else the index is not used
    postgresql_where=jobs.c.unsettled,
)
Index(
    "jobs_running",
    jobs.c.status,
    jobs.c.due_at,
    sqlite_where=jobs.c.status == text("'running'"),
    postgresql_where=jobs.c.status == text("'running'"),
)
Index("jobs_unsettled", jobs.c.conversation, jobs.c.unsettled, jobs.c.position, jobs.c.id)
Index(
    "jobs_parts",
    jobs.c.parent,
    sqlite_where=jobs.c.parent.is_not(None),
    postgresql_where=jobs.c.parent.is_not(None),
)
Index("jobs_created", jobs.c.created_at, jobs.c.id)
Index("jobs_of", jobs.c.owner, jobs.c.id)

messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation", String(300), nullable=False),
    Column("position", Double, nullable=False),
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False),
    Column("role", String(20), nullable=False),
    Column("author", String(200), nullable=False, server_default=text("''")),
    Column("content", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)
Index("messages_of", messages.c.conversation, messages.c.position, messages.c.job_id)
Index("messages_of_job", messages.c.job_id)

summaries = Table(
    "summaries",
    metadata,
    Column("conversation", String(300), primary_key=True),
    Column("position", Double, nullable=False),  # of the last turn that is in it
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False),
    Column("text", Text, nullable=False),
    Column("written_at", Double, nullable=False),
)
Index("summaries_of_job", summaries.c.job_id)

deliveries = Table(
    "deliveries",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("address", String(2000), primary_key=True),
    Column("state", String(20), nullable=False),  # pending, asked, delivered, refused
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("run_after", Double, nullable=False, server_default=text("0")),
    Column("error", Text),
)

posts = Table(
    "posts",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("address", String(2000), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("state", String(20), nullable=False),
    Column("external_id", String(300)),
    Column("streaming", Boolean, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("begun_at", Double, nullable=False),
)
Index("posts_known", posts.c.address, posts.c.external_id)

tool_calls = Table(
    "tool_calls",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("tool", String(200), nullable=False),
    Column("arguments", Text, nullable=False),  # canonical JSON
    Column("state", String(20), nullable=False),  # begun, done, failed
    Column("result", Text),
)
Index("tool_calls_of", tool_calls.c.job_id, tool_calls.c.id)

approvals = Table(
    "approvals",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("approval", Text, nullable=False),  # the whole Approval as JSON
    Column("state", String(20), nullable=False),  # see `approvals.ApprovalState`
    Column("asked_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("decided_by", String(200)),
    Column("decided_at", Double),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("times", String(400), nullable=False),  # cron expression and time zone
    Column("since", Double, nullable=False),  # when it was first seen with these
    Column("last_at", Double),  # the last due time that was seen to
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("holder", String(120), nullable=False),
    Column("until", Double, nullable=False),
)

slack_installations = Table(
    "slack_installations",
    metadata,
    Column("workspace", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("bot_user", String(40), nullable=False),
    Column("bot_id", String(40), nullable=False),
    Column("scopes", Text, nullable=False),  # with commas between
    Column("sealed_token", Text, nullable=False),  # see `integrations/slack/installations.py`
    Column("installed_by", String(40), nullable=False),
    Column("installed_at", Double, nullable=False),
)

handoffs = Table(
    "handoffs",
    metadata,
    Column("conversation", String(300), primary_key=True),
    Column("job_id", String(32), nullable=False),  # whose answer gave rise to it
    Column("by", String(200), nullable=False),
    Column("begun_at", Double, nullable=False),  # the last try to tell people; 0: none
    Column("held_until", Double, nullable=False),  # whoever began it tells them until then
    Column("told_at", Double),  # when people were told; None: nobody yet
)

feedback = Table(
    "feedback",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("principal_id", String(200), primary_key=True),
    Column("opinion", String(20), nullable=False),
    Column("comment", Text, nullable=False, server_default=text("''")),
    Column("given_at", Double, nullable=False),
)

hook_deliveries = Table(  # what came to webhooks; `deliveries` has what goes out
    "hook_deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hook", String(64), nullable=False),
    Column("received_at", Double, nullable=False),
    Column("key", String(200)),
    Column("seal", String(200)),
    Column("outcome", String(20), nullable=False),
    Column("reason", Text),
    Column("job_id", String(32)),
    Column("headers", Text),
    Column("body", LargeBinary),
)
Index("hook_deliveries_of", hook_deliveries.c.hook, hook_deliveries.c.received_at)
Index("hook_deliveries_sealed", hook_deliveries.c.hook, hook_deliveries.c.seal)

keys = Table(
    "keys",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("scopes", String(300), nullable=False),  # with blanks between
    Column("digest", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
)
