"""Input feeding against the float64 reference: values, gradients, masks; the same bits however it is computed."""

from dataclasses import dataclass, replace

import masks
import numpy as np
import pytest
import torch
from emulated import use_emulated
from mixtures import mixtures

import rnn_engine
from rnn_engine import Attending, input_feeding, native, reference_feeding
from rnn_engine.nn import feeding
from rnn_engine.spec import StackSpec

ISAS = native.available_isas()
LEAVES = ("keys", "values", "weight", "bias", "query_weight", "vector")


@dataclass(frozen=True)
class Case:
    """Sizes and options; O is what is fed, C the width of values, A that of queries."""

    id: str
    cell: str = "lstm"
    T: int = 5
    B: int = 3
    E: int = 4
    H: int = 7
    O: int = 6  # noqa: E741
    S: int = 5
    C: int = 9
    A: int = 7
    L: int = 2
    heads: int = 1
    query: bool = False
    additive: bool = False
    residual: bool = True
    dropout: float = 0.0
    dropout_mask: str = "value"
    recurrent_dropout: float = 0.0
    zoneout: tuple[float, float] = (0.0, 0.0)
    attention_dropout: float = 0.0
    output_dropout: float = 0.0

    @property
    def spec(self):
        return StackSpec(self.cell, self.E + self.O, self.H, self.L, residual=self.residual, dropout=self.dropout,
                         recurrent_dropout=self.recurrent_dropout, zoneout=self.zoneout,
                         dropout_mask=self.dropout_mask)  # fmt: skip

    @property
    def masked(self):
        return bool(self.dropout or self.recurrent_dropout or any(self.zoneout))


CASES = [
    Case("lstm"),
    Case("one step", T=1, B=1, L=1),
    Case("one-word sources", S=1, T=4),
    Case("long", T=35, B=2, H=17, A=17, O=17, C=33),
    Case("mi-lstm, general", cell="mi_lstm", query=True, A=8, heads=4, C=12, L=3),
    Case("gru, additive", cell="gru", additive=True, query=True, A=6, heads=3, T=18),
    Case("layer norm, not residual", cell="layer_norm_lstm", residual=False, T=17, C=3),
    Case("layer norm mi-lstm", cell="layer_norm_mi_lstm", L=3, additive=True),
    Case("values dropped", dropout=0.3, attention_dropout=0.3, output_dropout=0.4, T=20, heads=7, C=14, L=3),
    Case("sentences' masks", dropout=0.3, dropout_mask="sentence", output_dropout=0.4, zoneout=(0.2, 0.3), T=18),
    Case("recurrent dropout", cell="gru", recurrent_dropout=0.3, zoneout=(0.0, 0.3), attention_dropout=0.2, L=3),
]
by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
CELLS = {"lstm": rnn_engine.LSTM, "mi_lstm": rnn_engine.MILSTM, "gru": rnn_engine.GRU,
         "layer_norm_lstm": rnn_engine.LayerNormLSTM, "layer_norm_mi_lstm": rnn_engine.LayerNormMILSTM}  # fmt: skip


class Given:
    """What a case is given, drawn in float64; upstream gradients with it."""

    def __init__(self, case, dtype):
        torch.manual_seed(4)
        self.case, self.lengths = case, [max(1, case.S - 2 * b) for b in range(case.B)]

        def draw(*shape):
            return torch.randn(shape, dtype=torch.float64).mul(0.7).to(dtype).requires_grad_()

        c = case
        shapes = {"inputs": (c.T, c.B, c.E), "fed": (c.B, c.O), "h0": (c.L, c.B, c.H), "c0": (c.L, c.B, c.H),
                  "keys": (c.S, c.B, c.A), "values": (c.S, c.B, c.C), "weight": (c.O, c.C + c.H),
                  "bias": (c.O,)}  # fmt: skip
        shapes |= {"query_weight": (c.A, c.H)} if c.query else {}
        shapes |= {"vector": (c.A,)} if c.additive else {}
        self.leaves = {name: draw(*shape) for name, shape in shapes.items()}
        if c.cell == "gru":
            self.leaves["c0"] = self.leaves["h0"]
        self.layers = CELLS[c.cell](
            c.E + c.O, c.H, c.L, residual=c.residual, dropout=c.dropout, dropout_mask=c.dropout_mask,
            recurrent_dropout=c.recurrent_dropout, zoneout=c.zoneout, dtype=dtype,
        )  # fmt: skip
        with torch.no_grad():
            for parameter in self.layers.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        self.upstream = [torch.randn(shape, dtype=dtype) for shape in ((c.T, c.B, c.O), *[(c.L, c.B, c.H)] * 2)]

    def attending(self):
        given = [self.leaves.get(name) for name in LEAVES]
        per_sentence = self.case.dropout_mask == "sentence"
        noise = self.case.attention_dropout, self.case.output_dropout, per_sentence
        return Attending(*given[:2], self.lengths, *given[2:], self.case.heads, *noise)


