"""A call of a layer as an operator of torch's, `rnn_engine::stack`, for whatever records or transforms calls.

The operator keeps nothing for backward, which runs forward again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnn_engine import native
from rnn_engine.nn.autograd import NO_MASKS, Masks, run_backward, run_forward, weights_of
from rnn_engine.nn.batch import Batch, Input, batch_of
from rnn_engine.nn.call import Lengths, Settings, check_input, check_parameters
from rnn_engine.nn.devices import CPU, Device, called_dtype_name, device_of
from rnn_engine.nn.operators import Operator
from rnn_engine.nn.states import State, callers_states, engine_states
from rnn_engine.spec import CELLS, StackSpec
from rnn_engine.states import joined


def recorded(
    settings: Settings, parameters: Sequence[Tensor], input: Input, hx: State | None, lengths: Lengths | None
) -> tuple[Any, State, Any]:
    """As `rnn_engine.nn.call.run`, by an operator that torch sees."""
    if lengths is not None:
        padded: tuple[Any, State, Any] = _padded(settings, parameters, input, hx, lengths)
        return padded
    rows, sizes, order, original = input if isinstance(input, PackedSequence) else (input, None, None, None)
    if isinstance(rows, Tensor) and rows.is_nested:
        raise ValueError(
            "input: expected a dense tensor, got a nested one; lengths= takes sequences of different lengths"
        )
    states = [] if hx is None else _pieces(settings.spec, hx)
    _check_devices(settings.spec, parameters, rows, states)
    if order is not None:
        states = [state.index_select(1, order) for state in states]
    packing = [each for each in (sizes, order) if each is not None]
    call = f"{len(states)} {len(packing)} {called_dtype_name(parameters[0])} {settings.text()}"
    results = _STACK([rows, *states, *packing, *parameters], settings.numbers(), call)
    first = settings.output + settings.cell_output
    last = [results[first + index] for index in range(sum(_counts(settings.spec)))]
    y = results[0] if settings.output else None
    cy = results[first - 1] if settings.cell_output else None
    if original is not None:
        last = [state.index_select(1, original) for state in last]
    if sizes is not None:
        y, cy = (None if each is None else PackedSequence(each, sizes, order, original) for each in (y, cy))
    return y, _state(settings.spec, last), cy


def _check_devices(spec: StackSpec, parameters: Sequence[Tensor], rows: Any, states: list[Tensor]) -> None:
    """Torch would run an operator of tensors on several devices on one of them."""
    weight = parameters[0]
    for name, parameter in zip(spec.parameter_shapes(), parameters, strict=True):
        if parameter.device != weight.device:
            raise ValueError(
                f"{name}: expected a tensor on {weight.device} as other weights, got one on {parameter.device}"
            )
    if isinstance(rows, Tensor) and rows.device != weight.device:
        raise ValueError(f"input: expected a tensor on {weight.device} as the weights, got one on {rows.device}")
    for index, state in enumerate(states):
        if isinstance(state, Tensor) and state.device != weight.device:
            name = "h0" if index < _counts(spec)[0] else "c0"
            raise ValueError(f"{name}: expected a tensor on {weight.device}, got {state.device}")


def _padded(settings: Settings, parameters: Sequence[Tensor], input: Any, hx: Any, lengths: Lengths) -> Any:
    """Through a packed batch and back, by torch's own operators."""
    first = settings.batch_first
    packed = pack_padded_sequence(input, torch.as_tensor(lengths), first, enforce_sorted=False)
    y, last, cy = recorded(settings, parameters, packed, hx, None)
    steps = input.shape[1 if first else 0]
    y, cy = (None if rows is None else pad_packed_sequence(rows, first, 0.0, steps)[0] for rows in (y, cy))
    return y, last, cy


