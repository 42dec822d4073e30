"""The ways in: Slack, webhooks, HTTP, and the command line."""
