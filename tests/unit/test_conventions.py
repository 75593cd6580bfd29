"""Scores by other conventions than sacreBLEU's own."""

import pytest

from nmt.evaluation import score
from nmt.evaluation.conventions import in_lower_case

SAID = ["Two Dogs play in the snow's shadow.", "a man, it seems, rides a bike"]
MEANT = ["two dogs play in the snow's shadow.", "A man rides a bike"]


def test_what_differs_in_case_alone_is_right_in_lower_case() -> None:
    (lower, how), (moses, other) = in_lower_case(SAID[:1], MEANT[:1], "en")
    assert score(SAID[:1], MEANT[:1], "en").bleu < 70
    assert lower == pytest.approx(100)
    assert moses == pytest.approx(100)
    assert "case:lc" in how
    assert "tok:13a" in how
    assert "case:lc" in other
    assert "tok:none" in other
    assert "sacremoses" in other


def test_moses_has_more_tokens_to_get_right() -> None:
    """It cuts off the 's, which 13a leaves on: "snow's" for "snows'" is then wrong by less."""
    (lower, _), (moses, _) = in_lower_case(["we saw the snow's end there"], ["we saw the snow end there"], "en")
    assert moses > lower
