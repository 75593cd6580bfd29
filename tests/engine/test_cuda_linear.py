"""The CUDA kernels of `linear` and `dropout`, run by the emulator: the bits of the CPU, and of halves the reference's
values."""

import numpy as np
import pytest
import torch
from emulated import need_emulated
from guarded_card import on_card
from linear_cases import CASES, Case, make
from test_linear import expected, run

from rnn_engine import dropout, linear

setup_module = need_emulated
HALVES = {torch.bfloat16: 2**-8, torch.float16: 2**-11}
SOME = [case for case in CASES if case.T * case.B * case.O * sum(case.widths) < 400_000]
NAMED = {"ids": lambda case: case.id}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", SOME, **NAMED)
def test_bits_are_the_cpus(case, dtype, monkeypatch):
    cpu = run(case, dtype)
    for name, tensor in on_card(monkeypatch, lambda: run(case, dtype)).items():
        assert torch.equal(tensor, cpu[name]), name


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("case", SOME[::2], **NAMED)
def test_halves_are_near_the_reference(case, dtype, monkeypatch):
    """Backward takes the result and the slopes rounded."""
    exact = expected(case, dtype)
    for name, value in on_card(monkeypatch, lambda: run(case, dtype)).items():
        theirs = exact[name].reshape(value.shape)
        tolerance = (
            3 * HALVES[dtype] * case.scale * max(1.0, np.abs(theirs).max(initial=0.0)) / (1 - min(case.dropout, 0.9))
        )
        np.testing.assert_allclose(value.float().numpy(), theirs, rtol=0, atol=tolerance, err_msg=name)
        assert value.dtype == dtype


@pytest.fixture
def tf32_off_again():
    """As it is by default."""
    yield
    torch.backends.cuda.matmul.allow_tf32 = False


@pytest.mark.usefixtures("tf32_off_again")
def test_tf32_follows_torch_and_rounds_to_ten_bits(monkeypatch):
    case = Case(6, 7, (20, 16), 40)
    cpu = run(case, torch.float32)

    def rounded():
        torch.backends.cuda.matmul.allow_tf32 = True
        return run(case, torch.float32)

    found = on_card(monkeypatch, rounded)
    for name in ("y", "d_input0", "d_weight"):
        assert 0 < (found[name] - cpu[name]).abs().max() < 2**-6 * max(1.0, cpu[name].abs().max()), name


def test_weights_gradients_add_up_where_they_are_told_to(monkeypatch):
    case = Case(3, 5, (4, 3), 6)
    inputs, weight, bias, dy = make(case, torch.float32)
    cpu = run(case, torch.float32)

    def twice():
        y = linear(inputs, weight, bias, **case.options())
        y.backward(dy, retain_graph=True)
        y.backward(dy)
        return weight.grad

    assert torch.equal(on_card(monkeypatch, twice), 2 * cpu["d_weight"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "how",
    [
        {"p": 0.4, "scale": 3.0},
        {"p": 0.3, "per_sentence": True},
        {"p": 0.0, "row_dropout": 0.5},
        {"p": 0.2, "row_dropout": 0.3, "scale": 0.5, "per_sentence": True},
        {"p": 1.0},
        {"p": 0.0, "scale": 2.0},
    ],
    ids=lambda how: "-".join(f"{name}{value}" for name, value in how.items()),
)
def test_dropout_has_the_masks_and_bits_of_the_cpu(how, dtype, monkeypatch):
    wide = torch.randn(5, 7, 300, generator=torch.Generator().manual_seed(0)).to(dtype)

    def both_ways():
        leaf = wide.clone().requires_grad_()
        torch.manual_seed(3)
        y = dropout(leaf[..., 3:140], **how)
        y.backward(torch.ones_like(y))
        return y.detach(), leaf.grad

    for ours, theirs in zip(on_card(monkeypatch, both_ways), both_ways(), strict=True):
        assert torch.equal(ours, theirs)
