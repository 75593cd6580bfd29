from __future__ import annotations

import json

import pytest

from nmt.evaluation import EvaluationError, score


def test_known_scores() -> None:
    scores = score(["the cat sat on the mat"], ["the cat sat on a mat"], "en")
    # p1 = 5/6, p2 = 3/5, p3 = 2/4, p4 = 1/3; no brevity penalty
    assert scores.bleu == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert score(["a b c d e"], ["a b c d e"]).chrf == pytest.approx(100)


def test_signatures_come_along_and_it_is_ready_for_json() -> None:
    row = json.loads(json.dumps(score(["x"], ["x"]).as_dict()))
    assert "tok:13a" in row["bleu_signature"]
    assert "nc:6" in row["chrf_signature"]


@pytest.mark.parametrize(("language", "tokenizer"), [("zh", "zh"), ("zh-TW", "zh"), ("de", "13a"), (None, "13a")])
def test_the_tokeniser_follows_the_language(language: str | None, tokenizer: str) -> None:
    assert f"tok:{tokenizer}|" in score(["你好 x"], ["你好 x"], language).bleu_signature


def test_different_numbers_of_lines_are_refused() -> None:
    with pytest.raises(EvaluationError, match="got 1 translations and 2 references"):
        score(["a"], ["a", "b"])


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(EvaluationError, match="got none"):
        score([], [])