def _counts(spec: StackSpec) -> tuple[int, ...]:
    """Tensors that h is made of, and c: one, or one for each layer; callers see no c of a single state."""
    halves = (spec.state_sizes,) if CELLS[spec.cell].single_state else (spec.state_sizes, spec.hidden_sizes)
    return tuple(1 if len(set(widths)) == 1 else spec.num_layers for widths in halves)


def _pieces(spec: StackSpec, state: Any) -> list[Tensor]:
    """The tensors of a state; their shapes are the operator's to check."""
    single = CELLS[spec.cell].single_state
    if not single and not (isinstance(state, (tuple, list)) and len(state) == len("hc")):
        raise ValueError(f"state: expected (h0, c0), got {type(state).__name__}")
    halves = (state,) if single else state
    return [piece for half in halves for piece in (half if isinstance(half, (tuple, list)) else (half,))]


def _state(spec: StackSpec, pieces: Sequence[Tensor]) -> Any:
    """The inverse of `_pieces`."""
    counts = _counts(spec)
    if len(pieces) != sum(counts):
        raise ValueError(f"state: expected {sum(counts)} tensors, got {len(pieces)}")
    h = joined(pieces[: counts[0]])
    return h if len(counts) == 1 else (h, joined(pieces[counts[0] :]))


class _Given(NamedTuple):
    """What the operator is given."""

    settings: Settings
    dtype: str
    input: Tensor
    states: list[Tensor]
    sizes: Tensor | None
    order: Tensor | None
    parameters: list[Tensor]

    @classmethod
    def of(cls, tensors: list[Tensor], numbers: tuple[float, ...], call: str) -> _Given:
        states, packing, dtype, text = call.split(" ", 3)
        begin, end = 1 + int(states), 1 + int(states) + int(packing)
        sizes, order = [*tensors[begin:end], None, None][:2]
        return cls(Settings.parse(text, numbers), dtype, tensors[0], tensors[1:begin], sizes, order, tensors[end:])


class _Call:
    """What the engine is given in its place.

    Args:
        given: What the operator is given.
        training: Whether gradients are needed.
        input_gradient: Whether the input's is.
    """

    def __init__(self, given: _Given, *, training: bool, input_gradient: bool) -> None:
        settings, weight, dtype = given.settings, given.parameters[0], getattr(torch, given.dtype)
        self.settings, self.parameters, self._order = settings, given.parameters, given.order
        self.device: Device = device_of(weight)
        batch = given.input if given.sizes is None else PackedSequence(given.input, given.sizes)
        check_input(settings.spec, batch, weight, dtype, self.device)
        check_parameters(settings.spec, given.parameters)
        self.batch: Batch = batch_of(self.device, batch, None, settings.batch_first)
        steps, size, sizes = self.batch.steps, self.batch.size, self.batch.sizes
        self.size = size if self.batch.batched else None
        self.x = self.batch.x.to(dtype)
        self.h0: Tensor | None = None
        self.c0: Tensor | None = None
        if given.states:
            state = _state(settings.spec, given.states)
            self.h0, self.c0 = engine_states(settings.spec, state, self.size, weight, dtype)
        options = settings.options(training=training, input_gradient=input_gradient, tf32=self.device.tf32)
        context = self.device.context(torch.get_num_threads())
        self.plan = native.plan(context, settings.spec, given.dtype, steps, size, sizes, options)

    def masks(self, seed: Tensor) -> Masks:
        """What dropout and zoneout draw from."""
        if not self.settings.draws:
            return NO_MASKS
        return Masks(int(seed), None if self._order is None else self._order.cpu())

    def forward(self, masks: Masks) -> Any:
        """Outputs and reserve."""
        weights = weights_of(self.device, self.parameters, self.x.dtype)
        return run_forward(self.device, self.plan, masks, self.x, self.h0, self.c0, weights)

    def turned(self, each: Tensor | None) -> Tensor | None:
        """From the engine's to the caller's order of T and B, or back."""
        return each.transpose(0, 1).contiguous() if each is not None and self.batch.batch_first else each


