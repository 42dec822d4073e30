"""The reference is complete: every setting, route, field, error and entry point is in it."""

import inspect
import json
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import llmasos
from integrations.app import open_doors
from integrations.http_api import agents, knowledge, knowledge_keeping, refusals
from integrations.http_api.app import create_app
from integrations.http_api.chat_form import Chat
from integrations.slack.http import PATH as SLACK_EVENTS
from integrations.slack.install import INSTALL, REDIRECT
from llmasos import errors, plugins
from llmasos.bus import MemoryBus
from llmasos.database import Database, migrate
from llmasos.events import Event, Reply
from llmasos.generation import Usage
from llmasos.jobs import Delivery, Job, JobStatus
from llmasos.request import Request
from llmasos.settings import PREFIX, Settings
from workers.inline import InlineDispatcher

SECTIONS = {
    name
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def test_every_setting_has_a_heading(generate: ModuleType, pages: dict[str, Any]) -> None:
    tables = {name: (place, model) for name, (place, model, _) in generate.TABLES.items()}

    missing = set(_settings(Settings, "", tables)) - set(
        pages["docs/reference/settings.md"].titles()
    )

    assert missing == set()


def test_every_setting_in_a_sentence_exists(page: Any, generate: ModuleType) -> None:
    tables = {name: (place, model) for name, (place, model, _) in generate.TABLES.items()}
    known = {*_settings(Settings, "", tables), *_sections(Settings)}

    named = {
        code
        for code in page.code
        if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", code) and code.split(".")[0] in SECTIONS
    }

    if page.name.startswith("docs/"):
        assert named - known == set()


def test_every_variable_that_is_named_is_a_setting(page: Any, generate: ModuleType) -> None:
    tables = {name: (place, model) for name, (place, model, _) in generate.TABLES.items()}
    known = {PREFIX + name.replace(".", "__").upper() for name in _settings(Settings, "", tables)}

    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+[A-Z]", page.text)) - known == set()


def test_every_route_has_a_heading(pages: dict[str, Any], routes: set[str]) -> None:
    headings = set(pages["docs/reference/http.md"].titles())

    assert routes - headings == set()
    assert {
        each for each in headings if re.match(r"(GET|POST|DELETE|PUT) ", each)
    } - routes == set()


BODIES = [
    agents.Run,
    knowledge.Search,
    knowledge_keeping.Evaluate,
    knowledge_keeping.Readers,
    knowledge_keeping.Rollback,
    Chat,
]


@pytest.mark.parametrize("model", BODIES)
def test_every_field_of_a_body_is_named(model: type[BaseModel], pages: dict[str, Any]) -> None:
    assert set(model.model_fields) - set(pages["docs/reference/http.md"].code) == set()


def test_the_shown_job_has_the_form_of_a_job(pages: dict[str, Any]) -> None:
    shown = next(
        block for block in pages["docs/reference/http.md"].blocks if '"usage"' in block.text
    )
    real = _job().as_json()

    plain = json.loads(shown.text)
    assert plain.keys() == real.keys()
    assert plain["usage"].keys() == real["usage"].keys()
    assert plain["reply"].keys() == real["reply"].keys()
    assert plain["deliveries"][0].keys() == real["deliveries"][0].keys()


def test_every_state_of_a_job_is_named(pages: dict[str, Any]) -> None:
    assert {str(each) for each in JobStatus} - set(pages["docs/reference/http.md"].code) == set()


def test_every_status_of_a_refusal_is_in_the_table(pages: dict[str, Any]) -> None:
    table = set(re.findall(r"^\| (\d{3}) \|", pages["docs/reference/http.md"].text, re.MULTILINE))

    assert {str(status) for _, status in refusals.STATUSES} - table == set()


def test_every_event_is_in_the_table(pages: dict[str, Any]) -> None:
    kinds = set(re.findall(r"^\| `(\w+)` \|", pages["docs/reference/http.md"].text, re.MULTILINE))

    assert set(_kinds()) - kinds == set()


def test_every_error_has_a_heading_and_no_other_has(pages: dict[str, Any]) -> None:
    names = {
        name
        for name, each in vars(errors).items()
        if inspect.isclass(each) and issubclass(each, errors.LLMasOSError) and name[0] != "_"
    }
    headings = {each for each in pages["docs/reference/errors.md"].titles() if " " not in each}

    assert headings - {"Errors"} == names


def test_every_group_of_entry_points_has_a_heading(pages: dict[str, Any]) -> None:
    headings = pages["docs/reference/python.md"].titles()

    assert set(get_args(plugins.Group)) - set(headings) == set()


def test_every_public_name_has_a_heading_and_no_other_has(pages: dict[str, Any]) -> None:
    chapters = pages["docs/reference/python.md"].headings
    begin = chapters.index((2, "Names in llmasos"))
    end = next(i for i in range(begin + 1, len(chapters)) if chapters[i][0] == 2)

    assert sorted(words for _, words in chapters[begin + 1 : end]) == sorted(llmasos.__all__)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """`METHOD PATH` of every route that the web server has."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    with Database(settings.state_url) as database:
        migrate(database)
    doors = open_doors(settings, InlineDispatcher(), MemoryBus())
    paths = create_app(doors).openapi()["paths"]
    found = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    yield found | {f"POST {SLACK_EVENTS}", f"GET {INSTALL}", f"GET {REDIRECT}"}
    doors.close()


def _settings(model: type[BaseModel], place: str, tables: dict[str, Any]) -> Iterator[str]:
    """The dotted names of all settings."""
    for name, field in model.model_fields.items():
        full = f"{place}.{name}" if place else name
        if full in tables:
            yield from _settings(tables[full][1], tables[full][0], tables)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, full, tables)
        else:
            yield full


def _sections(model: type[BaseModel]) -> set[str]:
    return {"slack.channels", *model.model_fields}


def _kinds() -> Iterator[str]:
    for each in get_args(get_args(Event)[0]):
        yield each.model_fields["kind"].default


def _job() -> Job:
    return Job(
        id="1", agent="writing", status=JobStatus.SUCCEEDED, attempts=1, created_at=0.0,
        started_at=None, finished_at=None, request=Request(text="Hi"), reply=Reply(text="Ho"),
        error=None, usage=Usage(), deliveries=(Delivery("slack:C1", "delivered"),),
    )  # fmt: skip
