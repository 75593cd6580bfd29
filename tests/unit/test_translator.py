"""Searching in batches, and again what looks wrong."""

import pytest
import torch
from small import make_config

from nmt.decoding.beam_search import Hypothesis, SearchOptions
from nmt.decoding.quality_checks import count_suspect
from nmt.decoding.scoring import attention, log_probabilities
from nmt.decoding.translation import Status, worst
from nmt.decoding.translator import Searcher, better
from nmt.model.seq2seq import Seq2Seq

VOCABULARY = 12


@pytest.fixture
def searcher() -> Searcher:
    """A network of random weights, which loves loops."""
    torch.manual_seed(4)
    config = make_config()
    return Searcher(Seq2Seq.from_config(config, VOCABULARY, VOCABULARY), config.decoding)


def sources(count: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 15, (count,), generator=generator).tolist()
    return [torch.randint(4, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]


def hypotheses(count: int) -> list[Hypothesis]:
    return [Hypothesis((number,), -1.0 - number, -1.0 - number) for number in range(count)]


@pytest.mark.parametrize(
    ("first_suspect", "second_suspect", "search", "rank", "status"),
    [
        ([7], [0, 0], 1, 0, Status.RETRIED),
        ([7], [3, 0, 0], 1, 1, Status.RETRIED),
        ([7], [9, 5], 1, 1, Status.FAILED),
        ([7], [9, 7], 0, 0, Status.FAILED),
        ([7], [], 0, 0, Status.FAILED),
        ([], [0], 1, 0, Status.RETRIED),
        ([], [2], 1, 0, Status.FAILED),
    ],
)
def test_the_better_of_two_searches(first_suspect, second_suspect, search, rank, status):
    found = hypotheses(len(first_suspect)), hypotheses(len(second_suspect))
    outcome = better(found[0], first_suspect, found[1], second_suspect, n_best=2)
    assert outcome.status is status
    assert outcome.hypotheses[0] is found[search][rank]
    assert len(outcome.hypotheses) == min(2, len(found[search]))
    assert len(set(outcome.hypotheses)) == len(outcome.hypotheses)


def test_two_searches_that_find_nothing():
    outcome = better([], [], [], [], n_best=1)
    assert (outcome.hypotheses, outcome.status) == ((), Status.FAILED)


def test_what_looks_wrong_is_searched_again(searcher):
    options = SearchOptions(beam_size=1)
    given = sources(40)
    plain = searcher.search(given, options, batch_size=16)
    outcomes = searcher.search_checked(given, options, batch_size=16)
    assert Status.RETRIED in {outcome.status for outcome in outcomes}
    for ids, [before], outcome in zip(given, plain, outcomes, strict=True):
        [after] = outcome.hypotheses
        suspect = []
        for tokens in (before.tokens, after.tokens):
            [(_, weights)] = attention(searcher.model, [ids], [tokens])
            suspect.append(count_suspect(ids, tokens, weights))
        assert suspect[1] <= suspect[0]
        assert (outcome.status is Status.OK) == (suspect[0] == 0)
        assert (outcome.status is Status.FAILED) == (suspect[1] > 0)
        if outcome.status is Status.OK:
            assert after == before


def test_batches_change_nothing(searcher):
    options = SearchOptions(beam_size=3, n_best=2)
    given = sources(20)
    expected = searcher.search(given, options, batch_size=20)
    done: list[int] = []
    for batch_size in (1, 7):
        found = searcher.search(given, options, batch_size, done.append)
        for these, those in zip(found, expected, strict=True):
            assert [each.tokens for each in these] == [each.tokens for each in those]
            assert [each.score for each in these] == pytest.approx([each.score for each in those], rel=1e-5)
    assert sum(done) == 40


def test_forced_decoding_agrees_with_the_search(searcher):
    given = sources(20)
    found = searcher.search(given, SearchOptions(beam_size=2), batch_size=8)
    tokens = [each.tokens for [each] in found]
    scores = log_probabilities(searcher.model, given, tokens)
    assert scores == pytest.approx([each.log_probability for [each] in found], rel=1e-5)
    matrices = dict(attention(searcher.model, given, tokens))
    assert sorted(matrices) == list(range(20))
    for index, weights in matrices.items():
        assert weights.shape == (len(tokens[index]) + 1, len(given[index]) + 1)
        assert weights.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_forced_decoding_in_short_stretches_is_the_same(searcher, monkeypatch):
    given, targets = sources(9), sources(9)[::-1]
    expected = log_probabilities(searcher.model, given, targets), dict(attention(searcher.model, given, targets))
    for name in ("_ATTENTION_VALUES", "_LOGITS"):
        monkeypatch.setattr(f"nmt.decoding.scoring.{name}", 100)
    assert log_probabilities(searcher.model, given, targets) == pytest.approx(expected[0], rel=1e-6)
    for index, weights in attention(searcher.model, given, targets):
        assert weights == pytest.approx(expected[1][index], abs=1e-6)


def test_statuses_by_weight():
    assert worst(Status.OK, Status.SPLIT) is Status.SPLIT
    assert worst(Status.SPLIT, Status.RETRIED, Status.OK) is Status.RETRIED
    assert worst(Status.FAILED, Status.RETRIED) is Status.FAILED
