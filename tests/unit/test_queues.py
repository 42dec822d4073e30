"""Queues: which are used as things are set up, and what is said of one that nobody serves."""

from llmasos.queues import told, used
from llmasos.request import Queue

NIGHTLY = """
[[webhooks]]
name = "nightly"
secret = "a-secret-of-sixteen-bytes"
queue = "batch"
"""


def test_somebody_always_waits_for_answers(make_settings):
    assert set(used(make_settings())) == {Queue.INTERACTIVE}


def test_a_queue_is_used_by_the_webhook_that_names_it(make_settings):
    users = used(make_settings(NIGHTLY))

    assert told(Queue.BATCH, users[Queue.BATCH]) == (
        "No worker takes jobs from the queue 'batch', which the webhook 'nightly' uses. Add it to "
        "`worker.queues` of a worker."
    )


def test_schedules_use_the_queue_of_what_has_time(make_settings):
    clock = '[[schedules]]\nname = "weekly"\ncron = "0 9 * * 1"\ntext = "Hello"\n'

    assert used(make_settings(clock))[Queue.BATCH] == "the schedule 'weekly'"
