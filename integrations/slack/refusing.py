"""How a refusal reads in Slack: what, why, and whom to ask."""

from integrations.slack.markdown import escaped
from llmasos.errors import BudgetSpent, LLMasOSError, NotAllowed
from llmasos.settings import SlackSettings

LONGEST = 3_500
"""Characters; with the people to ask it stays below Slack's 4,000."""


def refusal(error: LLMasOSError, settings: SlackSettings) -> str:
    """The text, in Slack's own markup."""
    text = escaped(f"⚠️ {error}")[:LONGEST]
    members = [each for each in settings.operators if each.startswith(("U", "W"))][:5]
    if isinstance(error, (NotAllowed, BudgetSpent)) and members:
        text += "\nAsk " + ", ".join(f"<@{member}>" for member in members) + "."
    return text
