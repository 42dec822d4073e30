"""Workers: claim jobs, run agents, deliver replies. The only place that knows Celery."""
