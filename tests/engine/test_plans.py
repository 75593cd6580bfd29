"""Plans of random problems: what lies where, what runs when, and what a budget promises."""

import re
from functools import cache, reduce
from operator import or_

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rnn_engine
from rnn_engine import native
from rnn_engine.memory import pool
from rnn_engine.spec import CELLS, SCHEDULES, Memory, StackSpec

PRODUCTS = ("weight gradients", "input gradient")
POLICIES = ("store", "recompute", "checkpoint")
RED_ZONE = 256


@st.composite
def stacks(draw):
    layers = draw(st.integers(1, 4))
    widths = draw(st.lists(st.integers(2, 40), min_size=layers, max_size=layers))
    cell = draw(st.sampled_from(sorted(CELLS)))
    single = CELLS[cell].single_state
    return StackSpec(
        cell=cell,
        input_size=draw(st.integers(1, 40)),
        hidden_size=tuple(widths) if draw(st.booleans()) else widths[0],
        num_layers=layers,
        bias=draw(st.booleans()),
        bidirectional=draw(st.booleans()),
        dropout=draw(st.sampled_from([0.0, 0.3])),
        proj_size=0 if single else draw(st.sampled_from([0, 0, 1])),
        recurrent_dropout=draw(st.sampled_from([0.0, 0.3])),
        zoneout=draw(st.sampled_from([(0.0, 0.0), (0.0 if single else 0.2, 0.0), (0.0 if single else 0.1, 0.3)])),
    )


@st.composite
def calls(draw, longest=60, dtypes=("float32", "float64", "bfloat16")):
    lengths = draw(st.lists(st.integers(1, longest), min_size=1, max_size=12))
    return {
        "lengths": lengths if draw(st.booleans()) else [max(lengths)] * len(lengths),
        "dtype": draw(st.sampled_from(dtypes)),
        "threads": draw(st.integers(1, 4)),
        "schedule": draw(st.sampled_from(SCHEDULES)),
        "input_gradient": draw(st.booleans()),
    }


def least_of(spec, call):
    with pytest.raises(ValueError, match="memory: expected at least") as caught:
        rnn_engine.plan(spec, memory=1, **call)
    return int(re.search(r"at least (\d+) bytes", str(caught.value))[1])


@st.composite
def plans(draw):
    spec, call = draw(stacks()), draw(calls())
    if draw(st.booleans()):
        return spec, rnn_engine.plan(spec, training=False, output=draw(st.booleans()), **call), call
    memory = draw(st.sampled_from([*POLICIES, None]))
    if memory is None:
        least, most = least_of(spec, call), rnn_engine.plan(spec, **call).peak_bytes
        memory = least + int((most - least) * draw(st.floats(0, 1)))
    return spec, rnn_engine.plan(spec, memory=memory, **call), call


@cache
def before(plan):
    """For each tile a set of bits: the tiles that must have run before it begins."""
    found = []
    for tile in plan.tiles:
        found.append(reduce(or_, (found[i] | 1 << i for i in tile.inputs), 0))
    return found


def ordered(plan, a, b):
    """Whether all uses of one buffer must have ended before the other's begin, however tiles run side by side."""
    tiles = [users(plan, buffer) for buffer in (a, b)]
    if len({plan.tiles[indices[0]].kind == "forward" for indices in tiles}) == 2:
        return True  # they are of different calls
    masks = [sum(1 << i for i in indices) for indices in tiles]
    return any(all(masks[one] & ~before(plan)[i] == 0 for i in tiles[other]) for one, other in ((0, 1), (1, 0)))


def users(plan, buffer):
    """The tiles that a buffer is for: those of its pseudo-layer and call that run the recurrence, or all of it."""
    forward = plan.tiles[buffer.first].kind == "forward"
    masks = ("weight gradients",) if plan.spec.recurrent_dropout else ()  # they need the pseudo-layer's
    kinds = ("forward",) if forward else ("replay", "backward", *masks)
    tiles = [i for i, tile in enumerate(plan.tiles) if (tile.kind == "forward") == forward]
    if buffer.layer < 0:
        return tiles
    pseudo_layer = (buffer.layer, buffer.direction)
    return [
        i
        for i in tiles
        if (plan.tiles[i].layer, plan.tiles[i].direction) == pseudo_layer and plan.tiles[i].kind in kinds
    ]


@settings(max_examples=150, deadline=None)
@given(plans())
def test_buffers_that_live_together_lie_apart(planned):
    _, plan, _ = planned
    for arena, size in (("reserve", plan.reserve_bytes), ("workspace", plan.workspace_bytes)):
        buffers = [buffer for buffer in plan.buffers if buffer.arena == arena]
        assert max((b.offset + b.bytes for b in buffers), default=0) <= size
        for i, a in enumerate(buffers):
            assert a.offset % 64 == 0
            assert 0 <= a.first <= a.last < len(plan.tiles), a
            for b in buffers[:i]:
                together = a.first <= b.last and b.first <= a.last
                if plan.groups > 1 and arena == "workspace":
                    together = not ordered(plan, a, b)
                apart = a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset
                assert apart or not together, (a, b)


