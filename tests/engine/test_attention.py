"""Attention against the float64 reference: every instruction set, values, gradients, masks, lengths, errors."""

import math

import numpy as np
import pytest
import torch
from attention_cases import CASES, GRADIENTS, Case, expected, magnitudes, make, options
from masks import attention_masks
from mixtures import mixtures
from roundings import MATRIX_UNITS

from rnn_engine import attention, native
from rnn_engine.array_attention import attention as array_attention
from rnn_engine.memory import pool

ISAS = native.available_isas()
DTYPES = [torch.float32, torch.float64]
SETTINGS = {"isa": ISAS, "threads": (1, 2, 3)}
RED_ZONE = 256
by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
by_any_dtype = pytest.mark.parametrize("dtype", [*DTYPES, torch.bfloat16], ids=["float32", "float64", "bfloat16"])


def run(case, given, **changes):
    """The engine's results by name."""
    torch.manual_seed(case.T)
    for leaf in given.leaves:
        leaf.grad = None
    context, weights = attention(*given.inputs, **options(case, given) | changes, return_weights=True)
    context.backward(given.d_context)
    return {"context": context.detach(), "weights": weights} | {
        name: leaf.grad for name, leaf in zip(GRADIENTS, given.leaves, strict=False)
    }


def seed_of(case):
    """The seed that `run` draws."""
    torch.manual_seed(case.T)
    return int(torch.randint(2**62, ()))


def equal(ours, theirs):
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def restore_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@by_dtype
@by_case
def test_agrees_with_the_reference(case, dtype):
    given = make(case, dtype)
    exact = expected(case, given, attention_masks(case, seed_of(case)) if case.dropout else None)
    ours = run(case, given)
    largest = max(1.0, (case.scale or 1.0) * math.sqrt(case.A))  # of a score: what errors of weights grow with
    count = case.T * case.B * case.S if case.form == "additive" else case.T + case.S  # of a sum
    for name, value in ours.items():
        theirs = getattr(exact, name)
        tolerance = torch.finfo(dtype).eps * (10 + math.sqrt(count)) * largest * max(1.0, np.abs(theirs).max())
        np.testing.assert_allclose(value.numpy(), theirs, rtol=0, atol=tolerance, err_msg=name)


def rounds_weights(case, dtype, isa):
    """Whether products take halves as they are, and so weights rounded."""
    fills_tiles = min(case.T, case.S) >= 16  # else no sentence does
    return dtype == torch.bfloat16 and case.form == "dot" and isa in MATRIX_UNITS and fills_tiles


@by_case
def test_bfloat16_is_float32_rounded_once(case, monkeypatch):
    """All that is computed is float32: results are those of the same values in float32, rounded to the nearest."""
    isa = next(each for each in ISAS if not rounds_weights(case, torch.bfloat16, each))
    monkeypatch.setenv("RNN_ENGINE_ISA", isa)
    half, single = make(case, torch.bfloat16), make(case, torch.float32)
    with torch.no_grad():
        for name in ("queries", "keys", "values", "d_context"):
            getattr(single, name).copy_(getattr(half, name))
    ours, theirs = run(case, half), run(case, single)
    for name, value in ours.items():
        same = torch.float32 if name in ("weights", "d_vector") else torch.bfloat16
        assert value.dtype == same
        assert torch.equal(value, theirs[name].to(same)), name


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("case", [case for case in CASES if case.form == "dot"], ids=lambda case: case.id)
def test_bfloat16_agrees_with_the_reference(case, isa, monkeypatch):
    """Rounded are weights and gradients of scores, each by half a unit in its last place, and results."""
    monkeypatch.setenv("RNN_ENGINE_ISA", isa)
    given = make(case, torch.bfloat16)
    kept = attention_masks(case, seed_of(case)) if case.dropout else None
    exact, terms = expected(case, given, kept), magnitudes(case, given, kept)
    half_unit, single = torch.finfo(torch.bfloat16).eps / 2, torch.finfo(torch.float32).eps
    largest = max(1.0, (case.scale or 1.0) * math.sqrt(case.A))  # of a score, as above
    for name, value in run(case, given).items():
        theirs = getattr(exact, name)
        noise = single * (10 + math.sqrt(case.T + case.S)) * largest * max(1.0, np.abs(theirs).max())
        rounded = 0 if name == "weights" else half_unit * (terms[name] + np.abs(theirs))
        assert (np.abs(value.double().numpy() - theirs) <= noise + rounded).all(), name


