"""The search in native code against the one that can be read, over every cell, and against itself."""

import itertools
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import make_config

from nmt.config import DecodingConfig
from nmt.decoding.hypotheses import SearchOptions
from nmt.decoding.model_network import ModelNetwork
from nmt.decoding.scoring import attention, encode_sources, log_probabilities
from nmt.decoding.searching import Searcher
from nmt.model.native import NativeNetwork
from nmt.model.packing import can_pack, pack
from nmt.model.recurrent import CELLS
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.weights import parameters_of

SOURCE, TARGET = 14, 17
DECODING = DecodingConfig(max_length_factor=1.0, max_length_extra=4)


def make_model(seed: int = 1, joint: bool = False, spread: float = 1.0, **shape: object) -> Seq2Seq:
    """Drawn weights, of which none is zero or one."""
    torch.manual_seed(seed)
    model = Seq2Seq.from_config(make_config(joint, **shape), TARGET if joint else SOURCE, TARGET)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(spread).add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def native_of(model: Seq2Seq) -> NativeNetwork:
    return pack(model, parameters_of(model))


def sources_of(seed: int, count: int) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(4, SOURCE, random.integers(1, 12)).tolist() for _ in range(count)]


def limits_of(sources: list[list[int]]) -> list[int]:
    return [int(DECODING.max_length_factor * len(ids)) + DECODING.max_length_extra + 1 for ids in sources]


def options(**changes: object) -> SearchOptions:
    return SearchOptions(**{"beam_size": 3, "n_best": 2, **changes})


def search(model: Seq2Seq, sources: list[list[int]], how: SearchOptions, batch_size: int = 4, threads: int = 1):
    return native_of(model).search(sources, limits_of(sources), asdict(how), batch_size, threads)


def reference(model: Seq2Seq, sources: list[list[int]], how: SearchOptions, batch_size: int):
    return ModelNetwork(model, reference=True).search(sources, limits_of(sources), how, batch_size)


def assert_same(found, expected) -> None:
    assert [[each.tokens for each in hypotheses] for hypotheses in found] == [
        [each.tokens for each in hypotheses] for hypotheses in expected
    ]
    for ours, theirs in zip(found, expected, strict=True):
        for here, there in zip(ours, theirs, strict=True):
            assert here.log_probability == pytest.approx(there.log_probability, abs=2e-5 * (len(here.tokens) + 1))
            assert here.score == pytest.approx(there.score, abs=2e-5 * (len(here.tokens) + 1))


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("attention_kind", ["dot", "general"])
@pytest.mark.parametrize("joint", [True, False])
def test_the_same_hypotheses_as_the_reference(cell, attention_kind, joint):
    model = make_model(joint=joint, cell=cell, attention=attention_kind, encoder_layers=2, decoder_layers=3)
    sources = sources_of(2, 9)
    for how in (options(), options(beam_size=1, n_best=1), options(beam_size=5, n_best=5, length_penalty=0.3)):
        assert_same(search(model, sources, how), reference(model, sources, how, 4))


@given(
    st.integers(1, 25), st.integers(0, 3), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(0, 4), st.integers(0, 999)
)
@settings(max_examples=40, deadline=None)
def test_the_same_for_all_options(beam, behind, penalty, ngram, seed):
    """Beams wider than the vocabulary, n-grams that come once, every length penalty, untied output layers."""
    model = make_model(seed, tie_embeddings=bool(seed % 2))
    sources = sources_of(seed, 5)
    how = options(beam_size=beam, n_best=max(1, beam - behind), length_penalty=penalty, no_repeat_ngram=ngram)
    assert_same(search(model, sources, how), reference(model, sources, how, 64))


def bits(found) -> list[object]:
    return [(each.tokens, each.log_probability, each.score, each.coverage.tobytes()) for one in found for each in one]