@settings(max_examples=150, deadline=None)
@given(plans())
def test_every_tile_runs_once_and_after_its_inputs(planned):
    spec, plan, call = planned
    steps = max(call["lengths"])
    done = {}
    for index, tile in enumerate(plan.tiles):
        assert all(i < index for i in tile.inputs), tile
        done.setdefault((tile.kind, tile.layer, tile.direction), []).append((tile.begin, tile.end))
    kinds = {kind for kind, _, _ in done}
    assert kinds >= {"forward"}
    for kind in kinds:
        for layer in range(spec.num_layers):
            for direction in range(spec.directions):
                if kind in PRODUCTS and plan.policies[layer] != "store":
                    assert (kind, layer, direction) not in done
                    continue
                if kind == "input gradient" and (kind, layer, direction) not in done:
                    assert layer == 0
                    assert not call["input_gradient"]
                    continue
                pieces = sorted(done[kind, layer, direction])
                assert [begin for begin, _ in pieces] == [0, *(end for _, end in pieces[:-1])]
                assert pieces[-1][1] == steps
                if kind not in ("forward", "replay"):  # the last steps first, so that gradients can flow
                    assert done[kind, layer, direction] == pieces[::-1]


@settings(max_examples=60, deadline=None)
@given(plans())
def test_inputs_are_all_that_a_tile_reads(planned):
    """Every tile of the layers beside it that shares its time; for products, the steps whose gradients they need."""
    _, plan, call = planned
    steps = max(call["lengths"])

    def time(tile):
        return (tile.begin, tile.end) if tile.direction == 0 else (steps - tile.end, steps - tile.begin)

    for tile in plan.tiles:
        inputs = {plan.tiles[i] for i in tile.inputs}
        stored = tile.layer + 1 < len(plan.policies) and plan.policies[tile.layer + 1] == "store"
        gradient = "input gradient" if stored else "backward"
        beside, kind = (tile.layer + 1, gradient) if tile.kind == "backward" else (tile.layer - 1, tile.kind)
        for other in plan.tiles:
            shared = time(other)[0] < time(tile)[1] and time(tile)[0] < time(other)[1]
            if tile.kind not in PRODUCTS and (other.kind, other.layer) == (kind, beside) and shared:
                assert other in inputs, (tile, other)
            same_lane = (tile.layer, tile.direction) == (other.layer, other.direction)
            if tile.kind in PRODUCTS and other.kind == "backward" and same_lane and shared:
                assert 1 << plan.tiles.index(other) & before(plan)[plan.tiles.index(tile)], (tile, other)


@settings(max_examples=25, deadline=None)
@given(stacks(), calls(), st.floats(0, 1))
def test_budgets_keep_their_promises(spec, call, share):
    least, most = least_of(spec, call), rnn_engine.plan(spec, **call).peak_bytes
    assert rnn_engine.plan(spec, memory=least, **call).peak_bytes <= least
    with pytest.raises(ValueError, match=f"expected at least {least} bytes"):
        rnn_engine.plan(spec, memory=least - 1, **call)
    call["schedule"] = "auto"  # the choice is between what is faster, too
    budgets = sorted({least, least + int((most - least) * share), most})
    made = [rnn_engine.plan(spec, memory=budget, **call) for budget in budgets]
    assert all(plan.peak_bytes <= budget for plan, budget in zip(made, budgets, strict=True))
    assert sorted((plan.seconds for plan in made), reverse=True) == [plan.seconds for plan in made]


@settings(max_examples=25, deadline=None)
@given(stacks(), calls(), st.floats(0, 1))
def test_the_batch_that_is_said_to_fit_fits(spec, call, share):
    budget = int(least_of(spec, call) * share) or 1
    call["lengths"] = sorted(call["lengths"], reverse=True)
    assume(budget < least_of(spec, call))
    with pytest.raises(ValueError, match="would fit") as caught:
        rnn_engine.plan(spec, memory=budget, **call)
    found = re.search(r"a batch of (\d+) would fit", str(caught.value))
    fits = int(found[1]) if found and "not even" not in str(caught.value) else 0
    # A smaller batch shortens every step to at most so many rows, which keeps the first sequences.
    assert fits < len(call["lengths"])
    if fits:
        part = call | {"lengths": call["lengths"][:fits]}
        assert rnn_engine.plan(spec, memory=budget, **part).peak_bytes <= budget
    with pytest.raises(ValueError, match="expected at least"):
        rnn_engine.plan(spec, memory=budget, **(call | {"lengths": call["lengths"][: fits + 1]}))


