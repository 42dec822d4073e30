"""The name that a server is asked for: an alias of the library follows its promotions."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos.engine.library import ModelLibrary
from llmasos.pool import plan as plans
from llmasos.pool.plan import Plans
from llmasos.settings import Settings

GPU = """
[llm.models.default]
backends = [{ url = "http://gpu:8000/v1", kind = "openai", model = "writing-model" }]
"""


@pytest.fixture
def settings(make_settings: Callable[..., Settings], home: Path) -> Settings:
    """A server of many models, asked for an alias; a library of its own."""
    (home / "models").unlink()
    settings = make_settings(GPU)
    ModelLibrary.of(settings).promote("writing-model", "qwen3-8b", needed_here=False)
    return settings


def asked(plans: Plans) -> list[str | None]:
    return [address.model for address in plans.current().addresses()]


def test_a_server_is_asked_for_what_the_alias_points_at_today(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "LOOK_SECONDS", 0.0)
    following = Plans(settings)
    before = asked(following)

    ModelLibrary.of(settings).promote(
        "writing-model", "mistral-7b-instruct-v0.3", needed_here=False
    )

    assert before == ["Qwen/Qwen3-8B"]
    assert asked(following) == ["mistralai/Mistral-7B-Instruct-v0.3"]


def test_a_name_that_is_no_alias_is_asked_for_as_it_is(settings: Settings) -> None:
    shutil.rmtree(settings.models_dir)

    assert asked(Plans(settings)) == ["writing-model"]
