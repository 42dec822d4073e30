import pytest

from llmasos import Agent, agent
from llmasos.agent import prompt
from llmasos.errors import AgentDefinitionError


@pytest.mark.parametrize("name", ["", "Billing", "1st", "my agent", "auto", "load", "a" * 64])
def test_a_wrong_name_is_refused(name):
    with pytest.raises(AgentDefinitionError, match="lower-case"):
        Agent(name=name)


def test_a_text_where_a_list_belongs_is_refused():
    with pytest.raises(AgentDefinitionError, match="knowledge must be a list"):
        Agent(name="billing", knowledge="help-center")


def test_an_agent_with_knowledge_shows_only_checked_text():
    assert Agent(name="billing", knowledge=["docs"]).checked
    assert not Agent(name="poet").checked


def test_a_generator_function_becomes_an_agent():
    @agent("echo")
    def echo(turn):
        """Says it again."""
        yield turn.text

    assert echo.name == "echo"
    assert echo.description == "Says it again."
    assert echo.flow is not None


def test_prompts_lie_beside_the_agents():
    assert "Python" in prompt("agents", "code_generation.md")
