"""OpenAI's own client asks agents."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from llmasos.events import Citation, Failure, Reply, Token
from llmasos.generation import Message
from llmasos.keys import Keys, Scope

CITED = Citation(source="help/refunds.md", title="Refunds", quote="14 days", score=0.8)
REPLY = Reply(text="Within 14 days [1].", citations=(CITED,))
HELLO: list[Any] = [{"role": "user", "content": "How long?"}]
SHOWN = "Within 14 days [1].\n\n[1] Refunds (help/refunds.md)"


@pytest.fixture
def client(desk: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{desk.http.base_url}/v1", api_key="none", max_retries=0) as made:
        yield made


@contextmanager
def worker(desk: Any, work: Callable[[Any], None]) -> Iterator[None]:
    """A worker that does something with the next job."""

    def run() -> None:
        while not desk.doors.jobs.list():
            time.sleep(0.01)
        work(desk.take())

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive()


def answers(desk: Any) -> Callable[[Any], None]:
    def work(claim: Any) -> None:
        for piece in ("Within ", "14 days [1]."):
            desk.doors.bus.publish(claim.job.id, claim.attempt, Token(text=piece))
        desk.succeed(claim, REPLY)

    return work


def test_an_agent_answers_as_a_model(desk: Any, client: openai.OpenAI) -> None:
    with worker(desk, answers(desk)):
        answer = client.chat.completions.create(model="echo", messages=HELLO, temperature=0.2)

    [job] = desk.doors.jobs.list()
    message: Any = answer.choices[0].message
    assert (message.role, message.content) == ("assistant", SHOWN)
    assert message.citations[0]["source"] == "help/refunds.md"
    assert (answer.id, answer.model) == (f"chatcmpl-{job.id}", "echo")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 0


def test_an_answer_comes_piece_by_piece_and_says_what_it_took(
    desk: Any, client: openai.OpenAI
) -> None:
    with worker(desk, answers(desk)):
        chunks = list(
            client.chat.completions.create(
                model="echo", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
        )

    texts = [each.choices[0].delta.content or "" for each in chunks if each.choices]
    assert "".join(texts) == SHOWN
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage is not None) == ([], True)


def test_the_async_client_is_answered_too(desk: Any) -> None:
    async def ask() -> tuple[str | None, str]:
        async with openai.AsyncOpenAI(base_url=f"{desk.http.base_url}/v1", api_key="x") as client:
            whole = await client.chat.completions.create(model="echo", messages=HELLO)
            again = await client.chat.completions.create(
                model="echo", messages=HELLO, stream=True, extra_headers={"Idempotency-Key": "k"}
            )
            text = "".join([each.choices[0].delta.content or "" async for each in again])
        return whole.choices[0].message.content, text

    def both(claim: Any) -> None:
        answers(desk)(claim)
        while len(desk.doors.jobs.list()) < 2:
            time.sleep(0.01)
        answers(desk)(desk.take())

    with worker(desk, both):
        assert asyncio.run(ask()) == (SHOWN, SHOWN)


def test_earlier_messages_are_the_jobs_own_history(desk: Any, client: openai.OpenAI) -> None:
    before: list[Any] = [
        {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"},
    ]  # fmt: skip
    with worker(desk, answers(desk)):
        client.chat.completions.create(model="echo", messages=[*before, *HELLO])

    request = desk.doors.jobs.list()[0].request
    assert (request.text, request.conversation) == ("How long?", None)
    assert request.history == (
        Message(role="user", content="Hello"), Message(role="assistant", content="Hi"),
    )  # fmt: skip


def test_errors_are_those_that_the_client_knows(desk: Any, client: openai.OpenAI) -> None:
    create: Any = client.chat.completions.create
    with pytest.raises(openai.NotFoundError, match="Did you mean 'echo'") as unknown:
        create(model="ehco", messages=HELLO)
    with pytest.raises(openai.PermissionDeniedError):
        create(model="private", messages=HELLO)
    with pytest.raises(openai.UnprocessableEntityError):
        create(model="echo", messages=[])
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("ehco")

    assert unknown.value.code == "model_not_found"
    Keys(desk.doors.database).add("shop", [Scope.RUN])
    with pytest.raises(openai.AuthenticationError, match="llmasos keys add"):
        create(model="echo", messages=HELLO)


@pytest.mark.parametrize("stream", [False, True])
def test_a_job_that_fails_is_an_error(desk: Any, client: openai.OpenAI, stream: bool) -> None:
    failure = Failure(type="EngineUnavailable", message="It does not answer.")
    with (
        worker(desk, lambda claim: desk.fail(claim, failure)),
        pytest.raises(openai.APIError, match="It does not answer"),
    ):
        list(client.chat.completions.create(model="echo", messages=HELLO, stream=stream))


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_cancels_the_job(desk: Any, client: openai.OpenAI, stream: bool) -> None:
    if stream:
        answer: Any = client.chat.completions.create(model="echo", messages=HELLO, stream=True)
        next(iter(answer))
        answer.close()
    else:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="echo", messages=HELLO, timeout=1.0)

    deadline = time.monotonic() + 60
    while (status := desk.doors.jobs.list()[0].status) != "cancelled":
        assert time.monotonic() < deadline, status
        time.sleep(0.05)


def test_agents_are_listed_as_models(client: openai.OpenAI) -> None:
    names = [each.id for each in client.models.list()]

    assert {"auto", "echo"} <= set(names)
    assert "private" not in names
    assert client.models.retrieve("echo").id == "echo"


def test_user_names_the_principal_only_for_who_may_act_for_others(desk: Any) -> None:
    keys = Keys(desk.doors.database)
    for name, scopes in (("shop", [Scope.RUN]), ("front", [Scope.RUN, Scope.ACT_AS])):
        _, text = keys.add(name, scopes)
        with (
            openai.OpenAI(base_url=f"{desk.http.base_url}/v1", api_key=text, max_retries=0) as made,
            made.chat.completions.create(
                model="echo", messages=HELLO, stream=True, user="slack:T1:U1"
            ),
        ):
            pass

    newest, older = desk.doors.jobs.list()
    assert (newest.request.principal.id, newest.owner) == ("slack:T1:U1", "key:front")
    assert older.request.principal.id == "key:shop"
