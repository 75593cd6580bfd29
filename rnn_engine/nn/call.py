"""A call of a stack on tensors at hand, and what it depends on beside them."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from rnn_engine import native
from rnn_engine.nn.autograd import NO_MASKS, Masks, run_stack
from rnn_engine.nn.batch import Input, batch_of
from rnn_engine.nn.devices import NAMES, Device, called_dtype, device_of, either
from rnn_engine.nn.states import State, callers_states, engine_states
from rnn_engine.spec import Memory, StackSpec

Lengths = Tensor | Sequence[int]


class Settings(NamedTuple):
    """What a call depends on, beside its tensors; all of it is numbers and words.

    Attributes:
        spec: The stack.
        batch_first: Whether dense batches are [B, T, ...].
        output: Whether y is wanted.
        cell_output: Whether c of all steps of the last layer is wanted.
        dropout: Probability between layers in this call.
        recurrent_dropout: Probability for h before U in this call.
        zoneout_masks: Whether zoneout draws masks.
        memory: What is kept for backward.
        schedule: How threads share the work.
    """

    spec: StackSpec
    batch_first: bool
    output: bool
    cell_output: bool
    dropout: float
    recurrent_dropout: float
    zoneout_masks: bool
    memory: Memory
    schedule: str

    @property
    def draws(self) -> bool:
        """Whether the call draws masks."""
        return bool(self.dropout or self.recurrent_dropout or self.zoneout_masks)

    def options(self, *, training: bool, input_gradient: bool, tf32: bool) -> native.Options:
        """Those of the call's plan."""
        return native.Options(
            training=training,
            output=self.output,
            cell_output=self.cell_output,
            input_gradient=input_gradient,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            zoneout_masks=self.zoneout_masks,
            memory=self.memory,
            schedule=self.schedule,
            tf32=tf32,
        )

    def text(self) -> str:
        """What `parse` reads, beside the numbers: operators in a graph take words, not objects."""
        s = self.spec
        stack = s.cell, s.input_size, s.hidden_size, s.num_layers, s.bias, s.bidirectional, s.proj_size
        flags = self.batch_first, self.output, self.cell_output, self.zoneout_masks
        return repr((*stack, *flags, self.memory.policy, self.memory.budget, self.schedule, s.residual, s.dropout_mask))

    def numbers(self) -> list[float]:
        """The probabilities, which a compiler does not turn into words."""
        return [self.dropout, self.recurrent_dropout, *self.spec.zoneout]

    @classmethod
    @lru_cache(maxsize=64)
    def parse(cls, text: str, numbers: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)) -> Settings:
        """Reads what `text` and `numbers` wrote."""
        words = literal_eval(text)
        dropout, recurrent, *zoneout = numbers
        cell, inputs, hidden, layers, bias, bidirectional, projection = words[:7]
        rates = recurrent, (zoneout[0], zoneout[1])
        batch_first, output, cells, masks, policy, budget, schedule = words[7:14]
        further = words[14:]  # none in a graph that was exported before there were any
        spec = StackSpec(cell, inputs, hidden, layers, bias, bidirectional, dropout, projection, *rates, *further)
        return cls(spec, batch_first, output, cells, dropout, recurrent, masks, Memory(policy, budget), schedule)


def run(
    settings: Settings, parameters: Sequence[Tensor], input: Input, hx: State | None, lengths: Lengths | None
) -> tuple[Any, State, Any]:
    """Runs a stack; differentiable where gradients are wanted.

    Returns:
        Output, states and cell states in the form of the input; None where they are not wanted.

    Raises:
        ValueError: As `Recurrent.forward`.
        TypeError: The same.
    """
    weight = parameters[0]
    device = device_of(weight)
    dtype = called_dtype(weight, device.dtypes)
    check_input(settings.spec, input, weight, dtype, device)
    check_parameters(settings.spec, parameters)
    batch = batch_of(device, input, lengths, settings.batch_first)
    x = batch.x if batch.x.dtype == dtype else batch.x.to(dtype)
    size = batch.size if batch.batched else None
    h0, c0 = (None, None) if hx is None else engine_states(settings.spec, hx, size, weight, dtype, batch.order)
    needed = torch.is_grad_enabled()
    training = needed and _any_requires_grad(x, h0, c0, *parameters)
    options = settings.options(training=training, input_gradient=needed and x.requires_grad, tf32=device.tf32)
    context = device.context(torch.get_num_threads())
    plan = native.plan(context, settings.spec, NAMES[dtype], batch.steps, batch.size, batch.sizes, options)
    masks = Masks.draw(batch.ids) if settings.draws else NO_MASKS
    outputs = run_stack(device, plan, masks, x, h0, c0, parameters, batch.batch_first)
    last = callers_states(settings.spec, outputs.hn, outputs.cn, size, batch.original)
    return batch.callers(outputs.y) if settings.output else None, last, batch.callers(outputs.cy)


def check_input(spec: StackSpec, input: Input, weight: Tensor, dtype: torch.dtype, device: Device) -> None:
    """Raises where an input is none that the stack could take; `dtype` is what the call computes in."""
    x = input.data if isinstance(input, PackedSequence) else input
    if not isinstance(x, Tensor):
        raise TypeError(f"input: expected a tensor or a PackedSequence, got {type(x).__name__}")
    if x.layout != torch.strided or x.is_nested:
        given = "a nested one; lengths= takes sequences of different lengths" if x.is_nested else x.layout
        raise ValueError(f"input: expected a dense tensor, got {given}")
    shape = x.shape
    if len(shape) not in (2, 3):
        raise ValueError(f"input: expected 2 or 3 dimensions, got {len(shape)} ({list(shape)})")
    if shape[-1] != spec.input_size:
        raise ValueError(f"input: expected last dimension I = {spec.input_size}, got {list(shape)}")
    if x.dtype not in (dtype, weight.dtype):
        raise ValueError(f"input: expected {weight.dtype} as the weights, got {x.dtype}")
    if x.device != weight.device:
        raise ValueError(f"input: expected a tensor on {weight.device} as the weights, got one on {x.device}")
    if weight.dtype not in device.dtypes:
        raise ValueError(f"weights: expected {either(device.dtypes)} on {x.device}, got {weight.dtype}")


def check_parameters(spec: StackSpec, parameters: Sequence[Tensor]) -> None:
    """Raises where one has another shape than the stack's: they may be anything that stands in a parameter's place."""
    names, shapes = _shapes(spec)
    if [parameter.shape for parameter in parameters] == shapes:
        return
    for name, shape, parameter in zip(names, shapes, parameters, strict=True):
        if parameter.shape != shape:
            raise ValueError(f"{name}: expected {list(shape)}, got {list(parameter.shape)}")


@lru_cache(maxsize=256)
def _shapes(spec: StackSpec) -> tuple[list[str], list[tuple[int, ...]]]:
    return [*spec.parameter_shapes()], [*spec.parameter_shapes().values()]


def _any_requires_grad(*tensors: Tensor | None) -> bool:
    return any(tensor is not None and tensor.requires_grad for tensor in reversed(tensors))


__all__ = ["Lengths", "Settings", "check_input", "check_parameters", "run"]
