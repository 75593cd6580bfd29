"""The network: shapes, masks, tying, and the step of a search against the run over a whole target."""

import os

import pytest
import torch
from small import make_config

from nmt.model.attention import Attention
from nmt.model.device import use_threads
from nmt.model.recurrent import CELLS, recurrent, run
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.weights import parameters_of
from nmt.training.trainer import build_model


def make_model(**settings: object) -> Seq2Seq:
    torch.manual_seed(0)
    return Seq2Seq.from_config(make_config(**settings), 11, 11).eval()


ATTENTION = [
    {"attention": "dot"},
    {"attention": "dot", "attention_heads": 2, "context": "upper"},
    {"attention": "general", "context": "upper"},
    {"attention": "additive", "attention_heads": 4},
    {"attention": "general", "input_feeding": True},
    {"attention": "additive", "attention_heads": 2, "input_feeding": True},
    {"attention": "dot", "attention_heads": 2, "attend_embeddings": True},
    {"attention": "additive", "context": "upper", "attend_embeddings": True},
    {"attention": "dot", "input_feeding": True, "attend_embeddings": True},
]
SOURCE = torch.tensor([[5, 6, 7], [8, 9, 3], [4, 3, 0], [3, 0, 0]])  # [S, B]
LENGTHS = torch.tensor([4, 3, 2])
TARGET = torch.tensor([[2, 2, 2], [5, 7, 9], [10, 4, 0]])  # [T, B]


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
@torch.inference_mode()
def test_steps_equal_the_whole(cell, layers, attention):
    model = make_model(cell=cell, encoder_layers=layers, decoder_layers=layers, **attention)
    encoded = model.encode(SOURCE, LENGTHS)
    whole = torch.log_softmax(model.logits(model.decode(encoded, TARGET)), dim=-1)  # [T, B, V]
    state = model.start(encoded)
    for time, tokens in enumerate(TARGET):
        log_probs, state = model.step(state, tokens)
        torch.testing.assert_close(log_probs, whole[time])
    torch.testing.assert_close(state.attention.sum(dim=1), torch.ones(3))
    assert (state.attention[1, 3:] == 0).all()
    assert (state.attention[2, 2:] == 0).all()


@pytest.mark.parametrize("cell", CELLS)
@torch.inference_mode()
def test_the_decoders_stack_is_its_layers_added_one_by_one(cell):
    """To the bit, by the parameters' names in files, which hold each layer as a stack of its own."""
    model = make_model(cell=cell, decoder_layers=3)
    state, on_disk = model.start(model.encode(SOURCE, LENGTHS)), parameters_of(model)
    outputs, last = run(model.decoder.layers[0], model.target_embedding(TARGET), state.layers)
    expected, ends = model.target_embedding(TARGET), []
    for number in range(3):
        layer = recurrent(cell, 8 if number else 6, 8)
        for name, parameter in layer.named_parameters():
            parameter.copy_(on_disk[f"decoder.layers.{number}.{name}"])
        output, end = run(layer, expected, tuple(each[number : number + 1] for each in state.layers))
        expected = expected + output if number else output
        ends.append(end)
    assert torch.equal(outputs, expected)
    for found, parts in zip(last, zip(*ends, strict=True), strict=True):
        assert torch.equal(found, torch.cat(parts))


@torch.inference_mode()
def test_padding_changes_nothing():
    model = make_model()
    together = model(SOURCE, LENGTHS, TARGET)
    for index, length in enumerate(LENGTHS.tolist()):
        alone = model(SOURCE[:length, index : index + 1], LENGTHS[index : index + 1], TARGET[:, index : index + 1])
        torch.testing.assert_close(together[:, index : index + 1], alone)


