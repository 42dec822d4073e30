from importlib.machinery import PathFinder
from importlib.util import find_spec

import pytest

from agents.catalog import load_catalog
from llmasos import Agent
from llmasos.errors import AgentLoadError, NotAllowed, SettingsError, UnknownAgent, UsageError
from llmasos.packages import check_packages
from llmasos.request import AUTO, LOCAL, Principal, Request

BILLING = 'from llmasos import Agent\nbilling = Agent(name="billing", description="Invoices.")\n'
GUEST = Principal(id="slack:T2:U9", member=False, channel="C1")


@pytest.fixture
def write(tmp_path):
    def make(name: str, text: str):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_the_built_in_agents_come_by_entry_point(make_settings):
    catalog = load_catalog(make_settings())

    assert {"code_generation", "customer_service", "writing"} <= set(catalog.names())


@pytest.mark.parametrize(
    "load", ["./my_agents/", "my_agents", "my_agents/billing.py", "billing_mod:billing"]
)
def test_an_agent_of_ones_own_is_found_beside_the_configuration(make_settings, write, load):
    write("my_agents/billing.py", BILLING)
    write("billing_mod.py", BILLING)

    catalog = load_catalog(make_settings(f'[agents]\nload = ["{load}"]'))

    assert catalog.find("billing").description == "Invoices."


def test_a_file_may_import_its_neighbour(make_settings, write):
    write("my_agents/_shared_words.py", 'WORDS = "Invoices."\n')
    write(
        "my_agents/b.py",
        BILLING.replace('"Invoices."', "WORDS").replace(
            "\nb", "\nfrom _shared_words import WORDS\nb"
        ),
    )

    assert (
        load_catalog(make_settings('agents = ["my_agents"]')).find("billing").description
        == "Invoices."
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\ndef f(:\n", "line 2"),
        ("import nothing_like_this\n", "line 1: ModuleNotFoundError"),
        ("from llmasos import Agent\n\nx = Agent(name='Bad Name')\n", "line 3: Agent 'Bad Name'"),
        (
            "from llmasos import Agent\ndef f(x): pass\ny = Agent(name='y', tools=[f])\n",
            "no docstring",
        ),
        ("x = 1\n", "defines no agent"),
    ],
)
def test_a_file_that_cannot_load_is_named_with_line_and_reason(make_settings, write, text, reason):
    path = write("bad.py", text)

    with pytest.raises(AgentLoadError) as caught:
        load_catalog(make_settings('agents = ["bad.py"]'))

    assert str(path) in caught.value.message()
    assert reason in caught.value.message()


@pytest.mark.parametrize(
    "load", ["nowhere.py", "./nowhere/", "no_such_module:x", "json:nothing", "json:dumps"]
)
def test_what_is_not_there_or_no_agent_is_named(make_settings, load):
    with pytest.raises(AgentLoadError, match=load.strip("./").split(":")[0]):
        load_catalog(make_settings(f'agents = ["{load}"]'))


def test_two_agents_of_one_name_are_refused_and_both_are_named(make_settings, write):
    write("a.py", BILLING)
    write("b.py", BILLING)

    with pytest.raises(AgentLoadError, match=r"b\.py.*'billing' is taken by .*a\.py"):
        load_catalog(make_settings('agents = ["a.py", "b.py"]'))


def test_the_configuration_changes_an_agent(make_settings):
    settings = make_settings(
        '[agents.customer_service]\nknowledge = ["faq"]\nmodel = "big"\ninstructions = "Hi"\n'
        'users = ["team:T1"]\ntemperature = 0.5\nmax_new_tokens = 7\n'
        '[llm.models.big]\nbackends = ["http://gpu"]\n'
    )

    agent = load_catalog(settings).find("customer_service")

    assert agent.knowledge == ("faq",)
    assert (agent.model, agent.instructions, agent.users) == ("big", "Hi", ("team:T1",))
    assert (agent.options.temperature, agent.options.max_new_tokens) == (0.5, 7)
    assert agent.flow is not None


