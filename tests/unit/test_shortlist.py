"""Which words are translated by which, as a file of a model folder, and searches among these words alone."""

import tracemalloc
from collections import Counter, defaultdict
from dataclasses import asdict

import numpy as np
import pytest
import torch
from small import make_config

from nmt.data import lexicon
from nmt.data.dataset import PreparedSplit, Sentences
from nmt.data.lexicon import estimate_lexicon
from nmt.decoding.hypotheses import Sampling, SearchOptions
from nmt.decoding.model_network import ModelNetwork
from nmt.decoding.native import PackedNetwork
from nmt.model.native import PRECISIONS, NativeNetwork, shape_numbers
from nmt.model.packing import pack
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.card import ModelCard
from nmt.model_folder.digests import check_digests
from nmt.model_folder.files import ModelError
from nmt.model_folder.shortlist import SHORTLIST_FILE, has_shortlist, read_shortlist, write_shortlist
from nmt.model_folder.weights import parameters_of, save_model
from rnn_engine import native
from rnn_engine._core import Translation

SOURCE, TARGET, EOS = 30, 210, 3


def side(sentences) -> Sentences:
    ends = np.cumsum([0, *map(len, sentences)]).astype(np.int64)
    return Sentences(np.array([each for one in sentences for each in one], np.uint16), ends)


def corpus(count: int, seed: int = 0) -> list[tuple[list[int], list[int]]]:
    """Source word s becomes 2 s or 2 s + 1, in any order; 5 stands in every translation."""
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        source = random.integers(4, SOURCE, random.integers(1, 9)).tolist()
        target = [2 * word + int(random.random() < 0.2) for word in source] + [5]
        pairs.append((source, random.permutation(target).tolist()))
    return pairs


def split_of(pairs) -> PreparedSplit:
    return PreparedSplit(side([source for source, _ in pairs]), side([target for _, target in pairs]))


def candidates_of(found, source: int) -> list[int]:
    return found.candidates[found.first[source] : found.first[source + 1]].tolist()


def model_1(pairs, iterations: int) -> dict[int, list[tuple[float, int]]]:
    """The same estimate, word by word; SOURCE is no word."""
    table = None
    for _ in range(iterations):
        counts: dict[int, Counter[int]] = defaultdict(Counter)
        for source, target in pairs:
            words = [*source, SOURCE]
            for token in target:
                weights = [1.0 if table is None else table[word][token] for word in words]
                for word, weight in zip(words, weights, strict=True):
                    counts[word][token] += weight / sum(weights)
        table = {
            word: Counter({token: count / sum(row.values()) for token, count in row.items()})
            for word, row in counts.items()
        }
    return {word: sorted((-value, token) for token, value in row.items()) for word, row in table.items()}


def test_the_lexicon_is_that_of_model_1():
    pairs = corpus(60)
    found = estimate_lexicon(split_of(pairs), (SOURCE, TARGET), 4)
    for word, expected in model_1(pairs, 3).items():
        if word < SOURCE:
            assert candidates_of(found, word) == [token for value, token in expected[:4] if -value >= 1e-4]
    assert candidates_of(found, 0) == []
    assert found.frequent[0] == 5
    assert found.frequent.tolist() == sorted(
        found.frequent, key=lambda token: (-sum(target.count(token) for _, target in pairs), token)
    )


@pytest.mark.parametrize(
    ("limit", "value"), [("_CHUNK", 100), ("_ENTRIES", 1000), ("_PAIRS", 12_000)], ids=["chunks", "entries", "pairs"]
)
def test_words_find_their_translations_with_less_memory(monkeypatch, limit, value):
    pairs = corpus(600)
    whole = estimate_lexicon(split_of(pairs), (SOURCE, TARGET))
    monkeypatch.setattr(lexicon, limit, value)
    found = estimate_lexicon(split_of(pairs), (SOURCE, TARGET))
    for word in range(4, SOURCE):
        assert candidates_of(found, word)[0] == 2 * word
        assert 2 * word + 1 in candidates_of(found, word)[:4]
    if limit == "_CHUNK":
        np.testing.assert_array_equal(found.candidates, whole.candidates)
    else:
        assert found.candidates.size < whole.candidates.size