@settings(max_examples=40, deadline=None)
@given(stacks(), st.integers(1, 64), st.booleans(), st.booleans(), st.sampled_from(SCHEDULES))
def test_memory_without_gradients_does_not_grow_with_length(spec, batch, output, long, schedule):
    assume(not spec.bidirectional)
    asked = {"batch": batch, "training": False, "output": output, "schedule": schedule}
    short = rnn_engine.plan(spec, steps=64, **asked)
    longer = rnn_engine.plan(spec, steps=16384 if long else 65, **asked)
    assert (short.reserve_bytes, longer.reserve_bytes) == (0, 0)
    assert short.workspace_bytes == longer.workspace_bytes


def test_planning_allocates_nothing():
    before = pool.statistics()
    plan = rnn_engine.plan(StackSpec("lstm", 2000, 2000, 8), steps=2000, batch=2000)
    assert plan.peak_bytes > 2**40
    assert len(plan.explain().splitlines()) > 10
    assert pool.statistics() == before


def test_a_plan_can_be_drawn(tmp_path):
    plan = rnn_engine.plan(StackSpec("lstm", 20, 30, 3), steps=20, batch=4, memory="recompute")
    plan.plot(tmp_path / "plan.svg")
    plan.plot(tmp_path / "plan.png")
    assert "<svg" in (tmp_path / "plan.svg").read_text()
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"path: expected \.svg or \.png, got plan\.pdf"):
        plan.plot(tmp_path / "plan.pdf")


def guarded(size, fill):
    """Bytes of `fill`, aligned, with red zones on both sides; returns the whole and the middle."""
    whole = np.full(size + 2 * RED_ZONE + 64, 0xA5, np.uint8)
    start = RED_ZONE + -(whole.ctypes.data + RED_ZONE) % 64
    middle = whole[start : start + size]
    middle[:] = fill
    return whole, middle, start


@settings(max_examples=60, deadline=None)
@given(stacks(), calls(longest=40, dtypes=("float32", "float64")), st.sampled_from(POLICIES), st.integers(0, 2**32 - 1))
def test_no_byte_outside_the_plan_is_touched(spec, call, memory, seed):
    """Nor is anything read that was not written: results do not depend on what lay there, zeros or NaN."""
    rng = np.random.default_rng(seed)
    lengths = sorted(call["lengths"], reverse=True)
    sizes = [sum(length > t for length in lengths) for t in range(lengths[0])]
    options = native.Options(
        training=True,
        dropout=spec.dropout,
        recurrent_dropout=spec.recurrent_dropout,
        zoneout_masks=True,
        memory=Memory(memory),
        schedule=call["schedule"],
        input_gradient=call["input_gradient"],
    )
    context = native.context(call["threads"])
    plan = native.plan(context, spec, call["dtype"], lengths[0], len(lengths), tuple(sizes), options)

    def values(*shape):
        return rng.standard_normal(shape).astype(call["dtype"])

    weights = [values(*shape) for shape in spec.parameter_shapes().values()]
    h, c = (spec.directions * len(lengths) * sum(w) for w in (spec.state_sizes, spec.hidden_sizes))
    x, dy = values(sum(sizes), spec.input_size), values(sum(sizes), spec.output_size)

    def run(fill):
        gradients = [np.zeros_like(p) for p in weights]
        y, hn, cn, dh0, dc0 = (np.full(n, np.nan, x.dtype) for n in (dy.shape, h, c, h, c))
        dx = np.full_like(x, np.nan) if call["input_gradient"] else None
        sizes = (plan.reserve_bytes, plan.forward_workspace_bytes, plan.backward_workspace_bytes)
        blocks = [guarded(size, fill) for size in sizes]
        reserve, workspace, backward_workspace = (middle for _, middle, _ in blocks)
        plan.forward(weights, None, x, None, None, y, None, hn, cn, reserve, workspace)
        plan.backward(
            weights, gradients, x, None, None, y, dy, None, None, None, dx, dh0, dc0, reserve, backward_workspace
        )
        for whole, middle, start in blocks:
            assert (whole[:start] == 0xA5).all()
            assert (whole[start + middle.size :] == 0xA5).all()
        assert all(np.isfinite(forward).all() for forward in (y, hn, cn))
        # Gradients may be as large as they like: a normalised layer whose units are all equal multiplies them by 300.
        return [y, hn, cn, dh0, dc0, dx, *gradients]

    for poisoned, clean in zip(run(0xFF), run(0), strict=True):
        assert (poisoned is None) == (clean is None)
        if poisoned is not None:
            np.testing.assert_array_equal(poisoned, clean)