@by_any_dtype
@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: CASES[number].id)
@pytest.mark.usefixtures("restore_threads")
def test_every_isa_and_number_of_threads_gives_the_same_bits(number, dtype, monkeypatch):
    case, firsts = CASES[number], {}
    given = make(case, dtype)
    alone = [{"isa": isa, "threads": 1} for isa in (ISAS[0], ISAS[-1])]
    for mixture in [*alone, *mixtures(number, SETTINGS)]:
        monkeypatch.setenv("RNN_ENGINE_ISA", mixture["isa"])
        torch.set_num_threads(mixture["threads"])
        found = run(case, given)
        assert equal(found, firsts.setdefault(rounds_weights(case, dtype, mixture["isa"]), found)), mixture


@by_any_dtype
@pytest.mark.parametrize("case", [case for case in CASES if case.ragged and not case.dropout], ids=lambda case: case.id)
def test_a_sentence_is_what_it_is_alone_and_what_lies_beyond_its_lengths_is_not_looked_at(case, dtype):
    given = make(case, dtype)
    whole = run(case, given)
    with torch.no_grad():
        for b, (source, target) in enumerate(zip(given.source_lengths, given.target_lengths, strict=True)):
            given.queries[target:, b] = given.d_context[target:, b] = math.nan
            given.keys[source:, b] = given.values[source:, b] = math.inf
    assert equal(run(case, given), whole)
    for b, (source, target) in enumerate(zip(given.source_lengths, given.target_lengths, strict=True)):
        one, ends = slice(b, b + 1), {"context": target, "weights": target, "d_queries": target}
        parts = [given.queries[:target, one], given.keys[:source, one], given.values[:source, one]]
        parts = [part.detach().clone().requires_grad_() for part in parts]
        alone = type(given)(*parts, given.vector, None, None, given.d_context[:target, one])
        for name, found in run(case, alone).items():
            if name == "d_vector":  # of all sentences
                continue
            end = ends.get(name, source)
            all_found = whole[name][:, one]
            assert torch.equal(all_found[:end, ..., : found.shape[2]], found), name
            assert (all_found[end:] == 0).all(), name
        assert (whole["weights"][:, b, source:] == 0).all()


@by_any_dtype
@pytest.mark.parametrize("case", [CASES[8], CASES[13], CASES[18]], ids=lambda case: case.id)
def test_what_is_asked_for_changes_no_bit(case, dtype):
    given = make(case, dtype)
    everything = run(case, given)
    for subset in range(2 ** len(given.leaves)):
        for i, leaf in enumerate(given.leaves):
            leaf.grad = None
            leaf.requires_grad_(bool(subset >> i & 1))
        torch.manual_seed(case.T)
        context = attention(*given.inputs, **options(case, given))
        assert torch.equal(context, everything["context"])
        assert context.requires_grad == bool(subset)
        if subset:
            context.backward(given.d_context)
        for name, leaf in zip(GRADIENTS, given.leaves, strict=False):
            assert (leaf.grad is not None) == leaf.requires_grad
            assert leaf.grad is None or torch.equal(leaf.grad, everything[name]), (subset, name)


@by_dtype
def test_heads_are_calls_of_their_own(dtype):
    case = Case(7, 2, 9, 20, 12, heads=4, ragged=True, scale=0.3)
    given = make(case, dtype)
    together = run(case, given)
    weights = 0
    for head in range(4):
        widths = zip((*given.leaves, given.d_context), (5, 5, 3, 3), strict=True)
        parts = [each[..., head * n : (head + 1) * n] for each, n in widths]
        leaves = [part.detach().clone().requires_grad_() for part in parts[:3]]
        alone = run(case, type(given)(*leaves, None, *given.inputs[3:], parts[3]), heads=1)
        weights = weights + alone.pop("weights") * 0.25
        for name, found in alone.items():
            n = found.shape[2]
            assert torch.equal(together[name][..., head * n : (head + 1) * n], found), name
    assert torch.equal(together["weights"], weights)


@pytest.mark.parametrize("form", ["dot", "additive"])
def test_gradients_against_finite_differences(form):
    case = Case(3, 2, 4, 2, 4, heads=2, ragged=True, dropout=0.4, form=form)
    given = make(case)

    def context(*leaves):
        torch.manual_seed(0)
        changes = {"vector": leaves[3]} if form == "additive" else {}
        return attention(*leaves[:3], *given.inputs[3:], **options(case, given) | changes)

    assert torch.autograd.gradcheck(context, given.leaves)