def test_memory_does_not_grow_with_the_corpus():
    """Or it would be the most that `nmt train` takes, at its end, and more than `nmt plan` says."""
    words = list(range(4, 100))
    split = split_of([(words, words)] * 400)  # 3,700,000 pairs of words
    tracemalloc.start()
    estimate_lexicon(split, (100, 100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6


def test_sentences_of_nothing_have_no_lexicon():
    for pairs in ([], [([], [])], [([5], [])], [([], [7])]):
        found = estimate_lexicon(split_of(pairs), (SOURCE, TARGET))
        assert found.candidates.size == 0
        assert found.first.tolist() == [0] * (SOURCE + 1)


def make_model() -> Seq2Seq:
    torch.manual_seed(1)
    model = Seq2Seq.from_config(make_config(joint=False, embedding_size=7), SOURCE, TARGET)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0).add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def lists(most: int = 12) -> tuple[bytes, bytes, bytes]:
    """Lists of all lengths up to `most`, of words here and there."""
    random = np.random.default_rng(3)
    lengths = random.integers(0, most + 1, SOURCE)
    first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    candidates = np.concatenate([random.permutation(TARGET)[:length] for length in lengths]).astype(np.int32)
    return first.tobytes(), candidates.tobytes(), random.permutation(TARGET)[:10].astype(np.int32).tobytes()


EVERYTHING = (
    np.zeros(SOURCE + 1, np.int64).tobytes(),
    b"",
    np.random.default_rng(5).permutation(TARGET).astype(np.int32).tobytes(),
)


def sources_of(count: int) -> list[list[int]]:
    random = np.random.default_rng(2)
    return [random.integers(4, SOURCE, random.integers(1, 9)).tolist() for _ in range(count)]


def network(precision: str, these: tuple[bytes, bytes, bytes]) -> NativeNetwork:
    model = make_model()
    found = pack(model, parameters_of(model), precision)
    found.set_shortlist(*these)
    return found


def search(found: NativeNetwork, sources, shortlist: int, batch_size=4, threads=1, prefixes=None, **options):
    how = {**asdict(SearchOptions(**{"beam_size": 3, "n_best": 2, **options})), "shortlist": shortlist}
    limits = [len(ids) + 5 for ids in sources]
    return found.search(sources, limits, how, batch_size, threads, None, prefixes)


def bits(found) -> list[object]:
    return [(each.tokens, each.log_probability, each.score, each.coverage.tobytes()) for one in found for each in one]


@pytest.mark.parametrize("precision", sorted(PRECISIONS))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"no_repeat_ngram": 1, "min_length": 3},
        {"beam_size": 30},
        {"beam_size": 2, "sampling": Sampling(0.7, 50, 0.9, 8)},
    ],
)
def test_a_list_of_all_words_changes_no_bit(precision, options):
    found, sources = network(precision, EVERYTHING), sources_of(7)
    assert bits(search(found, sources, TARGET, **options)) == bits(search(found, sources, 0, **options))


def words_for(these: tuple[bytes, bytes, bytes], source: list[int], most: int) -> set[int]:
    first, candidates, frequent = (
        np.frombuffer(each, kind) for each, kind in zip(these, (np.int64, np.int32, np.int32), strict=True)
    )
    words = {EOS, *frequent[:most].tolist()}
    for word in source:
        words |= set(candidates[first[word] : first[word + 1]][:most].tolist())
    return words


@pytest.mark.parametrize("most", [1, 4, 50])
def test_the_search_is_the_reference_among_these_words(most):
    """Whose network is sure that no other word comes."""
    found = network("float32", lists())
    for source in sources_of(6):
        words = words_for(lists(), source, most)
        model = make_model()
        with torch.no_grad():
            model.output_bias[[word for word in range(TARGET) if word not in words]] = -torch.inf
        how = SearchOptions(beam_size=2, n_best=2)
        [expected] = ModelNetwork(model, reference=True).search([source], [len(source) + 5], how, 1)
        [here] = search(found, [source], most, beam_size=2)
        expected = [each for each in expected if each.log_probability > -np.inf]
        assert [each.tokens for each in here] == [each.tokens for each in expected]
        for ours, theirs in zip(here, expected, strict=True):
            assert ours.log_probability == pytest.approx(theirs.log_probability, abs=1e-4)


@pytest.mark.parametrize("precision", sorted(PRECISIONS))
def test_bits_depend_on_the_sentence_alone(precision):
    """Not on its neighbours, the number of threads or the instruction set."""
    found, sources = network(precision, lists()), sources_of(11)
    alone = [search(found, [ids], 5)[0] for ids in sources]
    for batch_size, threads in ((1, 1), (3, 2), (11, 1), (64, 3)):
        assert bits(search(found, sources, 5, batch_size, threads)) == bits(alone)
    model = make_model()
    tensors = {name: value.detach().numpy() for name, value in parameters_of(model).items()}
    for isa in native.ISAS:
        try:
            other = Translation(tensors, shape_numbers(found.shapes[0], precision), isa)
        except ValueError:  # of another machine
            continue
        found._native = other
        found.set_shortlist(*lists())
        assert bits(search(found, sources, 5)) == bits(alone)


def test_prefixes_may_be_of_other_words():
    found, source = network("int8", lists()), sources_of(1)[0]
    other = next(word for word in range(4, TARGET) if word not in words_for(lists(), source, 3))
    for each in search(found, [source], 3, prefixes=[[other]])[0]:
        assert each.tokens[0] == other


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda first, words, frequent: (first[8:], words, frequent), "expected lists for 30 subwords, got 29"),
        (lambda first, words, frequent: (first, words[4:], frequent), "expected lists that begin at 0"),
        (lambda first, words, frequent: (first[::-1], words, frequent), "expected lists that begin at 0"),
        (lambda first, words, frequent: (first, b"\xff" * len(words), frequent), "expected ids of 0 to 209, got -1"),
        (lambda first, words, frequent: (first, words, b"\xff\x00\x00\x00"), "frequent: expected ids .*, got 255"),
        (lambda first, words, frequent: (b"", words, frequent), "got -1"),
    ],
)
def test_lists_that_do_not_fit_are_refused(harm, message):
    model = make_model()
    with pytest.raises(ValueError, match=message):
        pack(model, parameters_of(model)).set_shortlist(*harm(*lists()))