def run(given, call=input_feeding, memory="store"):
    """Results and gradients by name."""
    named = {**given.leaves, **dict(given.layers.named_parameters())}
    for tensor in named.values():
        tensor.grad = None
    leaves, single = given.leaves, given.case.cell == "gru"
    hx = leaves["h0"] if single else (leaves["h0"], leaves["c0"])
    torch.manual_seed(9)
    if call is input_feeding:
        vectors, last = input_feeding(
            given.layers, leaves["inputs"], hx, leaves["fed"], given.attending(), memory=memory
        )
    else:
        vectors, last = call(given.layers, leaves["inputs"], hx, leaves["fed"], given.attending(), memory)
    states = (last,) if single else last
    torch.autograd.backward([vectors, *states], given.upstream[: 1 + len(states)])
    found = {name: tensor.grad for name, tensor in named.items() if not (single and name == "c0")}
    return {"vectors": vectors.detach(), "hn": states[0].detach(), **found}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def exact(given, error=0.0):
    """The reference's, with the masks that a call after `torch.manual_seed(9)` draws; `error`: of all it is given."""
    noisy = np.random.default_rng(1)

    def as_array(tensor):
        values = tensor.detach().double().numpy()
        return values * (1 + error * noisy.standard_normal(values.shape))

    case = given.case
    torch.manual_seed(9)
    seeds = [int(torch.randint(2**62, ())) if drawn else 0
             for drawn in (case.masked, case.attention_dropout, case.output_dropout)]  # fmt: skip
    inside, once = masks.noise(case, seeds[0]), case.dropout_mask == "sentence"
    kept = None
    if case.attention_dropout:
        places = Places(case.T, case.B, case.S, case.heads, case.attention_dropout)
        kept = masks.attention_masks(places, seeds[1])
    factors = None
    if case.output_dropout:
        factors = masks.linear_factors(seeds[2], case.T, case.B, case.O, case.output_dropout, once)
    between = masks.dropout_masks(case, seeds[0]) if case.dropout else None
    noise = reference_feeding.Noise(between, inside.recurrent, inside.zoneout, kept, factors)
    arrays = {name: as_array(tensor) for name, tensor in given.leaves.items()}
    if case.cell == "gru":
        arrays["c0"] = arrays["h0"]
    parts = [arrays.get(name) for name in LEAVES]
    attending = reference_feeding.Attending(*parts[:2], given.lengths, *parts[2:], case.heads)
    parameters = {name: as_array(p) for name, p in given.layers.named_parameters()}
    dv, dh, dc = (each.double().numpy() for each in given.upstream)
    if case.cell == "gru":
        dc = np.zeros_like(dc)
    found = reference_feeding.input_feeding(
        case.spec,
        parameters,
        arrays["inputs"],
        (arrays["h0"], arrays["c0"]),
        arrays["fed"],
        attending,
        (dv, dh, dc),
        noise,
    )
    if case.cell == "gru":
        found["h0"] = found["h0"] + found["c0"]
    return found


@dataclass(frozen=True)
class Places:
    """What the masks of attention are drawn for."""

    T: int
    B: int
    S: int
    heads: int
    dropout: float


@pytest.mark.parametrize(("dtype", "factor"), [(torch.float64, 1), (torch.float32, 1), (torch.bfloat16, 4)])
@by_case
def test_agrees_with_the_reference(case, dtype, factor):
    given, eps = Given(case, dtype), torch.finfo(dtype).eps
    expected = exact(given)
    # What a recurrence makes of an error: that which all that is given already has, rounded.
    near_by = exact(given, eps)
    for name, found in run(given).items():
        theirs = expected[name]
        # Errors grow from step to step: of each step's sums, as many as there are steps.
        near = factor * eps * (20 + 4 * case.T) * max(1.0, abs(theirs).max()) + 8 * abs(near_by[name] - theirs).max()
        np.testing.assert_allclose(found.double().numpy(), theirs, rtol=0, atol=near, err_msg=name)


@pytest.fixture
def restore_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: CASES[number].id)
@pytest.mark.usefixtures("restore_threads")
def test_the_same_bits_whatever_is_kept_and_whoever_computes(number, dtype, monkeypatch):
    given, first = Given(CASES[number], dtype), None
    settings = {"isa": ISAS, "threads": (1, 2, 3), "memory": ("store", "recompute", "checkpoint", "4MiB")}
    for mixture in mixtures(number, settings):
        monkeypatch.setenv("RNN_ENGINE_ISA", mixture["isa"])
        torch.set_num_threads(mixture["threads"])
        found = run(given, memory=mixture["memory"])
        first = first or found
        assert equal(found, first), mixture