def test_a_model_that_nobody_set_up_is_refused(make_settings, write):
    write("b.py", BILLING.replace("Agent(", "Agent(model='lage', "))
    large = '[llm.models.large]\nbackends = ["http://gpu"]\n'

    with pytest.raises(AgentLoadError, match=r"b\.py.*'lage'.*Did you mean 'large'"):
        load_catalog(make_settings(f'agents = ["b.py"]\n{large}'))
    with pytest.raises(SettingsError, match=r"agents\.writing\.model = 'lage'.*'large'"):
        load_catalog(make_settings(f"[agents.writing]\nmodel = 'lage'\n{large}"))


def test_giving_an_agent_knowledge_makes_its_text_checked(make_settings, write):
    write("b.py", BILLING)
    settings = make_settings('[agents]\nload = ["b.py"]\n[agents.billing]\nknowledge = ["faq"]\n')

    assert load_catalog(settings).find("billing").checked


def test_changes_to_an_agent_that_there_is_not_are_refused(make_settings):
    with pytest.raises(SettingsError, match="Did you mean 'customer_service'"):
        load_catalog(make_settings("[agents.customer_servce]\n"))


def test_an_unknown_agent_is_answered_with_the_nearest(make_settings):
    with pytest.raises(UnknownAgent, match="Did you mean 'writing'"):
        load_catalog(make_settings()).find("writting")


@pytest.mark.parametrize(
    ("users", "principal", "allowed"),
    [
        (None, LOCAL, True),
        (None, GUEST, False),
        (["slack:T1:U1"], Principal(id="slack:T1:U1"), True),
        (["slack:T1:U1"], LOCAL, False),
        (["slack:T2:U9"], GUEST, True),
        (["channel:C1"], Principal(id="x", channel="C1"), True),
        (["channel:C1"], GUEST, False),
        (["group:ops"], Principal(id="x", groups=("ops",)), True),
        (["team:T1"], Principal(id="x", team="T2"), False),
        ([], LOCAL, False),
    ],
)
def test_who_may_use_an_agent(users, principal, allowed):
    from agents.catalog import Catalog

    catalog = Catalog([Agent(name="billing", users=users)])

    assert catalog.may_use("billing", principal) is allowed
    assert catalog.may_use(AUTO, principal) is allowed


def test_the_router_never_chooses_what_the_asker_may_not_use():
    from agents.catalog import Catalog

    catalog = Catalog([Agent(name="billing", users=["team:T1"]), Agent(name="chatter")])

    assert catalog.choose(Request(text="billing!")).agent.name == "chatter"
    with pytest.raises(NotAllowed):
        catalog.choose(Request(agent="billing", text="Hi"))
    with pytest.raises(NotAllowed):
        catalog.choose(Request(text="Hi", principal=GUEST))


def test_a_package_of_ours_that_is_hidden_is_named(monkeypatch, tmp_path):
    check_packages()
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").touch()
    monkeypatch.setattr(
        "llmasos.packages.find_spec",
        lambda name: PathFinder.find_spec(name, [str(tmp_path)]) or find_spec(name),
    )

    with pytest.raises(Exception, match=f"'agents'.*hidden by another one at {tmp_path}"):
        check_packages()


SHOP = """
from llmasos import tool

@tool
def order_status(number: str) -> str:
    \"\"\"Where an order is. number: the order's number.\"\"\"
    return number
"""


def test_an_intent_may_name_a_function_of_ones_own(make_settings, tmp_path):
    (tmp_path / "shop_of_intents.py").write_text(SHOP, encoding="utf-8")
    table = "[agents.customer_service.intents.order_status]"
    settings = make_settings(f'{table}\ntool = "shop_of_intents:order_status"')

    agent = load_catalog(settings).find("customer_service")

    assert [each.name for each in agent.tools] == ["order_status"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('tool = "no_such"', "no such tool"),
        ('tool = "no_such_module:tool"', "no_such_module"),
        ('slots.number.pattern = "("', "slots.number.pattern"),
        ('tool = "shop_of_slots:order_status"\nslots.city.ask = "?"', "no such argument"),
        ('title = "A"\n[agents.customer_service.intents.other]\ntitle = "A"', "has this title"),
    ],
)
def test_an_intent_that_cannot_be_acted_on_says_why(make_settings, tmp_path, lines, reason):
    (tmp_path / "shop_of_slots.py").write_text(SHOP, encoding="utf-8")
    settings = make_settings(f"[agents.customer_service.intents.order_status]\n{lines}\n")

    with pytest.raises(UsageError, match=reason):
        load_catalog(settings)
