import json
import runpy

import pytest
from typer.testing import CliRunner

from integrations.cli.main import build


@pytest.fixture
def llmasos(make_settings, tmp_path, monkeypatch):
    """Runs `llmasos agents …` over a configuration of its own."""
    make_settings('agents = ["my_agents"]\n')
    (tmp_path / "my_agents").mkdir()
    monkeypatch.chdir(tmp_path)

    def run(*words: str):
        return CliRunner().invoke(build("agents"), ["agents", *words])

    return run


def test_a_new_agent_works_at_once(llmasos):
    made = llmasos("new", "billing-desk")

    listed = llmasos("list", "--json")

    assert made.exit_code == 0, made.output
    assert "Now name it" not in made.output
    agents = {each["name"]: each for each in json.loads(listed.stdout)}
    assert agents["billing-desk"]["from"].endswith("my_agents/billing_desk.py")


def test_nothing_is_overwritten(llmasos, tmp_path):
    llmasos("new", "billing")

    again, built_in = llmasos("new", "billing"), llmasos("new", "writing")

    assert "is there already" in str(again.exception)
    assert "is there already" in str(built_in.exception)
    assert [path.name for path in (tmp_path / "my_agents").glob("*.py")] == ["billing.py"]


def test_a_new_agent_comes_with_a_test_that_passes(llmasos, tmp_path, monkeypatch):
    llmasos("new", "billing-desk")
    monkeypatch.syspath_prepend(str(tmp_path / "my_agents"))

    tests = runpy.run_path(str(tmp_path / "my_agents" / "tests" / "test_billing_desk.py"))

    tests["test_it_answers_by_its_instructions"]()
    assert (tmp_path / "my_agents" / "tests" / "conftest.py").exists()


@pytest.mark.parametrize("name", ["Billing", "auto", "../x", ""])
def test_a_wrong_name_writes_nothing(llmasos, tmp_path, name):
    assert llmasos("new", name).exit_code != 0
    assert list((tmp_path / "my_agents").iterdir()) == []


def test_show_prints_what_an_agent_is_made_of(llmasos):
    shown = llmasos("show", "customer_service")
    as_json = json.loads(llmasos("show", "customer_service", "--json").stdout)

    assert "knowledge: help-center" in shown.stdout
    assert as_json["knowledge"] == ["help-center"]
    assert as_json["checked"] is True
    assert as_json["limits"]["tool_calls"] == 20
    assert "POST /v1/agents/customer_service/runs" in as_json["surfaces"]
    assert "users: every member" in shown.stdout
    assert "reviewers: none" in shown.stdout
    assert "flow: agents.customer_service.Desk" in shown.stdout
    assert "tools: none" in shown.stdout
    assert as_json["options"] == {"max_new_tokens": 160, "temperature": 0.0}


def test_an_unknown_agent_is_named_with_the_nearest(llmasos):
    assert "Did you mean 'writing'" in str(llmasos("show", "writting").exception)