@torch.inference_mode()
def test_reorder_follows_hypotheses_and_drops_sentences():
    model = make_model()
    state = model.reorder(model.start(model.encode(SOURCE, LENGTHS)), torch.tensor([[0, 0], [1, 1], [2, 2]]))
    tokens = torch.tensor([4, 5, 6, 7, 8, 9])
    log_probs, state = model.step(state, tokens)
    log_probs_after, _ = model.step(state, tokens)
    kept = model.reorder(state, torch.tensor([[1, 0], [5, 5]]))  # the middle sentence leaves
    assert kept.memory.keys.shape[1] == 2
    again, _ = model.step(kept, tokens[[1, 0, 5, 5]])
    torch.testing.assert_close(again, log_probs_after[[1, 0, 5, 5]])
    assert log_probs.shape == (6, 11)


@torch.inference_mode()
def test_sources_are_not_copied_while_all_sentences_live():
    model = make_model()
    state = model.start(model.encode(SOURCE, LENGTHS))
    wide = model.reorder(state, torch.tensor([[0, 0], [1, 1], [2, 2]]))
    assert wide.memory is state.memory
    assert [each.shape for each in wide.layers] == [(2, 6, 8), (2, 6, 8)]


@pytest.mark.parametrize("reads", [{"context": "upper"}, {"input_feeding": True}, {"attend_embeddings": True}])
def test_every_parameter_is_trained(reads):
    kinds = {"attention": "additive", **reads}
    model = make_model(joint=False, tie_embeddings=False, encoder_layers=2, **kinds).train()
    model(SOURCE, LENGTHS, TARGET).square().sum().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


@pytest.mark.parametrize(
    ("joint", "tied", "names"),
    [
        (True, True, {"source_embedding.table.weight"}),
        (False, True, {"source_embedding.table.weight", "target_embedding.table.weight"}),
        (False, False, {"source_embedding.table.weight", "target_embedding.table.weight", "output_weight"}),
        (True, False, {"source_embedding.table.weight", "target_embedding.table.weight", "output_weight"}),
    ],
)
def test_tying(joint, tied, names):
    model = make_model(joint=joint, tie_embeddings=tied)
    tables = {name for name, p in model.named_parameters() if tuple(p.shape) == (11, 6)}
    assert tables == names


def test_joint_vocabulary_has_one_size():
    with pytest.raises(ValueError, match=r"11 .* 12"):
        Seq2Seq.from_config(make_config(), 11, 12)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
def test_attention_in_equations(kind, heads):
    torch.manual_seed(2)
    attention = Attention(kind, 4, 6, heads)
    states, queries = torch.randn(5, 2, 6), torch.randn(3, 2, 4)
    context, weights = attention.look(queries, attention.memory(states, torch.tensor([5, 3])), weights=True)
    for batch, length in enumerate((5, 3)):
        keys = [(attention.key_projection.weight @ s).chunk(heads) for s in states[:length, batch]]
        values = [s.chunk(heads) for s in states[:length, batch]]
        for query in range(3):
            q = attention.query_projection(queries[query, batch]).chunk(heads)
            shares, contexts = [], []
            for head in range(heads):
                if kind == "additive":
                    vector = attention.vector.chunk(heads)[head]
                    scores = [vector @ torch.tanh(q[head] + key[head]) for key in keys]
                else:
                    scores = [q[head] @ key[head] / (4 / heads) ** 0.5 for key in keys]
                shares.append(torch.softmax(torch.stack(scores), dim=0))
                contexts.append(shares[-1] @ torch.stack([value[head] for value in values]))
            torch.testing.assert_close(weights[query, batch, :length], sum(shares) / heads)
            torch.testing.assert_close(context[query, batch], torch.cat(contexts))


def test_initial_weights_are_those_of_the_seed_whatever_the_threads():
    config = make_config(hidden_size=64)
    before = torch.get_num_threads()
    models = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            models.append(build_model(config, 20, 20).state_dict())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


@pytest.mark.parametrize(("wanted", "threads"), [("2", 2), ("", None), ("none", None), ("0", None)])
def test_the_number_of_threads_is_the_environments_or_every_core(monkeypatch, wanted, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    before = torch.get_num_threads()
    try:
        assert use_threads(None) == torch.get_num_threads() == (threads or len(os.sched_getaffinity(0)))
        assert use_threads(1) == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
