"""Each kind of dropout acts where it should, in training only, and costs nothing when it is off."""

import pytest
import torch
from small import make_config

from nmt.model.attention import Attention
from nmt.model.embedding import Embedding
from nmt.model.seq2seq import Seq2Seq

SOURCE = torch.tensor([[5, 6], [7, 8], [4, 3], [3, 0]])  # [S, B]
TARGET = torch.tensor([[2, 2], [9, 10], [4, 5]])  # [T, B]
LENGTHS = torch.tensor([4, 3])


def make_model(**settings: object) -> Seq2Seq:
    torch.manual_seed(0)
    return Seq2Seq.from_config(make_config(encoder_layers=2, **settings), 11, 11)


def outputs(model: Seq2Seq, count: int = 2) -> list[torch.Tensor]:
    torch.manual_seed(1)
    with torch.no_grad():
        return [model(SOURCE, LENGTHS, TARGET) for _ in range(count)]


KINDS = ["embedding_dropout", "layer_dropout", "output_dropout", "attention_dropout", "word_dropout"]


@pytest.mark.parametrize("kind", KINDS)
def test_acts_in_training_alone(kind):
    model = make_model(**{kind: 0.5})
    first, second = outputs(model.train())
    assert not torch.equal(first, second)
    first, second = outputs(model.eval())
    assert torch.equal(first, second)
    assert torch.equal(first, outputs(make_model().eval())[0])


def test_one_setting_stands_for_three():
    three = dict.fromkeys(KINDS[:3], 0.4)
    expected = outputs(make_model(dropout=0.4))
    for given in ({"dropout": 0.0, **three}, {"dropout": 0.4, "layer_dropout": 0.4}):
        assert all(map(torch.equal, outputs(make_model(**given)), expected))
    assert not torch.equal(outputs(make_model(dropout=0.4, layer_dropout=0.0))[0], expected[0])


def trained(**settings: object) -> list[torch.Tensor]:
    model = make_model(**settings)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(4):
        optimizer.zero_grad()
        model(SOURCE, LENGTHS, TARGET).logsumexp(-1).sum().backward()
        optimizer.step()
    return [*model.parameters(), torch.get_rng_state()]


def test_zero_is_the_same_as_left_out():
    off = {"attention_dropout": 0.0, "word_dropout": 0.0}
    left_out = trained(dropout=0.3)
    assert all(map(torch.equal, trained(dropout=0.3, **off), left_out))
    outputs(make_model(dropout=0.0).train(), count=1)
    drawn = torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), drawn)  # nothing is


@pytest.mark.parametrize("kind", ["embedding_dropout", "layer_dropout", "output_dropout"])
def test_one_mask_a_sentence(kind):
    """Of equal steps and states, the same values are dropped at every step of a sentence, and others in the next."""
    model = make_model(**{kind: 0.5}, dropout_mask="sentence").train()
    seen: list[torch.Tensor] = []
    if kind == "embedding_dropout":
        seen.append(model.source_embedding(torch.full((6, 2), 5)) != 0)
    elif kind == "layer_dropout":
        seen.append(model.encode(torch.full((6, 2), 5), torch.tensor([6, 6])).states != 0)
    else:
        decoder = model.decoder
        with torch.no_grad():
            decoder.readout.weight.copy_(torch.eye(*decoder.readout.weight.shape))
            decoder.readout.bias.zero_()
        start = model.start(model.encode(torch.full((6, 2), 5), torch.tensor([6, 6])))
        seen.append(decoder(torch.randn(6, 2, decoder.readout.weight.shape[0]), start) != 0)
    kept = seen[0]
    assert torch.equal(kept, kept[:1].expand_as(kept))
    assert not torch.equal(kept[:, 0], kept[:, 1])
    assert 0.0 < kept.float().mean().item() < 1.0


def test_word_dropout_takes_whole_vectors():
    embedding = Embedding(11, 6, 0.0, word_dropout=0.4).train()
    tokens = torch.full((400, 5), 7)
    with torch.no_grad():
        vectors = embedding(tokens)
    kept = (vectors != 0).all(-1)
    assert torch.equal(kept, (vectors != 0).any(-1))
    assert 0.5 < kept.float().mean().item() < 0.7
    assert torch.equal(vectors[kept], (embedding.weight[7] * 6**0.5).detach().expand(int(kept.sum()), 6))


def test_attention_reports_weights_before_dropout():
    attention = Attention("dot", 4, 6, dropout=0.5).train()
    memory = attention.memory(torch.randn(5, 2, 6), torch.tensor([5, 5]))
    _, weights = attention.look(torch.randn(3, 2, 4), memory, weights=True)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(6000, 64, 14, 21), (37, 5, 3, 7), (50, 33, 1, 1), (8000, 128, 2, 3)])
def test_the_gradient_of_a_table_is_torchs_bit_for_bit(shape, threads):
    """Of tokens that come again and of those that do not come."""
    vocabulary, size, steps, batch = shape
    tokens = torch.randint(0, max(vocabulary // 3, 1), (steps, batch))
    gradient = torch.randn(steps, batch, size)
    embedding = Embedding(vocabulary, size, 0.0).eval()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        vectors = embedding(tokens)
        vectors.backward(gradient)
        expected = torch.nn.functional.embedding(tokens, embedding.weight) * embedding.scale
        (exact,) = torch.autograd.grad(expected, embedding.weight, gradient)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(vectors, expected)
    assert torch.equal(embedding.weight.grad, exact)
