"""Ranking: two halves, weighed per query, into passages that read well."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pytest

from knowledge.chunking import Chunk
from knowledge.reranking import HttpReranker
from knowledge.retrieve import Tuning, retrieve
from knowledge.search import Search
from knowledge.testing import ListView
from knowledge.weighing import Shape, Weighing, is_english
from llmasos.errors import EngineRejected, EngineUnavailable
from llmasos.settings import KnowledgeSettings, Settings
from llmasos.settings.models import EmbeddingSettings
from llmasos.testing.retrieval import HashingEmbedder

PAGES = (
    "Refunds take fourteen days after the return has arrived.",
    "The free plan has limits on storage and seats.",
    "Error E4711 means that the card was refused by the bank.",
    "Export all messages from the settings page.",
    "退款在收到退货后十四天内到账。",
)
EMBEDDER = HashingEmbedder(dimension=256)


def view(texts: tuple[str, ...] = PAGES) -> ListView:
    return ListView.of(texts, EMBEDDER.embed(texts))


def found(query: str, views: dict[str, ListView], k: int = 3, tuning: Tuning | None = None):
    return retrieve(query, views, lambda: EMBEDDER.embed([query])[0], k, tuning)


def pieces(*spans: tuple[int, int], section: str = "Refunds") -> ListView:
    """Chunks of one page, with these spans of one long text."""
    text = " ".join(f"word{n} about refunds and returns" for n in range(60))
    chunks = [("page.md", Chunk(section, "", text[a:b], a, b)) for a, b in spans]
    return ListView(chunks, EMBEDDER.embed([chunk.embedded for _, chunk in chunks]))


def test_what_only_keywords_find_comes_first_where_vectors_tell_nothing() -> None:
    nothing = np.zeros(256, dtype=np.float32)

    best = retrieve("what does E4711 mean", {"help": view()}, lambda: nothing, 2)[0]

    assert best.source == "2"
    assert best.explanation is not None
    assert best.explanation.keyword_rank == 1


def test_a_page_that_both_halves_speak_for_comes_before_one_of_each() -> None:
    """The halves find different parts of it."""
    chunks = [
        ("words.md", Chunk("", "", "Stop the newsletter: what you wrote to us.", 0, 42)),
        ("sense.md", Chunk("", "", "Mailing lists can be left.", 0, 26)),
        ("page.md", Chunk("", "", "Stop the newsletter.", 0, 20)),
        ("page.md", Chunk("", "", "Choose which letters arrive.", 30, 58)),
    ]
    cosines = np.array([0.2, 0.6, 0.2, 0.59], dtype=np.float32)
    vectors = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)

    best = retrieve(
        "stop the newsletter", {"help": ListView(chunks, vectors)}, lambda: np.array([1.0, 0.0]), 3
    )

    assert [each.source for each in best[:2]] == ["page.md", "sense.md"]


def test_chinese_is_carried_by_keywords() -> None:
    nothing = np.zeros(256, dtype=np.float32)

    assert retrieve("怎么退款", {"help": view()}, lambda: nothing, 1)[0].source == "4"


def test_rows_of_both_halves_are_scored_by_both() -> None:
    query = "refused card"

    ranking = Search(query, [view()], Weighing(), 100).rank(EMBEDDER.embed([query])[0])

    assert ranking.found[0].row == 2
    assert ranking.found[0].keywords > 0
    assert ranking.found[0].share == 1
    assert {each.row for each in ranking.found} == set(range(len(PAGES)))


def test_scores_fall_and_relevance_with_them_over_several_collections() -> None:
    passages = found("refunds take days", {"one": view(), "two": view(PAGES[1:3])}, k=6)

    scores = [each.score for each in passages]
    relevances = [each.relevance for each in passages]
    assert passages[0].collection == "one"
    assert scores == sorted(scores, reverse=True)
    assert relevances == sorted(relevances, reverse=True)
    assert all(0 <= each <= 1 for each in relevances)


def test_an_empty_view_gives_no_passages() -> None:
    assert found("anything", {"empty": ListView([], np.zeros((0, 256), np.float32))}) == []


def test_a_query_of_signs_alone_is_answered_by_vectors() -> None:
    assert len(found("???", {"help": view()}, k=2)) == 2


def test_neighbours_that_touch_become_one_passage() -> None:
    passages = found("refunds returns", {"help": pieces((0, 300), (300, 600), (900, 1200))})

    assert sorted(each.span for each in passages) == [(0, 600), (900, 1200)]
    assert all(len(each.text) == each.span[1] - each.span[0] for each in passages)


def test_a_joined_passage_stays_within_its_budget() -> None:
    spans = [(start, start + 300) for start in range(0, 1800, 300)]

    passages = found("refunds returns", {"help": pieces(*spans)}, k=6)

    assert len(passages) < len(spans)
    assert all(each.span[1] - each.span[0] <= 1500 for each in passages)


def test_what_was_said_already_is_left_out() -> None:
    texts = (PAGES[0], PAGES[0] + " ", PAGES[3])

    passages = found("refunds days", {"help": view(texts)}, k=3)

    assert [each.source for each in passages] == ["0", "2"]


def test_as_many_passages_are_found_as_were_asked_for() -> None:
    texts = tuple(f"Refund number {n} of customer {n * 7} came back." for n in range(400))

    assert len(found("refund", {"help": view(texts)}, k=250)) == 250


def test_what_says_the_same_takes_no_place_of_what_does_not() -> None:
    same = tuple(PAGES[0] + " " * n for n in range(300))

    passages = found("refunds take days", {"help": view((*same, *PAGES))}, k=4)

    assert len({each.text.strip() for each in passages}) == 4


def test_the_settings_say_how_passages_are_found() -> None:
    settings = Settings(
        embedding=EmbeddingSettings(multilingual=True),
        knowledge=KnowledgeSettings(reranker_url="http://127.0.0.1:9"),
    )

    tuning = Tuning.of(settings)

    assert not tuning.reads_only_english
    with pytest.raises(EngineUnavailable, match=r"127\.0\.0\.1:9"):
        found("free plan", {"help": view()}, tuning=tuning)
    assert Tuning.of(Settings()).reranker is None


def test_keywords_weigh_more_in_a_language_that_the_model_does_not_read() -> None:
    weighing = Weighing()

    assert weighing.weight(Shape(1.0, 0.3, 0.5)) > weighing.weight(Shape(0.0, 0.3, 0.5))


@pytest.mark.parametrize(
    ("query", "english"),
    [
        ("How do I reset my password?", True),
        ("password reset", True),
        ("Wie setze ich das Passwort zurück, und was ist das?", False),
        ("¿Cuál es el precio del plan?", False),
        ("怎么修改密码", False),
        ("Как сбросить пароль?", False),
    ],
)
def test_which_queries_may_be_english(query: str, english: bool) -> None:
    assert is_english(query) is english


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """A reranking server that likes the longest text best."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if body["query"] == "broken":
                answer: object = [{"index": 0}]
            else:
                answer = [{"index": n, "score": len(t) / 1000} for n, t in enumerate(body["texts"])]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_reranker_has_the_last_word(server: HTTPServer) -> None:
    tuning = Tuning(reranker=HttpReranker(f"http://127.0.0.1:{server.server_port}"))

    passages = found("free plan", {"help": view()}, k=5, tuning=tuning)

    lengths = [len(each.text) for each in passages]
    assert lengths == sorted(lengths, reverse=True)
    assert passages[0].explanation is not None
    assert passages[0].explanation.reranked == pytest.approx((lengths[0] + 1) / 1000)


def test_a_reranker_that_answers_nonsense_is_named(server: HTTPServer) -> None:
    tuning = Tuning(reranker=HttpReranker(f"http://127.0.0.1:{server.server_port}"))

    with pytest.raises(EngineRejected, match="no scores"):
        found("broken", {"help": view()}, tuning=tuning)
