"""Jobs: requests that were accepted, and what became of them.

Every door submits here, and reads here. A job is stored before anyone is told of it; the wake-up
that follows may be lost, since the table is the queue. How workers take and finish jobs is in
`workers/`. Knows nothing of Celery. Start reading at `store.Jobs.submit`.
"""

from llmasos.jobs.job import Delivery, Job, JobStatus, Submitted, iso
from llmasos.jobs.rows import FIRST_SWEEP, Due, new_row, next_unsettled, settle_values, stop
from llmasos.jobs.store import Dispatcher, Jobs

__all__ = [
    "FIRST_SWEEP",
    "Delivery",
    "Dispatcher",
    "Due",
    "Job",
    "JobStatus",
    "Jobs",
    "Submitted",
    "iso",
    "new_row",
    "next_unsettled",
    "settle_values",
    "stop",
]