@given(st.integers(1, 12), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_bits_depend_on_the_sentence_alone(batch_size, threads, seed):
    """Not on its neighbours, nor on the number of threads."""
    model = make_model(seed)
    sources = sources_of(seed, 11)
    alone = [search(model, [ids], options())[0] for ids in sources]
    assert bits(search(model, sources, options(), batch_size, threads)) == bits(alone)


def test_observed_are_the_uncovered_subwords():
    model = make_model(7, spread=2.0)
    sources = sources_of(7, 9)
    here = Searcher(ModelNetwork(model), DECODING).search(sources, options(), 4)
    there = reference(model, sources, options(), 4)
    assert [[each.observed for each in found] for found in here] == [
        [each.observed for each in found] for found in there
    ]
    assert any(each.observed for found in here for each in found)


def test_coverage_is_the_attention_of_the_translation():
    model = make_model(7)
    sources = sources_of(7, 6)
    found = [hypotheses[0] for hypotheses in search(model, sources, options())]
    for number, weights in attention(model, sources, [each.tokens for each in found]):
        np.testing.assert_allclose(found[number].coverage, weights[:-1].sum(axis=0), atol=1e-5)


def test_weights_that_changed_are_seen():
    model = make_model()
    searcher, sources = Searcher(ModelNetwork(model), DECODING), sources_of(4, 6)
    before = searcher.search(sources, options(), 4)
    with torch.no_grad():
        model.output_bias.data[5] += 3.0  # leaves no trace in the parameter
    after = searcher.search(sources, options(), 4)
    assert after != before
    assert_same(after, reference(model, sources, options(), 4))


def test_not_a_number_ends_the_search():
    model = make_model()
    with torch.no_grad():
        model.output_bias.fill_(float("nan"))
    assert search(model, sources_of(1, 3), options()) == [[], [], []]


def pairs_of(seed: int, count: int) -> tuple[list[list[int]], list[list[int]]]:
    """Sources and targets of which some are empty."""
    random = np.random.default_rng(seed)
    return (
        [random.integers(4, SOURCE, random.integers(0, 12)).tolist() for _ in range(count)],
        [random.integers(4, TARGET, random.integers(0, 12)).tolist() for _ in range(count)],
    )


def score(native: NativeNetwork, sources, targets, batch_size: int = 4, threads: int = 1):
    return native.score(sources, targets, (2, 3), batch_size, threads, attention=True)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("attention_kind", ["dot", "general"])
def test_forced_decoding_is_that_of_float64(cell, attention_kind):
    model = make_model(3, joint=True, cell=cell, attention=attention_kind, encoder_layers=2, decoder_layers=3)
    sources, targets = pairs_of(3, 12)
    found = score(native_of(model), sources, targets)
    exact = model.double()
    expected = log_probabilities(exact, sources, targets)
    assert [sum(each.log_probabilities) for each in found] == pytest.approx(expected, rel=1e-6, abs=1e-5)
    for number, weights in attention(exact, sources, targets):
        np.testing.assert_allclose(found[number].attention, weights, rtol=0, atol=1e-5)
    for ids, each in zip(targets, found, strict=True):  # token by token: what a longer prefix adds
        assert len(each.log_probabilities) == len(ids) + 1
    number = max(range(len(targets)), key=lambda index: len(targets[index]))
    source, target = sources[number], targets[number]
    scores = forced_step_by_step(exact, source, target)
    assert list(found[number].log_probabilities) == pytest.approx(scores, abs=1e-5)


def forced_step_by_step(model: Seq2Seq, source: list[int], target: list[int]) -> list[float]:
    with torch.inference_mode():
        state = model.start(encode_sources(model, [source]))
        scores = []
        for before, here in itertools.pairwise([2, *target, 3]):
            log_probs, state = model.step(state, torch.tensor([before]))
            scores.append(log_probs[0, here].item())
    return scores


@given(st.integers(1, 12), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_bits_of_forced_decoding_depend_on_the_pair_alone(batch_size, threads, seed):
    model = make_model(seed)
    sources, targets = pairs_of(seed, 11)
    native = native_of(model)
    alone = [score(native, [source], [target])[0] for source, target in zip(sources, targets, strict=True)]
    together = score(native, sources, targets, batch_size, threads)
    for here, there in zip(together, alone, strict=True):
        assert here.log_probabilities.tobytes() == there.log_probabilities.tobytes()
        assert here.attention.tobytes() == there.attention.tobytes()


def test_forced_decoding_gives_what_the_search_found():
    """The same log-probability of the same tokens, to the last bit but for the order of sums."""
    model = make_model(8, spread=2.0)
    sources = sources_of(8, 9)
    found = [hypotheses[0] for hypotheses in search(model, sources, options())]
    forced = native_of(model).score(sources, [each.tokens for each in found], (2, 3), 4, 2)
    assert [each.log_probability for each in found] == [sum(each.log_probabilities) for each in forced]
    assert all(each.attention is None for each in forced)


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [
        ([[5], [SOURCE]], [[5], [5]], "pair 1: source: id: expected 0 to 13, got 14"),
        ([[5]], [[-1]], "pair 0: target: id"),
        ([[5]], [], "as many targets as sources"),
    ],
)
def test_wrong_pairs(sources, targets, message):
    with pytest.raises(ValueError, match=message):
        score(native_of(make_model()), sources, targets)


def test_other_models_are_left_to_the_reference():
    assert can_pack(make_model())
    assert not can_pack(make_model().double())
    model = make_model()
    model.decoder.layers[0] = torch.nn.LSTM(6, 8)
    assert not can_pack(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beam_size": 0}, "beam_size: expected 1"),
        ({"n_best": 4}, "n_best: expected 1 to 3, got 4"),
        ({"length_penalty": float("nan")}, "length_penalty"),
        ({"eos": TARGET}, "eos: expected 0 to 16, got 17"),
        ({"forbidden": (0, 99)}, "forbidden: expected 0 to 16, got 99"),
    ],
)
def test_wrong_options(changes, message):
    with pytest.raises(ValueError, match=message):
        search(make_model(), [[5]], options(**changes))


@pytest.mark.parametrize("ids", [[], [SOURCE], [-1]])
def test_wrong_sources(ids):
    with pytest.raises(ValueError, match="sentence 1"):
        search(make_model(), [[5], ids], options())


def test_progress_and_its_errors():
    model, told = make_model(), []
    native = native_of(model)
    how = asdict(options(beam_size=2, n_best=1))
    sources = sources_of(3, 30)
    native.search(sources, limits_of(sources), how, 4, 1, told.append)
    assert sum(told) == 30

    def fail(count: int) -> None:
        raise KeyError(count)

    with pytest.raises(KeyError):
        native.search(sources, limits_of(sources), how, 4, 2, fail)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_int8_is_near_the_weights_that_it_was_made_of(cell):
    """Of what it finds it thinks about what the network thinks, and it finds it whatever is in work beside it."""
    model = make_model(5, cell=cell, hidden_size=24, embedding_size=20, encoder_layers=2)
    sources = sources_of(5, 12)
    native = pack(model, parameters_of(model), "int8")
    how = asdict(options(n_best=1))
    found = [hypotheses[0] for hypotheses in native.search(sources, limits_of(sources), how, 5, 2)]
    expected = log_probabilities(model, sources, [each.tokens for each in found])
    assert [each.log_probability for each in found] == pytest.approx(expected, rel=0.03, abs=0.02)
    alone = [native.search([ids], limits_of([ids]), how, 1, 1)[0] for ids in sources]
    assert bits([[each] for each in found]) == bits(alone)
