"""`dropout` against the float64 reference: every instruction set, masks, gradients, errors."""

import math

import numpy as np
import pytest
import torch
from library import Guarded
from masks import kept_rows, value_factors
from mixtures import mixtures

from rnn_engine import dropout, native
from rnn_engine.reference_linear import dropout as reference

ISAS = native.available_isas()
SETTINGS = {"isa": ISAS, "threads": (1, 2, 3)}
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
SEED = 11
CASES = (
    # T, B, F, p, scale, row_dropout, per_sentence
    (1, 1, 1, 0.5, 1.0, 0.0, False),
    (1, 3, 4, 0.0, 2.5, 0.0, False),
    (2, 3, 5, 0.5, 1.0, 0.0, True),
    (3, 2, 63, 0.2, 1.0, 0.0, False),
    (7, 5, 64, 0.2, 16.0, 0.3, True),
    (4, 9, 65, 0.1, 1.0, 0.5, False),
    (2, 130, 17, 0.0, 1.0, 0.4, False),
    (3, 66, 131, 0.3, 0.5, 0.2, False),
    (2, 3, 9, 1.0, 1.0, 0.0, False),
    (2, 5, 9, 0.0, 3.0, 1.0, False),
    (0, 5, 9, 0.5, 1.0, 0.1, False),
    (3, 2, 0, 0.5, 1.0, 0.1, False),
)


@pytest.fixture(autouse=True)
def restore_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def drawn_seed():
    torch.manual_seed(SEED)
    seed = int(torch.randint(2**62, ()).item())
    torch.manual_seed(SEED)
    return seed


def make(shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: "-".join(map(str, CASES[number])))
def test_agrees_with_the_reference_whatever_computes_it(number, dtype, monkeypatch):
    T, B, F, p, scale, row_dropout, per_sentence = CASES[number]
    seed = drawn_seed()
    factors = value_factors(seed, T, B, F, p, per_sentence)
    kept = kept_rows(seed, T, B, row_dropout)
    first = None
    for mixture in mixtures(number, SETTINGS):
        monkeypatch.setenv("RNN_ENGINE_ISA", mixture["isa"])
        torch.set_num_threads(mixture["threads"])
        x, dy = make((T, B, F), DTYPES[dtype]).requires_grad_(), make((T, B, F), DTYPES[dtype]).flip(0)
        torch.manual_seed(SEED)
        y = dropout(x, p, scale=scale, row_dropout=row_dropout, per_sentence=per_sentence)
        (dx,) = torch.autograd.grad(y, x, dy)
        first = first or (y, dx)
        assert torch.equal(y, first[0]), mixture
        assert torch.equal(dx, first[1]), mixture
    eps = torch.finfo(DTYPES[dtype]).eps
    for found, given in ((y, x), (dx, dy)):
        exact = reference(given.detach().double().numpy(), factors, kept, scale)
        np.testing.assert_allclose(found.detach().double().numpy(), exact, rtol=2 * eps, atol=0)


def test_a_dropped_row_is_zero_whatever_it_holds():
    x = torch.full((6, 7, 5), math.nan)
    y = dropout(x, 0.0, row_dropout=0.5)
    dropped = (y == 0).all(-1)
    assert 0 < dropped.sum() < 42
    assert y[~dropped].isnan().all()


def test_nothing_to_do_gives_the_same_tensor():
    x = torch.randn(3, 4)
    before = torch.get_rng_state()
    assert dropout(x, 0.0) is x
    assert dropout(x, 0.5, row_dropout=0.5, training=False) is x
    assert torch.equal(dropout(x, 0.5, scale=3.0, training=False), 3.0 * x)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("shape", [(4,), (6, 4), (2, 3, 2, 4)])
def test_any_shape_and_rows_where_they_lie(shape):
    wide = torch.randn(*shape[:-1], 9)
    for x in (wide[..., 2:6], wide[..., 5:9], torch.randn(4, *shape[:-1]).movedim(0, -1)):
        torch.manual_seed(SEED)
        ours = dropout(x, 0.4, row_dropout=0.2)
        torch.manual_seed(SEED)
        assert torch.equal(ours, dropout(x.clone(memory_format=torch.contiguous_format), 0.4, row_dropout=0.2))


def test_gradients_of_gradients():
    x = make((3, 4, 5)).requires_grad_()

    def run(value):
        torch.manual_seed(SEED)
        return dropout(value, 0.5, scale=2.0)

    assert torch.autograd.gradcheck(run, x)
    assert torch.autograd.gradgradcheck(run, x)


@pytest.mark.parametrize("isa", ISAS)
def test_writes_nothing_beyond_its_result(isa):
    guarded = Guarded()
    for dtype, kind in DTYPES.items():
        out, x = guarded.new(5 * 19, kind), make((5, 19), kind)
        problem = native.DropoutProblem(
            dtype=native.DTYPES[dtype],
            steps=1,
            batch=5,
            features=19,
            scale=1.0,
            dropout=0.3,
            row_dropout=0.3,
            per_sentence=False,
        )
        native.context(1, isa).dropout(problem, (x, 19), out, SEED)
        assert out.isfinite().all()
    guarded.check()


def test_errors_say_what_was_expected():
    x = torch.zeros(2, 3)
    for message, arguments, options in (
        (r"p: expected a probability, 0 to 1, got -0.5", (x, -0.5), {}),
        (r"row_dropout: expected a probability, 0 to 1, got nan", (x, 0.5), {"row_dropout": math.nan}),
        (r"x: expected \[..., F\], got \[\]", (torch.tensor(1.0), 0.5), {}),
        (r"x: expected torch.float32, .*, got torch.int64", (torch.zeros(2, 3, dtype=torch.int64), 0.5), {}),
        (r"x: expected .* on cpu, got torch.float16", (x.half(), 0.5), {}),
    ):
        with pytest.raises(ValueError, match=message):
            dropout(*arguments, **options)
