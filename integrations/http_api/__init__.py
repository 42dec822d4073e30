"""The HTTP API: agents, runs, jobs and their events."""