def test_a_network_without_lists_searches_among_all_words_alone():
    model = make_model()
    with pytest.raises(ValueError, match="shortlist: the model has none"):
        search(pack(model, parameters_of(model)), sources_of(1), 5)


def test_an_ensemble_searches_among_the_words_of_all():
    found, other = network("float32", lists(8)), network("float32", lists(12))
    both = NativeNetwork.join([found, other])
    for source in sources_of(6):
        joint = words_for(lists(8), source, 4) | words_for(lists(12), source, 4)
        assert joint != words_for(lists(8), source, 4)
        listed = np.array(sorted(joint), np.int32)
        one = network("float32", (EVERYTHING[0], b"", listed.tobytes()))
        assert bits(search(NativeNetwork.join([one, one]), [source], TARGET)) == bits(search(both, [source], 4))


def test_an_ensemble_has_a_shortlist_if_all_its_networks_have_one():
    model = make_model()
    found, without = network("int8", lists()), pack(model, parameters_of(model), "int8")
    both = NativeNetwork.join([found, without])
    with pytest.raises(ValueError, match="shortlist: the model has none"):
        search(both, sources_of(1), 5)
    both.set_shortlist(*lists())
    expected = bits(search(NativeNetwork.join([found, found]), sources_of(5), 5))
    assert bits(search(both, sources_of(5), 5)) == expected
    with pytest.raises(ValueError, match="shortlist: the model has none"):
        search(without, sources_of(1), 5)  # which stays as it is


@pytest.fixture
def folder(tmp_path):
    """A model folder with a shortlist."""
    model = make_model()
    names = dict.fromkeys(("source.spm", "target.spm"), b"subwords")
    save_model(tmp_path, make_config(False, embedding_size=7), model, model.vocabulary_sizes, ModelCard(), names)
    assert not has_shortlist(tmp_path)
    write_shortlist(tmp_path, asdict(estimate_lexicon(split_of(corpus(50)), (SOURCE, TARGET))), (SOURCE, TARGET))
    return tmp_path


def test_the_file_is_one_of_the_model(folder):
    assert check_digests(folder)
    assert has_shortlist(folder)
    _, found = PackedNetwork.load(folder, 1, "int8", 3)
    shortlist = read_shortlist(folder, (SOURCE, TARGET))
    these = shortlist.first, shortlist.candidates, shortlist.frequent
    for source in sources_of(5):
        [hypotheses] = found.search([source], [20], SearchOptions(), 64)
        assert {*hypotheses[0].tokens} <= words_for(these, source, 3)


def damaged(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def of_other_sizes(path):
    lists = asdict(estimate_lexicon(split_of(corpus(9)), (SOURCE, TARGET)))
    write_shortlist(path.parent, lists, (SOURCE, TARGET + 1))


def of_other_words(path):
    lists = asdict(estimate_lexicon(split_of(corpus(9)), (SOURCE, TARGET)))
    write_shortlist(path.parent, {**lists, "frequent": lists["frequent"] + TARGET}, (SOURCE, TARGET))


def of_other_lists(path):
    lists = asdict(estimate_lexicon(split_of(corpus(9)), (SOURCE, TARGET)))
    write_shortlist(path.parent, {**lists, "first": lists["frequent"]}, (SOURCE, TARGET))


def unlisted(path):
    digests = path.parent / "SHA256SUMS"
    digests.write_text("".join(line for line in digests.open() if SHORTLIST_FILE not in line))


def removed(path):
    path.unlink()
    unlisted(path)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damaged, "damaged, or changed since the model was written"),
        (lambda path: path.write_bytes(b""), "damaged, or changed"),
        (lambda path: path.unlink(), "missing, but SHA256SUMS lists it"),
        (removed, "missing; `nmt shortlist` makes it"),
        (unlisted, "not among the files that the model lists"),
        (of_other_sizes, "expected lists for vocabularies of 30 and 210, got 30 and 211"),
        (of_other_words, "damaged: shortlist: frequent: expected ids of 0 to 209"),
        (of_other_lists, "damaged: expected the lists first, candidates, frequent"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(folder, harm, message):
    harm(folder / SHORTLIST_FILE)
    with pytest.raises(ModelError, match=message) as caught:
        PackedNetwork.load(folder, 1, shortlist=3)
    assert "\n" not in str(caught.value)


def test_who_wants_no_shortlist_needs_none(folder):
    removed(folder / SHORTLIST_FILE)
    PackedNetwork.load(folder, 1)