def test_one_tensor_for_keys_and_values_gets_the_sum_of_the_gradients():
    given = make(Case(6, 3, 8, 5, 5, ragged=True))
    both = given.keys.detach().clone().requires_grad_()
    attention(given.queries, both, both, *given.inputs[3:]).backward(given.d_context)
    apart = [both.detach().clone().requires_grad_() for _ in range(2)]
    attention(given.queries, *apart, *given.inputs[3:]).backward(given.d_context)
    torch.testing.assert_close(both.grad, apart[0].grad + apart[1].grad, rtol=0, atol=0)


def test_a_second_backward_is_right_and_a_gradient_of_a_gradient_is_refused():
    given = make(Case(9, 2, 7, 6, 6, dropout=0.3))
    context = attention(*given.inputs, dropout=0.3)
    first = torch.autograd.grad(context, given.leaves, given.d_context, retain_graph=True)
    second = torch.autograd.grad(context, given.leaves, 3 * given.d_context, retain_graph=True)
    torch.testing.assert_close(second, tuple(3 * gradient for gradient in first))
    with pytest.raises(RuntimeError, match="create_graph=True"):
        torch.autograd.grad(context, given.leaves, given.d_context, create_graph=True)


def test_masks_follow_torchs_generator_and_keep_the_expectation():
    keys = torch.zeros(4000, 1, 3)
    torch.manual_seed(5)
    draws = [attention(torch.zeros(20, 1, 3), keys, torch.ones(4000, 1, 2), dropout=0.25) for _ in range(2)]
    torch.manual_seed(5)
    again = attention(torch.zeros(20, 1, 3), keys, torch.ones(4000, 1, 2), dropout=0.25)
    assert torch.equal(draws[0], again)
    assert not torch.equal(draws[0], draws[1])
    assert (draws[0] - 1).abs().max() < 0.05  # of 4000 weights about 1 / sqrt(12000)
    assert (attention(torch.zeros(2, 1, 3), keys, torch.ones(4000, 1, 2), dropout=1.0) == 0).all()


def test_strided_inputs_and_small_lengths():
    case = Case(5, 3, 6, 4, 7, ragged=True)
    given = make(case)
    plain = run(case, given)
    strided = [leaf.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_() for leaf in given.leaves]
    lengths = given.source_lengths.int(), given.target_lengths.tolist()
    gradient = given.d_context.transpose(0, 2).contiguous().transpose(0, 2)
    assert equal(run(case, type(given)(*strided, None, *lengths, gradient)), plain)


