"""Searching in batches, and again what looks wrong."""

import pytest
import torch
from small import make_config

from nmt.decoding.hypotheses import Hypothesis, SearchOptions
from nmt.decoding.model_network import ModelNetwork
from nmt.decoding.quality_checks import COVERED, count_repeated
from nmt.decoding.scoring import attention, log_probabilities
from nmt.decoding.searching import Outcome, Searcher
from nmt.decoding.translation import Status, worst
from nmt.model.seq2seq import Seq2Seq

VOCABULARY = 12


@pytest.fixture
def searcher() -> Searcher:
    """A network of random weights, which loves loops."""
    torch.manual_seed(4)
    config = make_config()
    return Searcher(ModelNetwork(Seq2Seq.from_config(config, VOCABULARY, VOCABULARY)), config.decoding)


def model_of(searcher: Searcher) -> Seq2Seq:
    assert isinstance(searcher.network, ModelNetwork)
    return searcher.network.model


def sources(count: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 15, (count,), generator=generator).tolist()
    return [torch.randint(4, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]


SOURCE = tuple(range(4, 12))
FINE = (4, 5, 6, 7, 8, 9)
LOOP = (4, *[5] * 8)


def found(tokens: tuple[int, ...], per_subword: float, uncovered: int = 0) -> Hypothesis:
    total = per_subword * (len(tokens) + 1)
    return Hypothesis(tokens, total, per_subword, uncovered)


@pytest.mark.parametrize(
    ("first", "second", "taken", "status"),
    [
        ([found(LOOP, -0.2)], [found(FINE, -0.6)], 1, Status.RETRIED),
        ([], [found(FINE, -9.0)], 1, Status.RETRIED),
        # The evidence is not clear: the first stays.
        ([found(LOOP, -0.2)], [found(FINE, -0.8)], 0, Status.FAILED),
        ([found(LOOP, -0.2)], [found(LOOP, -0.1)], 0, Status.FAILED),
        ([found(LOOP, -0.2)], [found(FINE, -0.4, 6)], 0, Status.FAILED),
        ([found(LOOP, -0.2)], [], 0, Status.FAILED),
    ],
)
def test_a_second_translation_replaces_the_first_only_for_a_reason(searcher, monkeypatch, first, second, taken, status):
    searches = [[first], [second]]
    monkeypatch.setattr(searcher, "search", lambda *_: searches.pop(0))
    [outcome] = searcher.search_checked([SOURCE], SearchOptions(beam_size=2, n_best=2), batch_size=1)
    assert outcome.status is status
    assert outcome.hypotheses == tuple((first, second)[taken])


@pytest.mark.parametrize(
    ("hypothesis", "status"),
    [(found(FINE, -1.0), Status.OK), (found(FINE, -1.0, 6), Status.FAILED), (found(FINE, -0.1, 6), Status.OK)],
)
def test_dropped_content_is_told_and_not_searched_again(searcher, monkeypatch, hypothesis, status):
    searches = [[[hypothesis]], []]
    monkeypatch.setattr(searcher, "search", lambda *_: searches.pop(0))
    assert searcher.search_checked([SOURCE], SearchOptions(), batch_size=1) == [Outcome((hypothesis,), status)]


def test_two_searches_that_find_nothing(searcher, monkeypatch):
    monkeypatch.setattr(searcher, "search", lambda sources, *_: [[] for _ in sources])
    [outcome] = searcher.search_checked([SOURCE], SearchOptions(), batch_size=1)
    assert (outcome.hypotheses, outcome.status) == ((), Status.FAILED)


def test_what_looks_wrong_is_searched_again(searcher):
    options = SearchOptions(beam_size=1)
    given = sources(40)
    plain = searcher.search(given, options, batch_size=16)
    outcomes = searcher.search_checked(given, options, batch_size=16)
    assert Status.RETRIED in {outcome.status for outcome in outcomes}
    for ids, [before], outcome in zip(given, plain, outcomes, strict=True):
        [after] = outcome.hypotheses
        loops = [count_repeated(ids, each.tokens) > 0 for each in (before, after)]
        assert (outcome.status is Status.RETRIED) or after == before
        assert outcome.status is Status.FAILED or not loops[1]
        assert outcome.status is not Status.OK or not loops[0]


def test_coverage_in_the_search_is_that_of_forced_decoding(searcher):
    given = sources(30)
    for options in (SearchOptions(beam_size=1), SearchOptions(beam_size=4, n_best=3)):
        pairs = [
            (ids, each)
            for ids, hypotheses in zip(given, searcher.search(given, options, batch_size=8), strict=True)
            for each in hypotheses
        ]
        weights = dict(attention(model_of(searcher), [ids for ids, _ in pairs], [each.tokens for _, each in pairs]))
        for index, (_, each) in enumerate(pairs):
            received = weights[index][:-1, :-1].sum(axis=0)
            sure = abs(received - COVERED) > 1e-4
            assert (received < COVERED)[sure].sum() <= each.observed <= (received < COVERED)[sure].sum() + (~sure).sum()


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
    scores = log_probabilities(model_of(searcher), given, tokens)
    assert scores == pytest.approx([each.log_probability for [each] in found], rel=1e-5)
    matrices = dict(attention(model_of(searcher), given, tokens))
    assert sorted(matrices) == list(range(20))
    for index, weights in matrices.items():
        assert weights.shape == (len(tokens[index]) + 1, len(given[index]) + 1)
        assert weights.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_forced_decoding_in_short_stretches_is_the_same(searcher, monkeypatch):
    given, targets = sources(9), sources(9)[::-1]
    expected = (
        log_probabilities(model_of(searcher), given, targets),
        dict(attention(model_of(searcher), given, targets)),
    )
    for name in ("_ATTENTION_VALUES", "_LOGITS"):
        monkeypatch.setattr(f"nmt.decoding.scoring.{name}", 100)
    assert log_probabilities(model_of(searcher), given, targets) == pytest.approx(expected[0], rel=1e-6)
    for index, weights in attention(model_of(searcher), given, targets):
        assert weights == pytest.approx(expected[1][index], abs=1e-6)


def test_statuses_by_weight():
    assert worst(Status.OK, Status.SPLIT) is Status.SPLIT
    assert worst(Status.SPLIT, Status.RETRIED, Status.OK) is Status.RETRIED
    assert worst(Status.FAILED, Status.RETRIED) is Status.FAILED
