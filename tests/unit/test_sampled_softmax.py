"""Sampled softmax: what is drawn, that its sums are the vocabulary's in the mean, and the gradients against float64."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import make_batch, make_config
from torch.nn import functional

from nmt.data.subwords import PAD
from nmt.model.seq2seq import Seq2Seq
from nmt.training.loss import batch_loss
from nmt.training.sampled_softmax import Candidates

VOCABULARY = 60


def make_network(*, tied: bool) -> Seq2Seq:
    torch.manual_seed(0)
    config = make_config(hidden_size=16, embedding_size=12, tie_embeddings=tied)
    return Seq2Seq.from_config(config, VOCABULARY, VOCABULARY).train()


@given(
    size=st.integers(4, 50),
    others=st.integers(0, 60),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_what_is_drawn(size, others, seed, data):
    targets = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=30))).reshape(1, -1)
    torch.manual_seed(seed)
    found = Candidates.draw(targets, size, others)
    ids, weights = found.ids.tolist(), dict(zip(found.ids.tolist(), found.log_weights.tolist(), strict=True))
    own = {PAD, *targets.reshape(-1).tolist()}
    drawn = set(ids) - own
    assert ids == sorted(set(ids))
    assert own <= set(ids)
    assert len(drawn) == min(others, size - len(own))
    assert all(weights[each] == 0.0 for each in own)
    stands_for = (size - len(own)) / len(drawn) if drawn else 1.0
    assert all(weights[each] == pytest.approx(math.log(stands_for), abs=1e-6) for each in drawn)
    torch.manual_seed(seed)
    again = Candidates.draw(targets, size, others)
    assert torch.equal(again.ids, found.ids)


def test_each_batch_draws_others():
    targets = np.arange(5).reshape(1, -1)
    drawn = [tuple(Candidates.draw(targets, 1000, 20).ids.tolist()) for _ in range(5)]
    assert len(set(drawn)) == 5


def test_the_sum_over_the_vocabulary_is_right_in_the_mean(monkeypatch):
    torch.manual_seed(0)
    weight, bias = torch.randn(8, 3, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    hidden, targets = torch.randn(3, dtype=torch.float64), np.array([[3, 5]])
    whole = (weight @ hidden + bias).exp().sum().item()
    sums = []
    for order in itertools.permutations(range(5)):  # of the five that are neither a target nor PAD
        monkeypatch.setattr(torch, "randperm", lambda count, order=order: torch.tensor(order))
        some, offset, places = Candidates.draw(targets, 8, 2).narrow(weight, bias, torch.tensor(targets))
        assert len(some) == 5
        assert torch.equal(some[places], weight[torch.tensor(targets)])
        sums.append((some @ hidden + offset).exp().sum().item())
    assert max(sums) > 1.1 * min(sums)
    assert sum(sums) / len(sums) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_as_many_as_there_are_is_the_whole_softmax(precision, tied):
    model, batch = make_network(tied=tied), make_batch()
    found = []
    for sampled in (0, VOCABULARY):
        model.zero_grad(set_to_none=True)
        loss, nll, tokens = batch_loss(model, batch, 0.1, precision, sampled=sampled)
        loss.backward()
        found.append((loss, nll, tokens, [parameter.grad for parameter in model.parameters()]))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][2] == found[1][2]
    for one, other in zip(found[0][3], found[1][3], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rdrop", [0.0, 2.0])
def test_loss_and_gradients_against_float64(smoothing, rdrop, monkeypatch):
    model, batch = make_network(tied=False), make_batch()
    weight, bias = model.output_layer
    inputs = []
    decode = model.decode

    def spy(*arguments):
        hidden = decode(*arguments)
        hidden.retain_grad()
        inputs.append(hidden)
        return hidden

    monkeypatch.setattr(model, "decode", spy)
    torch.manual_seed(5)
    loss, nll, _ = batch_loss(model, batch, smoothing, rdrop=rdrop, sampled=10)
    loss.backward()

    torch.manual_seed(5)
    candidates = Candidates.draw(batch.target_output, VOCABULARY, 10)
    assert 10 < len(candidates.ids) < VOCABULARY
    passes = 2 if rdrop else 1
    targets = torch.from_numpy(np.repeat(batch.target_output, passes, axis=-1))
    exact = [each.detach().double().requires_grad_() for each in (inputs[0], weight, bias)]
    scores = functional.linear(exact[0], exact[1][candidates.ids], exact[2][candidates.ids] + candidates.log_weights)
    logs = functional.log_softmax(scores, -1)
    places = torch.searchsorted(candidates.ids, targets)
    wanted_nll = -logs.gather(-1, places[..., None]).sum()
    wanted = (1 - smoothing) * wanted_nll - smoothing * logs.mean(-1).sum()
    if rdrop:
        one, other = logs[:, ::2], logs[:, 1::2]
        apart = sum(functional.kl_div(*pair, reduction="sum", log_target=True) for pair in ((one, other), (other, one)))
        wanted = wanted + rdrop / 2 * apart
    gradients = torch.autograd.grad(wanted / passes, exact)
    assert loss.item() == pytest.approx((wanted / passes).item(), rel=1e-5)
    assert nll.item() == pytest.approx((wanted_nll / passes).item(), rel=1e-5)
    for found, expected in zip((inputs[0].grad, weight.grad, bias.grad), gradients, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    left_out = torch.ones(VOCABULARY, dtype=torch.bool)
    left_out[candidates.ids] = False
    assert left_out.any()
    assert not weight.grad[left_out].any()
