"""The search in native code against the one that can be read, over every cell, and against itself."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small import assert_same, make_config

from nmt.config import DecodingConfig
from nmt.decoding.hypotheses import Sampling, SearchError, SearchOptions
from nmt.decoding.model_network import ModelNetwork
from nmt.decoding.scoring import attention, encode_sources, log_probabilities
from nmt.decoding.searching import Searcher
from nmt.model.native import PRECISIONS, NativeNetwork
from nmt.model.packing import can_pack, pack
from nmt.model.recurrent import CELLS
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.weights import parameters_of

SOURCE, TARGET = 14, 17
ATTENTION = [
    {"attention": "dot", "attention_heads": 2, "context": "upper"},
    {"attention": "general", "context": "upper"},
    {"attention": "additive", "attention_heads": 4},
    {"attention": "dot", "attention_heads": 2, "input_feeding": True},
    {"attention": "dot", "attention_heads": 2, "attend_embeddings": True},
    {"attention": "general", "context": "upper", "attend_embeddings": True},
]
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


def search(model: Seq2Seq, sources, how: SearchOptions, batch_size: int = 4, threads: int = 1, prefixes=None):
    return native_of(model).search(sources, limits_of(sources), asdict(how), batch_size, threads, None, prefixes)


def reference(model: Seq2Seq, sources: list[list[int]], how: SearchOptions, batch_size: int, prefixes=None):
    network = ModelNetwork(model, reference=True)
    return network.search(sources, limits_of(sources), how, batch_size, prefixes=prefixes)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("attention_kind", ATTENTION)
@pytest.mark.parametrize("joint", [True, False])
def test_the_same_hypotheses_as_the_reference(cell, attention_kind, joint):
    model = make_model(joint=joint, cell=cell, **attention_kind, encoder_layers=2, decoder_layers=3)
    sources = sources_of(2, 9)
    for how in (options(), options(beam_size=1, n_best=1), options(beam_size=5, n_best=5, length_penalty=0.3)):
        assert_same(search(model, sources, how), reference(model, sources, how, 4))


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


@pytest.mark.parametrize("precision", sorted(PRECISIONS))
def test_bits_of_one_sentence_do_not_depend_on_who_shares_its_products(precision):
    """One sentence is what threads share products for, where these are large; callers at once share nobody's."""
    model = make_model(hidden_size=192, embedding_size=192, encoder_layers=2)
    native = pack(model, parameters_of(model), precision)
    sources, limits = sources_of(2, 1), [6]
    how = asdict(options(attention=True))
    alone = native.search(sources, limits, how, 1, 1)
    scores = score(native, sources, [[5, 6]])
    with ThreadPoolExecutor(3) as callers:
        together = [callers.submit(native.search, sources, limits, how, 1, 4) for _ in range(12)]
        assert all(bits(each.result()) == bits(alone) for each in together)
    shared = score(native, sources, [[5, 6]], threads=4)
    assert bytes(shared[0].log_probabilities) == bytes(scores[0].log_probabilities)


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


def test_a_beam_from_a_prefix_finds_what_enumeration_finds():
    """Of all translations of up to three tokens after a prefix, with a beam as wide as there are."""
    model = make_model(4, spread=2.0)
    source, prefix = [5, 9, 7], [6, 1]
    how = options(beam_size=400, n_best=5, min_length=3, length_penalty=0.7)
    found = native_of(model).search([source], [6], asdict(how), 1, 1, None, [prefix])[0]
    words = range(4, TARGET)  # what is not forbidden, but for eos
    endings = [list(each) for count in range(4) for each in itertools.product(words, repeat=count)]
    targets = [[*prefix, *ending] for ending in endings if len(prefix) + len(ending) >= 3]
    forced = native_of(model).score([source] * len(targets), targets, (2, 3), 64, 1)
    scores = [sum(each.log_probabilities) / len(each.log_probabilities) ** 0.7 for each in forced]
    best = sorted(range(len(targets)), key=lambda number: -scores[number])[:5]
    assert [list(each.tokens) for each in found] == [targets[number] for number in best]
    assert [each.score for each in found] == pytest.approx([scores[number] for number in best], rel=1e-12)


def test_the_attention_of_a_search_is_that_of_forced_decoding():
    model = make_model(7, spread=2.0)
    sources = sources_of(7, 9)
    found = search(model, sources, options(attention=True))
    pairs = [(source, each) for source, hypotheses in zip(sources, found, strict=True) for each in hypotheses]
    forced = score(native_of(model), [source for source, _ in pairs], [each.tokens for _, each in pairs])
    assert [each.attention.tobytes() for _, each in pairs] == [each.attention.tobytes() for each in forced]
    expected = reference(model, sources, options(attention=True), 4)
    for (_, here), there in zip(pairs, itertools.chain.from_iterable(expected), strict=True):
        np.testing.assert_allclose(here.attention, there.attention, rtol=0, atol=2e-5)
    assert all(each.attention is None for each in search(model, sources, options())[0])


