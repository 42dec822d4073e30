"""A stand-in for Slack on this machine: a strict Web API, Socket Mode, and signed events.

The real slack_sdk and Bolt speak to it over HTTP and WebSocket; a test speaks as a person and looks
at what is seen in the channels. Start reading at `standin.SlackStandIn`.
"""

from llmasos.testing.slack.faults import Fault
from llmasos.testing.slack.server import Call
from llmasos.testing.slack.signing import signed_headers
from llmasos.testing.slack.standin import SlackStandIn
from llmasos.testing.slack.workspace import Message

__all__ = ["Call", "Fault", "Message", "SlackStandIn", "signed_headers"]
