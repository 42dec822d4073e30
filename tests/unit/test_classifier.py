"""The classifier: from names, from examples, saved and loaded; and what belongs to no label."""

import zipfile

import pytest

from llmasos import TextClassifier
from llmasos.errors import InvalidRequest
from llmasos.testing import HashingEmbedder

REFUNDS = [f"I want my money back for order {n}" for n in range(10)]
HOURS = [f"when does the shop open on day {n}" for n in range(10)]
WEATHER = [f"is there rain in town {n}" for n in range(10)]


@pytest.fixture
def trained() -> TextClassifier:
    made = TextClassifier(embedder=HashingEmbedder())
    return made.fit(REFUNDS + HOURS, ["refund"] * 10 + ["hours"] * 10, out_of_scope=WEATHER)


def test_labels_are_learned_from_examples(trained):
    found = trained.predict(["I want my money back for it", "when does the shop open"])

    assert [each.label for each in found] == ["refund", "hours"]
    assert sum(found[0].scores.values()) == pytest.approx(1.0, abs=1e-4)
    assert not found[0].out_of_scope


def test_a_text_of_no_label_is_told(trained):
    assert trained.predict("is there rain or snow tomorrow").out_of_scope


def test_label_names_alone_will_do():
    made = TextClassifier(["shop_hours", "money-back"], embedder=HashingEmbedder())

    assert made.predict("I want my money back").label == "money-back"


def test_chinese_is_told_by_its_characters():
    texts = ["我要退款", "怎么申请退款", "退款多久到账", "几点开门", "周末几点营业", "营业时间"]
    made = TextClassifier(embedder=HashingEmbedder()).fit(texts, ["refund"] * 3 + ["hours"] * 3)

    assert made.predict("退款流程").label == "refund"
    assert made.predict("明天几点开门").label == "hours"


def test_it_is_saved_and_loaded_without_its_examples(trained, tmp_path):
    trained.save(tmp_path / "intents")

    loaded = TextClassifier.load(tmp_path / "intents", embedder=HashingEmbedder())

    asked = ["can I get my money back", "rain"]
    for ours, theirs in zip(trained.predict(asked), loaded.predict(asked), strict=True):
        assert ours.label == theirs.label
        assert ours.scope == pytest.approx(theirs.scope, abs=1e-4)
    assert "money" not in (tmp_path / "intents").read_bytes().decode("latin-1")


def test_another_embedding_model_is_refused(trained, tmp_path):
    trained.save(tmp_path / "intents")

    with pytest.raises(InvalidRequest, match="learned with the embedding model"):
        TextClassifier.load(tmp_path / "intents", embedder=HashingEmbedder("another"))


def test_what_is_no_classifier_is_refused(tmp_path):
    (tmp_path / "text").write_text("no")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("about.json", "{}")

    for name in ("text", "zip", "missing"):
        with pytest.raises(InvalidRequest, match="no classifier that can be read"):
            TextClassifier.load(tmp_path / name, embedder=HashingEmbedder())


@pytest.mark.parametrize(
    ("texts", "labels", "reason"),
    [(["a"], ["x", "y"], "1 texts and 2 labels"), (["a", "b"], ["x", "x"], "two labels")],
)
def test_wrong_examples_are_refused(texts, labels, reason):
    with pytest.raises(InvalidRequest, match=reason):
        TextClassifier(embedder=HashingEmbedder()).fit(texts, labels)


def test_an_untrained_one_says_so():
    with pytest.raises(InvalidRequest, match="knows no labels yet"):
        TextClassifier(embedder=HashingEmbedder()).predict("Hi")


def test_many_examples_are_learned_by_landmarks(monkeypatch):
    monkeypatch.setattr("llmasos.classifier.LANDMARKS", 8)

    made = TextClassifier(embedder=HashingEmbedder()).fit(REFUNDS + HOURS, ["r"] * 10 + ["h"] * 10)

    assert made.predict("my money back please").label == "r"