def drawing(count: int, **changes: object) -> SearchOptions:
    return options(beam_size=count, n_best=count, sampling=Sampling(**changes))


@given(st.integers(1, 12), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_what_is_drawn_depends_on_the_sentence_and_the_seed_alone(batch_size, threads, seed):
    model = make_model(seed, spread=0.5)
    sources = sources_of(seed, 11)
    how = drawing(3, temperature=0.8, top_p=0.9, seed=seed)
    alone = [search(model, [ids], how)[0] for ids in sources]
    assert bits(search(model, sources, how, batch_size, threads)) == bits(alone)
    one = drawing(1, temperature=0.8, top_p=0.9, seed=seed)
    assert bits([each[:1] for each in alone]) == bits(search(model, sources, one, batch_size, threads))
    assert bits(search(model, sources, drawing(3, seed=seed + 1))) != bits(
        search(model, sources, drawing(3, seed=seed))
    )


@pytest.mark.parametrize("sampling", [{"top_k": 1}, {"top_p": 0.0}, {"top_p": 1e-9}, {"temperature": 0.001}])
def test_drawing_from_the_best_alone_is_greedy(sampling):
    model = make_model(3, spread=2.0)
    sources = sources_of(3, 9)
    greedy = search(model, sources, options(beam_size=1, n_best=1))
    drawn = search(model, sources, drawing(2, seed=5, **sampling))
    assert [[each.tokens for each in found] for found in drawn] == [[found[0].tokens] * 2 for found in greedy]
    assert [found[1].log_probability for found in drawn] == [found[0].log_probability for found in greedy]


def expected_shares(
    log_probs: NDArray[np.float64], temperature: float, top_k: int, top_p: float
) -> NDArray[np.float64]:
    """Probabilities to draw each token with, as the documentation says."""
    shares = np.exp(log_probs / temperature)
    order = np.argsort(-shares, kind="stable")
    kept = order[: top_k or len(order)]
    sums = np.cumsum(shares[kept])
    kept = kept[: int(np.searchsorted(sums, top_p * sums[-1])) + 1]
    chosen = np.zeros_like(shares)
    chosen[kept] = shares[kept] / shares[kept].sum()
    return chosen


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (0.5, 0, 1.0), (2.0, 6, 1.0), (1.0, 0, 0.7), (1.5, 9, 0.6)]
)
def test_tokens_are_drawn_as_often_as_they_are_probable(temperature, top_k, top_p):
    model = make_model(6, spread=1.5)
    source, count = [5, 9, 7], 4000
    sampling = Sampling(temperature, top_k, top_p, seed=1)
    how = options(beam_size=count, n_best=count, sampling=sampling, min_length=1)
    found = native_of(model).search([source], [2], asdict(how), 1, 1)[0]  # one token, then eos
    forced = native_of(model).score([source] * (TARGET - 4), [[token] for token in range(4, TARGET)], (2, 3), 16, 1)
    log_probs = np.array([each.log_probabilities[0] for each in forced])
    shares = expected_shares(log_probs, temperature, top_k, top_p)
    counts = np.bincount([each.tokens[0] - 4 for each in found], minlength=TARGET - 4)
    assert counts.sum() == count
    assert (counts[shares == 0] == 0).all()
    spread = np.sqrt(count * shares * (1 - shares))
    assert (np.abs(counts - count * shares) <= 4.5 * spread).all()
    assert found[0].log_probability == sum(forced[found[0].tokens[0] - 4].log_probabilities)  # the model's own


def test_an_ensemble_searches_by_the_mean_of_its_networks():
    models = [
        make_model(1, cell="lstm", hidden_size=8),
        make_model(2, cell="mi_lstm", hidden_size=12, decoder_layers=3),
        make_model(3, cell="layer_norm_lstm", embedding_size=10, attention="general"),
    ]
    ensemble = NativeNetwork.join([native_of(model) for model in models])
    sources = sources_of(1, 9)
    how = options(no_repeat_ngram=2, min_length=2)
    found = ensemble.search(sources, limits_of(sources), asdict(how), 4, 2)
    plain = ModelNetwork(models[0], reference=True, others=models[1:])
    assert_same(found, plain.search(sources, limits_of(sources), how, 4))
    assert found != search(models[0], sources, how)
    alone = [ensemble.search([ids], limits_of([ids]), asdict(how), 1, 1)[0] for ids in sources]
    assert bits(found) == bits(alone)


def test_an_ensemble_scores_and_looks_as_its_networks_on_average():
    networks = [native_of(make_model(seed)) for seed in range(3)]
    sources, targets = pairs_of(4, 9)
    found = score(NativeNetwork.join(networks), sources, targets)
    each = [score(network, sources, targets) for network in networks]
    for number, here in enumerate(found):
        parts = [of[number] for of in each]
        mean = np.mean([part.log_probabilities for part in parts], axis=0)
        np.testing.assert_allclose(here.log_probabilities, mean, rtol=0, atol=1e-5)
        mean = np.mean([np.asarray(part.attention) for part in parts], axis=0)
        np.testing.assert_allclose(here.attention, mean, rtol=0, atol=1e-6)


