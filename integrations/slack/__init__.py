"""Slack: events in, answers out. The only place that knows Bolt and the Slack SDK."""
