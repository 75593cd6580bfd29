"""The search, against exhaustive enumeration on a toy model whose next token depends on all tokens before."""

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.decoding.beam_search import beam_search
from nmt.decoding.hypotheses import SearchError, SearchOptions

EOS = 3
VOCABULARY = 4


@dataclass(frozen=True)
class Toy:
    """Log-probabilities from a table by sentence and prefix; the state of a search is the prefixes themselves."""

    tables: list[dict[tuple[int, ...], torch.Tensor]]

    @classmethod
    def make(cls, seed: int, limits: list[int], coarse: bool = False) -> "Toy":
        generator = torch.Generator().manual_seed(seed)
        tables = []
        for limit in limits:
            table = {}
            for size in range(limit):
                for prefix in itertools.product(range(VOCABULARY - 1), repeat=size):
                    logits = 2.0 * torch.randn(VOCABULARY, generator=generator, dtype=torch.float64)
                    table[prefix] = torch.log_softmax(logits.round() if coarse else logits, dim=0)
            tables.append(table)
        return cls(tables)

    def start(self) -> list[tuple[int, tuple[int, ...] | None]]:
        return [(index, None) for index in range(len(self.tables))]

    def step(self, state, tokens):
        moved = [
            (index, () if prefix is None else (*prefix, token))
            for (index, prefix), token in zip(state, tokens.tolist(), strict=True)
        ]
        impossible = torch.full((VOCABULARY,), -math.inf, dtype=torch.float64)
        return torch.stack([self.tables[index].get(prefix, impossible) for index, prefix in moved]), moved

    @staticmethod
    def reorder(state, index):
        return [state[i] for i in index.flatten().tolist()]

    def all_scored(self, sentence: int, limit: int, penalty: float) -> list[tuple[float, tuple[int, ...]]]:
        found = []
        for size in range(limit):
            for tokens in itertools.product(range(VOCABULARY - 1), repeat=size):
                table = self.tables[sentence]
                total = sum(table[tokens[:i]][token].item() for i, token in enumerate((*tokens, EOS)))
                found.append((total / (size + 1) ** penalty, tokens))
        return sorted(found, reverse=True)


def options(beam_size: int, penalty: float = 1.0, n_best: int = 1) -> SearchOptions:
    return SearchOptions(beam_size=beam_size, length_penalty=penalty, n_best=n_best, forbidden=())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    limits=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    n_best=st.integers(1, 3),
)
def test_wide_beam_finds_the_exact_best(seed, limits, penalty, n_best):
    toy = Toy.make(seed, limits)
    found = beam_search(toy.step, toy.reorder, toy.start(), limits, options(VOCABULARY**4, penalty, n_best))
    for sentence, (hypotheses, limit) in enumerate(zip(found, limits, strict=True)):
        expected = toy.all_scored(sentence, limit, penalty)[:n_best]
        assert [h.tokens for h in hypotheses] == [tokens for _, tokens in expected]
        for hypothesis, (score, tokens) in zip(hypotheses, expected, strict=True):
            assert hypothesis.score == pytest.approx(score, rel=1e-12)
            assert hypothesis.log_probability == pytest.approx(score * (len(tokens) + 1) ** penalty, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    limits=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    beam=st.integers(1, 5),
    coarse=st.booleans(),
)
def test_sentences_do_not_influence_each_other(seed, limits, beam, coarse):
    toy = Toy.make(seed, limits, coarse)  # coarse scores are full of ties
    together = beam_search(toy.step, toy.reorder, toy.start(), limits, options(beam, n_best=beam))
    for sentence, limit in enumerate(limits):
        alone = Toy([toy.tables[sentence]])
        assert beam_search(alone.step, alone.reorder, alone.start(), [limit], options(beam, n_best=beam)) == [
            together[sentence]
        ]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.integers(1, 4))
def test_beam_of_one_is_greedy(seed, limit):
    toy = Toy.make(seed, [limit])
    tokens: tuple[int, ...] = ()
    while len(tokens) + 1 < limit:
        best = int(toy.tables[0][tokens].argmax())
        if best == EOS:
            break
        tokens = (*tokens, best)
    [[hypothesis]] = beam_search(toy.step, toy.reorder, toy.start(), [limit], options(1))
    assert hypothesis.tokens == tokens