def _run(tensors: list[Tensor], numbers: list[float], call: str) -> list[Tensor]:
    """Y and c of every step where they are wanted, the tensors of the last states, and the masks' seed."""
    made = _Call(_Given.of(tensors, tuple(numbers), call), training=False, input_gradient=False)
    settings = made.settings
    seed = torch.randint(2**62, (), device=CPU) if settings.draws else torch.zeros((), dtype=torch.int64, device=CPU)
    outputs, _ = made.forward(made.masks(seed))
    wanted = [made.turned(outputs.y) if settings.output else None, made.turned(outputs.cy)]
    last = _pieces(settings.spec, callers_states(settings.spec, outputs.hn, outputs.cn, made.size))
    return [*(each for each in wanted if each is not None), *last, seed]


def _draws(numbers: list[float], call: str) -> bool:
    return Settings.parse(call.split(" ", 3)[-1], tuple(numbers)).draws


def _shapes(tensors: list[Tensor], numbers: list[float], call: str) -> list[Tensor]:
    """What `_run` returns, without values."""
    settings, dtype, input, states, sizes, order, _ = _Given.of(tensors, (0.0,) * len(numbers), call)
    spec = settings.spec
    batch: Any = None
    if sizes is None and input.dim() == len("TBI"):
        batch = input.shape[0 if settings.batch_first else 1]
    elif order is not None:
        batch = order.shape[0]
    elif sizes is not None:
        batch = states[0].shape[1] if states else torch.library.get_ctx().new_dynamic_size()
    h, c = StackSpec.state_shapes.__wrapped__(spec, batch)
    widths = [spec.output_size] * settings.output + [spec.directions * spec.hidden_sizes[-1]] * settings.cell_output
    shapes = [(*input.shape[:-1], width) for width in widths] + [*h, *(() if len(_counts(spec)) == 1 else c)]
    results = [input.new_empty(shape, dtype=getattr(torch, dtype)) for shape in shapes]
    return [*results, torch.empty((), dtype=torch.int64, device=CPU)]


def _gradients(
    upstream: list[Tensor], needed: list[bool], seed: Tensor, tensors: list[Tensor], numbers: list[float], call: str
) -> list[Tensor | None]:
    given = _Given.of(tensors, tuple(numbers), call)
    states, skipped = len(given.states), len(tensors) - len(given.parameters)
    made = _Call(given, training=True, input_gradient=needed[0])
    settings, spec, masks = made.settings, made.settings.spec, made.masks(seed)
    outputs, reserve = made.forward(masks)
    above = [*upstream]
    dy = made.turned(above.pop(0)) if settings.output else None
    dcy = made.turned(above.pop(0)) if settings.cell_output else None
    counts, of_states = _counts(spec), any(needed[1 : 1 + states])
    dhn, dcn = _whole(above[: counts[0]]), _whole(above[counts[0] :])
    wanted = [needed[0], of_states, of_states, *needed[skipped:]]
    saved = (outputs.y, made.x, made.h0, made.c0, *given.parameters)
    dx, dh0, dc0, *formed = run_backward(made.device, made.plan, masks, reserve, saved, (dy, dhn, dcn, dcy), wanted)
    below: list[Tensor | None] = [None] * (skipped - 1)
    if dh0 is not None and dc0 is not None:
        if len(counts) == 1:
            dh0 = dh0 + dc0
        below[:states] = _pieces(spec, callers_states(spec, dh0, dc0, made.size))
    return [made.turned(dx), *below, *formed]


def _whole(pieces: list[Tensor]) -> Tensor | None:
    if len(pieces) > 1:
        return torch.cat([piece.reshape(-1) for piece in pieces])
    return pieces[0] if pieces else None


_STACK = Operator("stack", _run, _shapes, _gradients, draws=_draws)

__all__ = ["recorded"]
