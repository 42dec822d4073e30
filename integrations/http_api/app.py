"""The HTTP API: one FastAPI application over the doors.

Routes are in modules by noun; the gate (`gate.py`) and the tracing (`tracing.py`) stand before
them, errors leave by `refusals.py`. Start reading at `create_app`.
"""

from functools import partial
from importlib.metadata import version

from anyio import CapacityLimiter
from fastapi import FastAPI
from starlette.routing import Route

from integrations.app import Doors
from integrations.http_api import (
    agents,
    chat,
    health,
    hooks,
    jobs,
    knowledge,
    knowledge_keeping,
    manual,
    refusals,
)
from integrations.http_api.callers import Callers
from integrations.http_api.doors import UPLOADS, Followers
from integrations.http_api.gate import Gate, Guard
from integrations.http_api.limits import Limits
from integrations.http_api.metrics import Metrics
from integrations.http_api.tracing import Tracing
from integrations.webhooks.hooks import load_hooks
from integrations.webhooks.intake import Intake
from integrations.webhooks.ledger import Ledger
from llmasos.keys import Keys
from llmasos.pool.reports import told
from llmasos.rates import open_rates
from llmasos.system import addresses


def create_app(doors: Doors) -> FastAPI:
    """The application that serves these doors.

    Raises SettingsError for a mistake in the webhooks.
    """
    app = FastAPI(
        title="LLMasOS",
        version=version("llmasos"),
        summary="Ask agents, follow their jobs, search knowledge, take webhooks.",
        docs_url=None,  # FastAPI's own page loads its scripts from elsewhere
        redoc_url=None,
        responses=refusals.described(400, 401, 403, 408, 413, 422, 429, 503),
    )
    app.state.doors = doors
    webhooks = load_hooks(doors.settings, doors.catalog)
    ledger = Ledger(doors.database, doors.settings.webhooks)
    app.state.intake = Intake(webhooks, doors.jobs, ledger)
    app.state.followers = Followers()
    app.state.uploads = CapacityLimiter(UPLOADS)
    app.state.metrics = Metrics(doors.jobs.counts, partial(told, doors.bus))
    refusals.install(app)
    for noun in (agents, jobs, knowledge, knowledge_keeping, chat, hooks, health, manual):
        app.include_router(noun.router)
    app.router.routes[:0] = _slack(doors)  # first: nothing else comes as often
    app.state.callers = Callers(Keys(doors.database))
    rates = open_rates(addresses(doors.settings).bus_url)
    guard = Guard(app.state.callers, Limits(rates), doors.settings)
    app.add_middleware(Gate, guard=guard)
    app.add_middleware(Tracing, metrics=app.state.metrics)  # added last: stands outermost
    return app


def _slack(doors: Doors) -> list[Route]:
    """Slack's own routes, if it is to send its events here, or workspaces add the app here."""
    slack = doors.settings.slack
    if slack.client_id is None and (slack.signing_secret is None or slack.app_token is not None):
        return []
    from integrations.slack.doors import desk_of  # late, as below: Bolt takes 40 MB
    from integrations.slack.http import slack_routes

    return slack_routes(doors.settings, desk_of(doors))
