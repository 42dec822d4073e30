"""Webhooks: signed deliveries become jobs."""