@pytest.mark.parametrize("case", [case for case in CASES if not case.masked and not case.output_dropout],
                         ids=lambda case: case.id)  # fmt: skip
@pytest.mark.parametrize("memory", ["store", "checkpoint"])
def test_it_is_what_calls_of_its_parts_are(case, memory):
    given = Given(case, torch.float64)
    ours, composed = run(given), run(given, feeding._composed, memory)
    assert torch.equal(ours["vectors"], composed["vectors"])
    for name, found in ours.items():
        torch.testing.assert_close(found, composed[name], rtol=1e-11, atol=1e-11)


@torch.no_grad()
def test_without_gradients_and_with_autocast():
    given = Given(CASES[3], torch.float32)
    attending, leaves = given.attending(), given.leaves
    plain, last = input_feeding(given.layers, leaves["inputs"], (leaves["h0"], leaves["c0"]), leaves["fed"], attending)
    with torch.enable_grad():
        found = run(given)
    assert torch.equal(found["vectors"], plain)
    assert torch.equal(found["hn"], last[0])
    with torch.autocast("cpu", torch.bfloat16):
        halves, _ = input_feeding(
            given.layers, leaves["inputs"], (leaves["h0"], leaves["c0"]), leaves["fed"], attending
        )
    assert halves.dtype == torch.bfloat16
    torch.testing.assert_close(halves.float(), plain, rtol=0, atol=0.1)


def test_a_second_backward_is_as_the_first():
    given = Given(CASES[8], torch.float32)
    leaves = given.leaves
    vectors, _ = input_feeding(
        given.layers, leaves["inputs"], (leaves["h0"], leaves["c0"]), leaves["fed"], given.attending()
    )
    gradients = [torch.autograd.grad(vectors.sum(), list(leaves.values()), retain_graph=True) for _ in range(2)]
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))
    with pytest.raises(RuntimeError, match="gradient of a gradient"):
        torch.autograd.grad(vectors.sum(), leaves["fed"], create_graph=True)


def test_what_the_caller_raises_between_steps_ends_the_call(monkeypatch):
    given = Given(CASES[3], torch.float32)

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(feeding.Between, "run", fail)
    with pytest.raises(ZeroDivisionError):
        run(given)
    monkeypatch.undo()
    run(given)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("inputs", (5, 4), r"inputs: expected \[T, B, E\]"),
        ("fed", (3, 5), r"fed: expected \[B, O\] = \[3, 6\], got \[3, 5\]"),
        ("weight", (6, 15), r"weight: expected \[O, C \+ H\] with C \+ H = 9 \+ 7, got \[6, 15\]"),
        ("bias", (5,), r"bias: expected \[6\], got \[5\]"),
        ("keys", (5, 3, 8), r"keys: expected \[S, B, A\]"),
        ("inputs", (5, 3, 5), r"layers: expected ones that read E \+ O = 5 \+ 6 values, got 10"),
    ],
)
def test_wrong_shapes(name, shape, message):
    given = Given(CASES[0], torch.float32)
    given.leaves[name] = torch.zeros(shape)
    with pytest.raises(ValueError, match=message):
        run(given)


def test_wrong_layers():
    given = Given(CASES[0], torch.float32)
    given.layers = rnn_engine.LSTM(10, 7, 2, bidirectional=True)
    with pytest.raises(ValueError, match="layers: expected time-major ones of one direction without projection"):
        run(given)
    with pytest.raises(ValueError, match=r"steps \(3\) are for one direction"):
        rnn_engine.plan(StackSpec("lstm", 5, 6, bidirectional=True), steps=3, batch=2, schedule=native.STEPS)


@pytest.mark.parametrize(("number", "memory"), [(0, "store"), (5, "recompute")])
def test_on_cuda_it_agrees_too(number, memory, monkeypatch):
    use_emulated(monkeypatch)
    given = Given(CASES[number], torch.float64)
    expected = exact(given)
    for name, found in run(given, memory=memory).items():
        np.testing.assert_allclose(found.numpy(), expected[name], rtol=1e-11, atol=1e-11, err_msg=name)


def test_on_cuda_masks_of_a_sentence_are_the_same_at_all_steps(monkeypatch):
    use_emulated(monkeypatch)
    case = replace(CASES[9], zoneout=(0.0, 0.0))
    given = Given(case, torch.float64)
    with torch.no_grad():
        given.leaves["weight"].zero_()
    found = run(given)
    assert equal(run(given, memory="checkpoint"), found)  # its steps run again with the same masks
    dropped = found["vectors"] == 0
    assert dropped.any()
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    given.layers.zoneout = (0.2, 0.3)
    with pytest.raises(ValueError, match="zoneout with dropout that is the same for all steps"):
        run(given)
