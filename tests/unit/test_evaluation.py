from __future__ import annotations

import functools
import gc
import json

import pytest

from nmt.data.scripts import script_of
from nmt.evaluation import EvaluationError, score
from nmt.evaluation.scores import sentence_scorer, tokenizer


def test_known_scores() -> None:
    scores = score(["the cat sat on the mat"], ["the cat sat on a mat"], "en")
    # p1 = 5/6, p2 = 3/5, p3 = 2/4, p4 = 1/3; no brevity penalty
    assert scores.bleu == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert score(["a b c d e"], ["a b c d e"]).chrf == pytest.approx(100)


def test_signatures_come_along_and_it_is_ready_for_json() -> None:
    row = json.loads(json.dumps(score(["x"], ["x"]).as_dict()))
    assert "tok:13a" in row["bleu_signature"]
    assert "nc:6" in row["chrf_signature"]


@pytest.mark.parametrize(
    ("language", "tokenizer"), [("zh", "zh"), ("zh-TW", "zh"), ("zho", "zh"), ("de", "13a"), (None, "13a")]
)
def test_the_tokeniser_follows_the_language(language: str | None, tokenizer: str) -> None:
    assert f"tok:{tokenizer}|" in score(["ni hao"], ["ni hao"], language).bleu_signature


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Where is the dog?", None),
        ("Где собака? 2024", None),
        ("The word 狗 means dog", None),
        ("犬はどこですか。", "ja"),
        ("ドキュメント", "ja"),
        ("狗在哪里？DNA", "zh"),
        ("개는 어디 있습니까?", "ko"),
        ("หมาอยู่ที่ไหน", "unspaced"),
        ("", None),
        ("123 ...", None),
    ],
)
@pytest.mark.parametrize("language", ["tgt", None, "xx"])
def test_the_tokeniser_follows_the_script_where_the_language_does_not_say(
    text: str, kind: str | None, language: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # without dictionaries
    assert script_of([text]) == kind
    expected = {"ja": "char", "ko": "char", "unspaced": "char", "zh": "zh"}.get(kind or "", "13a")
    assert tokenizer(language, [text]) == expected


def test_different_numbers_of_lines_are_refused() -> None:
    with pytest.raises(EvaluationError, match="got 1 translations and 2 references"):
        score(["a"], ["a", "b"])


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(EvaluationError, match="got none"):
        score([], [])


def remembered_lines() -> dict[str, int]:
    """How many lines each of sacreBLEU's tokenisers remembers."""
    memories = [each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper)]
    return {
        each.__qualname__: each.cache_info().currsize
        for each in memories
        if each.__module__.startswith("sacrebleu.tokenizers.") and each.__qualname__.endswith(".__call__")
    }


@pytest.mark.parametrize("language", ["de", "zh", "ja", "th"])
def test_no_line_is_remembered(language: str) -> None:
    score(["a line, and its words"], ["another line"], language)
    assert set(remembered_lines().values()) == {0}


def test_few_lines_are_remembered_where_many_are_scored_one_by_one() -> None:
    scored = sentence_scorer(["a line"], "de")
    most = 0
    for number in range(2_500):
        scored(f"line {number}", "a line")
        most = max(most, number % 499 == 0 and max(remembered_lines().values()))
    assert 900 < most <= 1_001