def test_an_ensemble_of_one_is_the_network():
    native = native_of(make_model(9))
    sources = sources_of(9, 5)
    asked = (sources, limits_of(sources), asdict(options()), 4, 1)
    assert bits(NativeNetwork.join([native]).search(*asked)) == bits(native.search(*asked))


def test_no_ensemble_of_other_vocabularies():
    joint = make_model(1, joint=True)
    with pytest.raises(ValueError, match="model 1: source_vocabulary: expected 14 to 14, got 17"):
        NativeNetwork.join([native_of(make_model()), native_of(joint)])
    with pytest.raises(ValueError, match="count: expected 1"):
        NativeNetwork.join([])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature: expected a number from 0.01 to 100.0, got 0.0"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": float("nan")}, "top_p"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_sampling(changes, message):
    with pytest.raises(SearchError, match=message):
        drawing(2, **changes).check()


def test_a_beam_is_as_wide_as_there_are_drawn():
    with pytest.raises(SearchError, match="beam_size: expected n_best"):
        options(beam_size=3, n_best=2, sampling=Sampling()).check()


@pytest.mark.parametrize(
    ("prefix", "message"), [([3], "eos"), ([TARGET], "prefix: id: expected 0 to 16"), ([5] * 6, "prefix: length")]
)
def test_wrong_prefixes(prefix, message):
    with pytest.raises(ValueError, match=message):
        search(make_model(), [[5]], options(), prefixes=[prefix])
    if prefix != [TARGET]:
        with pytest.raises(SearchError, match="prefix"):
            reference(make_model(), [[5]], options(), 4, [prefix])


def pairs_of(seed: int, count: int) -> tuple[list[list[int]], list[list[int]]]:
    """Sources and targets of which some are empty."""
    random = np.random.default_rng(seed)
    return (
        [random.integers(4, SOURCE, random.integers(0, 12)).tolist() for _ in range(count)],
        [random.integers(4, TARGET, random.integers(0, 12)).tolist() for _ in range(count)],
    )


def score(native: NativeNetwork, sources, targets, batch_size: int = 4, threads: int = 1):
    return native.score(sources, targets, (2, 3), batch_size, threads, attention=True)


@pytest.mark.parametrize("cell", ["lstm", "layer_norm_mi_lstm", "gru"])
def test_zoneout_is_its_expectation(cell):
    model = make_model(3, cell=cell, zoneout=0.3, encoder_layers=2, decoder_layers=2)
    plain = make_model(3, cell=cell, encoder_layers=2, decoder_layers=2)
    sources, targets = pairs_of(3, 8)
    found, without = (
        [sum(pair.log_probabilities) for pair in score(native_of(each), sources, targets)] for each in (model, plain)
    )
    assert found == pytest.approx(log_probabilities(model.double(), sources, targets), rel=1e-6, abs=1e-5)
    assert found != pytest.approx(without, rel=1e-3)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("attention_kind", ATTENTION)
def test_forced_decoding_is_that_of_float64(cell, attention_kind):
    model = make_model(3, joint=True, cell=cell, **attention_kind, encoder_layers=2, decoder_layers=3)
    sources, targets = pairs_of(3, 12)
    found = score(native_of(model), sources, targets)
    looks, rounded = dict(attention(model, sources, targets)), log_probabilities(model, sources, targets)
    exact = model.double()
    expected = log_probabilities(exact, sources, targets)
    for each, there, torch_there in zip(found, expected, rounded, strict=True):  # as near as torch's float32 comes
        near = 1e-5 + 1e-6 * abs(there) + 3 * abs(torch_there - there)
        assert sum(each.log_probabilities) == pytest.approx(there, rel=0, abs=near)
    for number, weights in attention(exact, sources, targets):
        near = 1e-5 + 3 * abs(looks[number] - weights).max()
        np.testing.assert_allclose(found[number].attention, weights, rtol=0, atol=near)
        np.testing.assert_allclose(found[number].attention, looks[number], rtol=0, atol=1e-5)
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
    model.decoder.layers[0] = torch.nn.LSTM(6, 8, 2)
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


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_bfloat16_is_float32_with_matrices_that_are_rounded(cell):
    """To the bit, whatever is left over of pairs and panels."""
    model = make_model(6, cell=cell, hidden_size=23, embedding_size=21, encoder_layers=2)
    sources = sources_of(6, 9)
    how = asdict(options(attention=True))
    found = pack(model, parameters_of(model), "bfloat16").search(sources, limits_of(sources), how, 4, 2)
    assert bits(found) != bits(native_of(model).search(sources, limits_of(sources), how, 4, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(parameter.bfloat16())
    assert bits(found) == bits(native_of(model).search(sources, limits_of(sources), how, 4, 2))
