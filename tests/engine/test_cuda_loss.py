"""linear_cross_entropy of librnn_engine_cuda, run by the emulator, against the float64 reference."""

import numpy as np
import pytest
import torch
from emulated import need_emulated
from library import run_loss
from loss_cases import CASES, IGNORED
from test_cuda_kernels import library  # noqa: F401  (the same library)

from rnn_engine.reference_loss import linear_cross_entropy as reference

setup_module = need_emulated

SCALE = 0.5
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3, "tf32": 2e-3}


def inputs(case, dtype):
    rng = np.random.default_rng((case.M, case.E, case.V))

    def rounded(array):
        return torch.tensor(array).to(dtype).double().numpy()

    hidden = case.scale * rng.standard_normal((case.M, case.E))
    weight = rng.standard_normal((case.V, case.E)) / np.sqrt(case.E)
    targets = rng.integers(case.V, size=case.M)
    if case.ignore:
        targets[:: case.ignore] = IGNORED
    bias = rounded(rng.standard_normal(case.V)) if case.bias else None
    return rounded(hidden), rounded(weight), bias, targets


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.M * case.V * case.E < 300_000], ids=lambda case: case.id
)
def test_the_loss_and_its_gradients_agree_with_the_reference(case, dtype, library):  # noqa: F811
    tf32 = dtype == "tf32"
    hidden, weight, bias, targets = inputs(case, torch.float16 if tf32 else dtype)  # of as many bits
    stored = torch.float32 if tf32 else dtype
    arguments = {"dtype": stored, "tf32": tf32, "smoothing": case.smoothing, "ignore_index": IGNORED, "scale": SCALE}
    found, gradients = run_loss(library, hidden, weight, bias, targets, **arguments)
    exact = reference(hidden, weight, targets, bias, label_smoothing=case.smoothing, ignore_index=IGNORED)
    tolerance = TOLERANCE[dtype]
    assert found.tokens == exact.tokens
    assert abs(found.loss - exact.loss) <= tolerance * max(1, abs(exact.loss))
    assert abs(found.nll - exact.nll) <= tolerance * max(1, abs(exact.nll))
    if dtype == torch.float64:
        assert found.target_is_argmax == exact.target_is_argmax
    for name, before in (("d_hidden", 0), ("d_weight", 1), ("d_bias", 1)):
        value = SCALE * getattr(exact, name)
        difference = gradients[name].double().numpy() - before - value
        assert np.abs(difference).max() <= tolerance * max(1, np.abs(value).max()), name


def test_gradients_that_are_not_wanted_are_left_alone(library):  # noqa: F811
    hidden, weight, bias, targets = inputs(CASES[-1], torch.float32)
    everything, _ = run_loss(library, hidden, weight, bias, targets, dtype=torch.float32, smoothing=0.1)
    for wanted in (0, 1, 2, 4):
        found, gradients = run_loss(
            library, hidden, weight, bias, targets, dtype=torch.float32, smoothing=0.1, gradients=wanted
        )
        assert (found.loss, found.target_is_argmax) == (everything.loss, everything.target_is_argmax)
        assert all(g is None or bool(torch.isfinite(g).all()) for g in gradients.values())


def test_a_target_that_is_no_class_makes_the_loss_nan(library):  # noqa: F811
    hidden, weight, bias, targets = inputs(CASES[2], torch.float32)
    found, _ = run_loss(library, hidden, weight, bias, [len(weight)] * len(targets), dtype=torch.float32, smoothing=0.1)
    assert np.isnan(found.loss)