@pytest.mark.parametrize("shape", [(0, 2), (3, 0), (0, 0)])
def test_nothing_to_look_for(shape):
    steps, batch = shape
    queries, keys = torch.ones(steps, batch, 4, requires_grad=True), torch.ones(5, batch, 4, requires_grad=True)
    context, weights = attention(queries, keys, keys, return_weights=True)
    assert context.shape == (steps, batch, 4)
    assert weights.shape == (steps, batch, 5)
    context.sum().backward()
    assert (queries.grad.shape, keys.grad.shape) == (queries.shape, keys.shape)
    assert (keys.grad == 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_is_not_finite_shows_in_its_sentence_alone(bad, dtype):
    given = make(Case(4, 3, 20, 5, 6), dtype)
    with torch.no_grad():
        given.keys[3, 1, 2] = bad
    context = attention(*given.inputs)
    context.sum().backward()
    assert context[:, [0, 2]].isfinite().all()
    assert given.queries.grad[:, [0, 2]].isfinite().all()
    assert not given.queries.grad[:, 1].isfinite().all()


def test_large_scores_do_not_overflow():
    queries = torch.full((1, 1, 1), 1e4, requires_grad=True)
    keys = torch.tensor([1.0, -1.0, 0.0])[:, None, None].requires_grad_()
    context = attention(queries, keys, torch.arange(3.0)[:, None, None], scale=1.0)
    context.sum().backward()
    assert context.item() == 0
    assert queries.grad.isfinite().all()
    assert keys.grad.isfinite().all()


def test_errors_say_what_was_expected():
    queries, keys, values = torch.zeros(2, 3, 4), torch.zeros(5, 3, 4), torch.zeros(5, 3, 6)
    additive = {"form": "additive"}
    halves = queries.half(), keys.half(), values.half()
    for message, arguments, changes in (
        (r"queries: expected \[T, B, A\] with A at least 1, got \[3, 4\]", (queries[0], keys, values), {}),
        (
            r"keys: .* B = 3 and A = 4 as queries, got \[5, 2, 4\]",
            (queries, keys[:, :2], values),
            {},
        ),
        (r"keys: expected \[S, B, A\] with S at least 1.*got \[0, 3, 4\]", (queries, keys[:0], values[:0]), {}),
        (r"values: expected \[S, B, C\] with S = 5, B = 3 as keys, got \[4, 3, 6\]", (queries, keys, values[:4]), {}),
        (r"heads: expected a divisor of A = 4 and of C = 6, got 4", (queries, keys, values), {"heads": 4}),
        (r"heads: .*got 0", (queries, keys, values), {"heads": 0}),
        (r"dropout: expected 0 to 1, got 1.5", (queries, keys, values), {"dropout": 1.5}),
        (r"scale: expected a finite number, got inf", (queries, keys, values), {"scale": math.inf}),
        (r"form: expected .*, got 'cosine'", (queries, keys, values), {"form": "cosine"}),
        (r"vector: expected one with form = 'additive' alone", (queries, keys, values), {"form": "additive"}),
        (r"vector: expected one with form", (queries, keys, values), {"vector": torch.zeros(4)}),
        (r"vector: expected \[A\] = \[4\], got \[5\]", (queries, keys, values), additive | {"vector": torch.zeros(5)}),
        (
            r"vector: expected torch.float32, got torch.int64",
            (queries, keys, values),
            additive | {"vector": torch.arange(4)},
        ),
        (r"source_lengths\[1\]: expected 1 to 5, got 0", (queries, keys, values, [1, 0, 5]), {}),
        (r"source_lengths\[2\]: expected 1 to 5, got 6", (queries, keys, values, torch.tensor([1, 5, 6])), {}),
        (r"target_lengths\[0\]: expected 0 to 2, got -1", (queries, keys, values, None, [-1, 0, 2]), {}),
        (r"target_lengths: expected \[B\] = \[3\], got \[2\]", (queries, keys, values, None, [1, 2]), {}),
        (r"source_lengths: expected torch.int64 or .*float32", (queries, keys, values, torch.ones(3)), {}),
        (
            r"queries: expected torch.float32, .* on cpu, got torch.float16",
            halves,
            {},
        ),
        (r"values: expected torch.float32 as queries, got torch.float64", (queries, keys, values.double()), {}),
        (r"keys: expected a tensor on cpu as queries, got one on meta", (queries, keys.to("meta"), values), {}),
    ):
        with pytest.raises(ValueError, match=message):
            attention(*arguments, **changes)


def test_autocast_rounds_float32_and_takes_mixtures():
    case = Case(6, 2, 9, 8, 10, ragged=True)
    single = make(case, torch.float32)
    with torch.no_grad():
        for leaf in (*single.leaves, single.d_context):
            leaf.copy_(leaf.bfloat16())
    lower = make(case, torch.bfloat16)
    theirs = run(case, lower)
    with torch.autocast("cpu", torch.bfloat16):
        ours = attention(*single.inputs)
        mixed = attention(single.queries, lower.keys, single.values, *single.inputs[3:])
        other = attention(lower.queries, single.keys, lower.values, *single.inputs[3:])
    assert ours.dtype == torch.bfloat16
    for each in (ours, mixed, other):
        assert torch.equal(each, theirs["context"])
    ours.backward(lower.d_context)
    for name, leaf in zip(GRADIENTS, single.leaves, strict=False):
        assert leaf.grad.dtype == torch.float32
        assert torch.equal(leaf.grad, theirs[name].float()), name


@pytest.mark.parametrize("case", [CASES[6], CASES[15], CASES[18]], ids=lambda case: case.id)
def test_arrays_of_numpy_give_the_same_bits(case):
    given = make(case, torch.float32)
    changes = {"vector": given.vector, "heads": case.heads, "scale": case.scale}
    theirs = attention(*given.inputs, form=case.form, **changes, return_weights=True)
    arrays = [None if each is None else each.detach().numpy() for each in (*given.inputs, given.vector)]
    ours = array_attention(*arrays[:5], **changes | {"vector": arrays[5]})
    for mine, other in zip(ours, theirs, strict=True):
        assert np.array_equal(mine, other.detach().numpy())
    for message, position, wrong in (
        (r"keys: expected float32 as queries, got float64", 1, arrays[1].astype(np.float64)),
        (r"keys: expected \[any, \d+, \d+\], got", 1, arrays[1][:, :0]),
        (r"values: expected \[\d+, \d+, any\], got", 2, arrays[2][:-1]),
        (r"queries: expected float32 or float64, got int64", 0, arrays[0].astype(np.int64)),
    ):
        with pytest.raises(ValueError, match=message):
            array_attention(*[wrong if i == position else each for i, each in enumerate(arrays[:5])])


def test_operators_that_torch_sees_give_the_same():
    case = Case(6, 2, 9, 8, 10, heads=2, ragged=True, dropout=0.2)
    given = make(case)
    ours = run(case, given)

    def context(queries):
        return (attention(queries, *given.inputs[1:], **options(case, given)) * given.d_context).sum()

    torch.manual_seed(case.T)
    assert torch.equal(torch.func.grad(context)(given.queries), ours["d_queries"])
    both = torch.stack([given.queries, given.queries]).detach()
    mapped = torch.vmap(lambda q: attention(q, *given.inputs[1:], heads=2), randomness="error")(both)
    assert torch.equal(mapped[0], mapped[1])
    inputs = [*given.inputs], [0.5, 0.2], "float64 2 0111"
    torch.library.opcheck(torch.ops.rnn_engine.attention.default, inputs, test_utils=("test_schema", "test_faketensor"))


@by_any_dtype
@pytest.mark.parametrize("case", [CASES[i] for i in (3, 6, 11, 12, 14, 15, 18, 19)], ids=lambda case: case.id)
def test_nothing_outside_is_written_and_nothing_of_before_is_read(case, dtype, monkeypatch):
    """Workspace and results lie between red zones and are full of two kinds of dirt before."""
    threads, given = 3, make(case, dtype)
    size, kind = torch.finfo(dtype).bits // 8, native.DTYPES[str(dtype).split(".")[1]]
    sums = 8 if dtype == torch.float64 else 4
    blocks = []

    def guarded(shape, each, dirt):
        count = math.prod(shape) * each
        blocks.append((pool.array((count + 2 * RED_ZONE,)), count))
        blocks[-1][0].fill(dirt)
        return torch.from_numpy(blocks[-1][0])[RED_ZONE : RED_ZONE + count]

    def of(tensor, kind):
        return tensor.view(kind)

    problem = native.AttentionProblem(
        dtype=kind,
        form=int(case.form == "additive"),
        steps=case.T,
        batch=case.B,
        source_steps=case.S,
        key_size=case.A,
        value_size=case.C,
        heads=case.heads,
        scale=case.scale or (1.0 if case.form == "additive" else (case.A // case.heads) ** -0.5),
        dropout=case.dropout,
    )
    value = torch.float64 if sums == 8 else torch.float32
    inputs = tuple(
        None if each is None else each.detach()
        for each in (*given.leaves, *[None] * (4 - len(given.leaves)), given.source_lengths, given.target_lengths)
    )
    for isa in ISAS:
        monkeypatch.setenv("RNN_ENGINE_ISA", isa)
        reference, engine = run(case, given), native.context(threads, isa)
        for dirt in (0xFF, 0x47):
            blocks.clear()
            context = of(guarded((case.T, case.B, case.C), size, dirt), dtype)
            logarithms = of(guarded((case.T, case.B, case.heads), sums, dirt), value)
            weights = of(guarded((case.T, case.B, case.S), sums, dirt), value)
            gradients = [of(guarded(leaf.shape, size, dirt), dtype) for leaf in given.leaves[:3]]
            gradients.append(None if given.vector is None else of(guarded((case.A,), sums, 0), value))  # added to
            forward = guarded((native.attention_workspace(engine, problem, 0),), 1, dirt)
            wanted = 2 ** len(given.leaves) - 1
            backward = guarded((native.attention_workspace(engine, problem, wanted),), 1, dirt)
            seed = seed_of(case)
            native.attention_forward(engine, problem, inputs, (context, logarithms, weights), forward, seed)
            native.attention_backward(
                engine, problem, inputs, logarithms, given.d_context, tuple(gradients), backward, seed
            )
            found = dict(zip(reference, (context, weights, *gradients), strict=False))
            assert equal({name: each.view(reference[name].shape) for name, each in found.items()}, reference)
            for block, count in blocks:
                zone = block[0]
                assert (block[:RED_ZONE] == zone).all()
                assert (block[RED_ZONE + count :] == zone).all()
