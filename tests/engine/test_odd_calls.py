"""Calls as torch.nn.LSTM gets them in real programs: the same result and gradients, or one clear error."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils._pytree import tree_leaves

import rnn_engine

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

X, H, C = torch.randn(5, 2, 3), torch.randn(4, 2, 4), torch.randn(4, 2, 4)


def pair(kind):
    """torch's layer and ours with the same weights, and the state of a call."""
    theirs, ours = (getattr(module, kind)(3, 4, 2, bidirectional=True) for module in (nn, rnn_engine))
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours, (H if kind == "GRU" else (H, C))


def both_ways(work):
    """Whatever `work(layer, state)` returns must be the same."""
    for kind in ("LSTM", "GRU"):
        theirs, ours, state = pair(kind)
        found, expected = (tree_leaves(work(layer, state)) for layer in (ours, theirs))
        for a, b in zip(found, expected, strict=True):
            if isinstance(a, torch.Tensor):
                torch.testing.assert_close(a, b, equal_nan=True)
            else:
                assert a == b


@pytest.mark.parametrize("wanted", list(itertools.product((False, True), repeat=4)))
def test_whatever_part_wants_gradients(wanted):
    def work(layer, state):
        x = X.clone().requires_grad_(wanted[0])
        halves = [each.clone().requires_grad_(wanted[1]) for each in (state if isinstance(state, tuple) else (state,))]
        for name, parameter in layer.named_parameters():
            parameter.requires_grad_(wanted[2] if "_l0" in name else wanted[3])
        y, last = layer(x, halves[0] if len(halves) == 1 else tuple(halves))
        if any(wanted):
            (y.square().sum() + sum(each.square().sum() for each in tree_leaves(last))).backward()
        leaves = [x, *halves, *layer.parameters()]
        return y, last, y.requires_grad, [leaf.grad for leaf in leaves]

    both_ways(work)


def of_parts(layer, state):
    """Only some of the outputs are used."""
    y, _ = layer(X)
    y[2, 1].sum().backward()
    return [p.grad for p in layer.parameters()]


def two_calls(layer, state):
    """In one graph, the second from the state of the first."""
    y, last = layer(X, state)
    again, _ = layer(X.flip(0), last)
    (y.sum() + 2 * again.square().sum()).backward()
    return [p.grad for p in layer.parameters()]


def of_nothing(layer, state):
    y, _ = layer(X)
    return torch.autograd.grad(y, list(layer.parameters()), torch.full_like(y, float("nan")))


def tied(layer, state):
    layer.weight_hh_l1_reverse = layer.weight_hh_l1
    layer(X)[0].square().sum().backward()
    return layer.weight_hh_l1.grad, len(list(layer.parameters()))


def strided_states(layer, state):
    turn = lambda each: each.transpose(0, 1).contiguous().transpose(0, 1)  # noqa: E731
    return layer(X, tuple(map(turn, state)) if isinstance(state, tuple) else turn(state))


def expanded_states(layer, state):
    spread = lambda each: each[:, :1].expand_as(each)  # noqa: E731
    return layer(X, tuple(map(spread, state)) if isinstance(state, tuple) else spread(state))


def unsorted(layer, state):
    y, last = layer(pack_padded_sequence(X, torch.tensor([3, 5]), enforce_sorted=False), state)
    return y.data, last


def checked_for_anomalies(layer, state):
    with torch.autograd.detect_anomaly(check_nan=True):
        return of_parts(layer, state)


def deterministic(layer, state):
    torch.use_deterministic_algorithms(True)
    try:
        return layer(X, state), of_parts(layer, state)
    finally:
        torch.use_deterministic_algorithms(False)


def another_default_dtype(layer, state):
    torch.set_default_dtype(torch.float64)
    try:
        return layer(X, state), of_parts(layer, state)
    finally:
        torch.set_default_dtype(torch.float32)


def another_default_device(layer, state):
    with torch.device("meta"):
        return layer(X, state)


def in_shared_memory(layer, state):
    layer = copy.deepcopy(layer).share_memory()
    return layer(X, state), all(p.is_shared() for p in layer.parameters())


def replicated(layer, state):
    """As torch.nn.DataParallel does it."""
    replica = layer._replicate_for_data_parallel()
    for name, parameter in layer.named_parameters():
        setattr(replica, name, parameter * 1)
    return replica(X, state), of_parts(layer, state)


def assigned(layer, state):
    with torch.device("meta"):
        empty = type(layer)(3, 4, 2, bidirectional=True)
    empty.load_state_dict(layer.state_dict(), assign=True)
    return empty(X, state)


def in_another_type(layer, state):
    layer = layer.double()
    state = tuple(each.double() for each in state) if isinstance(state, tuple) else state.double()
    return layer(X.double(), state), layer.float()(X)


def with_hooks(layer, state):
    seen = []
    layer.register_forward_pre_hook(lambda module, given: seen.append(len(given)))
    layer.register_full_backward_hook(lambda module, below, above: seen.append(len(below)))
    layer.weight_hh_l0.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    layer(X.clone().requires_grad_())[0].square().sum().backward()
    return seen


WORKS = (
    of_parts,
    two_calls,
    of_nothing,
    tied,
    strided_states,
    expanded_states,
    unsorted,
    checked_for_anomalies,
    deterministic,
    another_default_dtype,
    another_default_device,
    in_shared_memory,
    replicated,
    assigned,
    in_another_type,
    with_hooks,
)


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_as_torchs_layer(work):
    both_ways(work)


@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"zoneout": (0.1, 0.1)}], ids=str)
def test_masks_do_not_depend_on_the_default_device(options):
    layer, results = rnn_engine.LSTM(3, 40, 2, **options), []
    for device in ("cpu", "meta"):
        torch.manual_seed(1)
        with torch.device(device):
            results.append(layer(X, lengths=[3, 5])[0])
    assert torch.equal(*results)


def test_losses_do_not_depend_on_the_default_device():
    hidden, weight, targets = torch.randn(5, 4), torch.randn(7, 4), torch.arange(5)
    with torch.device("meta"):
        loss = rnn_engine.linear_cross_entropy(hidden, weight, targets).loss
    torch.testing.assert_close(loss, nn.functional.cross_entropy(hidden @ weight.T, targets))


def replaced(name, tensor):
    layer = rnn_engine.LSTM(3, 4, 2)
    delattr(layer, name)
    setattr(layer, name, tensor)
    return layer


REFUSED = {
    "transposed": (
        lambda: replaced("weight_hh_l1", torch.zeros(4, 16)),
        r"weight_hh_l1: expected \[16, 4\], got \[4, 16\]",
    ),
    "flat": (lambda: replaced("weight_ih_l0", torch.zeros(48)), r"weight_ih_l0: expected \[16, 3\], got \[48\]"),
    "too small": (lambda: replaced("bias_hh_l0", torch.zeros(4)), r"bias_hh_l0: expected \[16\], got \[4\]"),
    "nothing": (lambda: replaced("bias_hh_l0", None), r"bias_hh_l0: expected a tensor, got None"),
    "nowhere": (
        lambda: replaced("weight_hh_l1", torch.zeros(16, 4, device="meta")),
        r"weight_hh.*: expected a (contiguous array on the CPU|tensor on cpu as other weights, got one on meta)",
    ),
}


@pytest.mark.parametrize(("layer", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_stand_in_the_place_of_a_parameter(layer, message):
    for run in (lambda layer: layer(X), lambda layer: torch.jit.trace(layer, (X,))):
        with pytest.raises(ValueError, match=message):
            run(layer())
    if "meta" not in message:
        with pytest.raises(ValueError, match=message):
            layer().stepper()