@pytest.mark.parametrize("beam", [1, 2, 4])
@pytest.mark.parametrize("n_best", [1, 2])
def test_what_is_cut_short_does_not_end_the_search(beam, n_best):
    """A model that is sure of six tokens, while ending is the second best choice at each of them, and a poor one."""
    sure = torch.tensor([0.0, -9.0, -9.0, -3.0], dtype=torch.float64).log_softmax(0)
    end = torch.tensor([-9.0, -9.0, -9.0, 0.0], dtype=torch.float64).log_softmax(0)
    toy = Toy([{(0,) * size: end if size == 6 else sure for size in range(20)}])
    [found] = beam_search(toy.step, toy.reorder, toy.start(), [20], options(beam, n_best=min(beam, n_best)))
    assert found[0].tokens == (0,) * 6


def test_ties_go_to_the_lower_token():
    even = torch.full((VOCABULARY,), -math.log(VOCABULARY), dtype=torch.float64)
    toy = Toy([dict.fromkeys(Toy.make(0, [3]).tables[0], even)])
    [hypotheses] = beam_search(toy.step, toy.reorder, toy.start(), [3], options(VOCABULARY**3, n_best=4))
    assert [h.tokens for h in hypotheses] == [(), (0,), (1,), (2,)]


def test_forbidden_tokens_are_never_chosen():
    toy = Toy.make(5, [4])
    chosen = SearchOptions(beam_size=8, n_best=8, forbidden=(0, 2))
    [hypotheses] = beam_search(toy.step, toy.reorder, toy.start(), [4], chosen)
    assert {token for h in hypotheses for token in h.tokens} == {1}
    assert len(hypotheses) == 4


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    limits=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    beam=st.integers(1, 4),
    ngram=st.integers(1, 3),
    forbidden=st.sampled_from([(), (0,), (0, 2)]),
)
def test_options_hold_for_every_hypothesis(seed, limits, beam, ngram, forbidden):
    toy = Toy.make(seed, limits)
    chosen = SearchOptions(beam_size=beam, n_best=beam, no_repeat_ngram=ngram, forbidden=forbidden)
    found = beam_search(toy.step, toy.reorder, toy.start(), limits, chosen)
    for hypotheses, limit in zip(found, limits, strict=True):
        assert 1 <= len(hypotheses) <= beam
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
        for hypothesis in hypotheses:
            assert len(hypothesis.tokens) < limit
            assert not set(hypothesis.tokens) & set(forbidden)
            grams = [hypothesis.tokens[i : i + ngram] for i in range(len(hypothesis.tokens) - ngram + 1)]
            assert len(grams) == len(set(grams))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.integers(1, 5), ngram=st.integers(1, 2))
def test_wide_beam_finds_the_exact_best_without_repetition(seed, limit, ngram):
    def repeats(tokens: tuple[int, ...]) -> bool:
        grams = [tokens[i : i + ngram] for i in range(len(tokens) - ngram + 1)]
        return len(grams) > len(set(grams))

    toy = Toy.make(seed, [limit])
    expected = [tokens for _, tokens in toy.all_scored(0, limit, 1.0) if not repeats(tokens)][:3]
    chosen = SearchOptions(beam_size=VOCABULARY**4, n_best=3, no_repeat_ngram=ngram, forbidden=())
    [found] = beam_search(toy.step, toy.reorder, toy.start(), [limit], chosen)
    assert [h.tokens for h in found] == expected


@pytest.mark.parametrize("broken", [math.nan, -math.inf])
def test_a_network_that_overflows_finds_nothing(broken):
    def step(state, tokens):
        return torch.full((len(tokens), VOCABULARY), broken), state

    found = beam_search(step, lambda state, _: state, None, [5, 7], options(3))
    assert found == [[], []]


@pytest.mark.parametrize(
    ("wrong", "limits"),
    [
        (SearchOptions(beam_size=0), [3]),
        (SearchOptions(beam_size=2, n_best=3), [3]),
        (SearchOptions(length_penalty=-1.0), [3]),
        (SearchOptions(no_repeat_ngram=-1), [3]),
        (SearchOptions(), [0]),
    ],
)
def test_impossible_options(wrong, limits):
    toy = Toy.make(0, [1])
    with pytest.raises(SearchError, match="expected"):
        beam_search(toy.step, toy.reorder, toy.start(), limits, wrong)


def test_no_sentences():
    toy = Toy([])
    assert beam_search(toy.step, toy.reorder, [], [], options(3)) == []
