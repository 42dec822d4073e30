import pytest

from integrations.slack.refusing import refusal
from llmasos.errors import BudgetSpent, InvalidRequest, LLMasOSError, NotAllowed
from llmasos.settings import SlackSettings


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (NotAllowed("Ann", "use <agents>", "Ask."), True),
        (BudgetSpent("Ann", "3 jobs", "12:00", "jobs.budgets"), True),
        (InvalidRequest("The message is empty."), False),
    ],
)
def test_a_refusal_names_whom_to_ask_where_somebody_can_change_it(
    error: LLMasOSError, named: bool
) -> None:
    said = refusal(error, SlackSettings(operators=("U0ANN", "S0TEAM")))

    assert ("Ask <@U0ANN>." in said) is named
    assert "<agents>" not in said
