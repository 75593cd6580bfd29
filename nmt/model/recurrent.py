"""The recurrent layers that a model may be built from; in this package alone is the engine imported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnn_engine
from nmt.values import shown_bytes
from rnn_engine import GRU, LSTM, MILSTM, Attending, LayerNormLSTM, LayerNormMILSTM, Memory, Stepper, input_feeding
from rnn_engine.native import STEPS
from rnn_engine.nn.devices import device_of
from rnn_engine.nn.layer import Recurrent
from rnn_engine.spec import CELLS as ENGINE_CELLS

__all__ = [
    "CELLS",
    "NO_NOISE",
    "LayerNoise",
    "Stepper",
    "describe",
    "fastest",
    "fitting",
    "initialise",
    "needs",
    "number_of_states",
    "plan",
    "precisions",
    "recurrent",
    "run",
    "run_fed",
    "share",
    "steppers",
]

_ENGINE: dict[str, type[Recurrent]] = {
    "lstm": LSTM,
    "mi_lstm": MILSTM,
    "layer_norm_lstm": LayerNormLSTM,
    "layer_norm_mi_lstm": LayerNormMILSTM,
    "gru": GRU,
}
_ENGINE_LAYERS = tuple(_ENGINE.values())

CELLS: dict[str, type[nn.Module]] = dict(_ENGINE)
"""Layer class by the name in `model.cell`. A new cell is one more row here (and one more choice in the config)."""


@dataclass(frozen=True)
class LayerNoise:
    """What a stack draws in training."""

    dropout: float = 0.0
    """Probability of dropping an output of every layer but the last."""
    dropout_mask: str = "value"
    """Whether it is drawn for each `value`, or once for all steps of a `sentence`."""
    recurrent_dropout: float = 0.0
    """Probability of dropping a value of the state that a layer goes on from, once for all steps of a sentence."""
    zoneout: float = 0.0
    """Probability with which a value of a state stays what it was; otherwise, this share of each does."""

    @property
    def per_sentence(self) -> bool:
        """Whether what is dropped is dropped at all steps of a sentence."""
        return self.dropout_mask == "sentence"


NO_NOISE = LayerNoise()


def recurrent(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    noise: LayerNoise = NO_NOISE,
    bidirectional: bool = False,
    residual: bool = False,
    memory: str | int = "store",
) -> nn.Module:
    """Build a stack of recurrent layers with this toolkit's initial weights.

    Args:
        cell: A key of `CELLS`.
        input_size: Width of the input, I.
        hidden_size: Width of the state per direction, H.
        num_layers: Layers in the stack, L.
        noise: What is drawn in training.
        bidirectional: Whether a second set of layers reads the sequence from its end.
        residual: Whether each layer above the first puts out what it read, before dropout, plus its state.
        memory: What is kept for the backward pass, as in `model.memory`; bytes are for this stack.

    Returns:
        A module that is called like torch.nn.LSTM, time-major.
    """
    kind, sizes = CELLS[cell], (input_size, hidden_size, num_layers)
    dropout = noise.dropout if num_layers > 1 else 0.0
    if not issubclass(kind, Recurrent):
        other = kind(*sizes, dropout=dropout, bidirectional=bidirectional, residual=residual)
        initialise(other, hidden_size)
        return other
    zoneout = round(noise.zoneout, 6)  # as files hold it
    with torch.random.fork_rng(devices=[], enabled=residual):
        layers = kind(
            *sizes,
            dropout=dropout,
            bidirectional=bidirectional,
            memory=memory,
            recurrent_dropout=noise.recurrent_dropout,
            zoneout=(zoneout if number_of_states(cell) > 1 else 0.0, zoneout),
            residual=residual,
            dropout_mask=noise.dropout_mask,
        )
    if residual:
        _draw_each(layers, cell)
    else:
        initialise(layers, hidden_size)
    return layers


@torch.no_grad()
def _draw_each(layers: Any, cell: str) -> None:
    """Draw each layer as a stack of its own: a seed's weights then do not depend on how many layers there are above."""
    for number in range(layers.num_layers):
        alone = recurrent(cell, layers.hidden_size if number else layers.input_size, layers.hidden_size)
        for name, parameter in alone.named_parameters():
            getattr(layers, name.replace("_l0", f"_l{number}")).copy_(parameter)


def number_of_states(cell: str) -> int:
    """How many arrays a cell goes on from: h and c, or h alone."""
    return 1 if ENGINE_CELLS[cell].single_state else 2


def steppers(stacks: Iterable[Any]) -> tuple[Stepper, ...] | None:
    """Stacks with their weights packed once, for many calls without gradients; None if one has no such thing.

    Args:
        stacks: One-directional ones from `recurrent`.
    """
    stacks = tuple(stacks)
    return tuple(each.stepper() for each in stacks) if all(hasattr(each, "stepper") for each in stacks) else None


def precisions(weight: Tensor) -> tuple[torch.dtype, ...]:
    """Types that layers can compute with on the device of a weight."""
    return device_of(weight).dtypes


def fastest(device: torch.device) -> torch.dtype:
    """The type in which a device multiplies fastest, of float32 and bfloat16."""
    return device_of(torch.empty(0, device=device)).fastest


def share(memory: str | int, stacks: int) -> str | int:
    """Divide a setting for several stacks: bytes become each one's part, a policy stays."""
    settings = Memory.parse(memory)
    return max(1, settings.budget // stacks) if settings.policy == "budget" else memory


def run(
    layers: nn.Module | Stepper, inputs: Tensor, states: tuple[Tensor, ...] | None = None, lengths: Tensor | None = None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Call a stack; where its bytes are too few for a batch, it keeps as little as it can instead of failing.

    Args:
        layers: What `recurrent` made, or its stepper.
        inputs: [T, B, I].
        states: (h0, c0), or (h0,) of a cell with one state; zeros if not given.
        lengths: [B] int64 on the CPU, steps of each sequence; all T if not given.

    Returns:
        Output [T, B, ...], zero beyond a sequence's end, and the states after its last step as they are given.
    """
    given: Any = states[0] if states is not None and len(states) == 1 else states
    if not isinstance(layers, _ENGINE_LAYERS):
        output, last = _run_other(layers, inputs, given, lengths)
    else:
        memory = Memory.parse(layers.memory)
        if memory.policy == "budget":
            steps = inputs.shape[0] if lengths is None else lengths.tolist()
            memory = fitting(layers, steps, inputs.shape[1]) if torch.is_grad_enabled() else Memory.parse("store")
        output, last = layers(inputs, given, lengths=lengths, memory=memory)
    return output, last if isinstance(last, tuple) else (last,)


def feed(layers: Any) -> None:
    """Have `plan` plan a stack as one that runs step by step, by `run_fed`."""
    layers.fed = True


def run_fed(
    layers: Any, inputs: Tensor, states: tuple[Tensor, ...], fed: Tensor, attending: Attending
) -> tuple[Tensor, tuple[Tensor, ...]] | None:
    """Call a stack that reads, beside its input, what attention made of the step before; see `input_feeding`.

    Args:
        layers: What `recurrent` made, and `feed` was told of.
        inputs: [T, B, E].
        states: (h0, c0), or (h0,) of a cell with one state.
        fed: [B, H], what it reads at the first step.
        attending: What attention looks at, and what is made of it.

    Returns:
        What attention made of each step [T, B, H], and the states after the last; None of a layer of others in `CELLS`.
    """
    if not isinstance(layers, _ENGINE_LAYERS):
        return None
    memory = fitting(layers, inputs.shape[0], inputs.shape[1]) if torch.is_grad_enabled() else Memory.parse("store")
    given: Any = states[0] if len(states) == 1 else states
    vectors, last = input_feeding(layers, inputs, given, fed, attending, memory=memory)
    return vectors, last if isinstance(last, tuple) else (last,)


def _run_other(layers: Any, inputs: Tensor, states: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
    """A stepper, or a layer of others in `CELLS`, which knows of lengths by packed sequences alone."""
    if lengths is None:
        output, last = layers(inputs, states)
        return output, last
    output, last = layers(pack_padded_sequence(inputs, lengths, enforce_sorted=False), states)
    return pad_packed_sequence(output, total_length=len(inputs))[0], last


def plan(layer: Any, lengths: list[int] | int, batch: int, memory: str | int | Memory | None = None) -> rnn_engine.Plan:
    """Ask what a training step of a stack needs.

    Args:
        layer: What `recurrent` made.
        lengths: Steps of each sequence, or of all.
        batch: B.
        memory: In place of the layer's own.

    Returns:
        The plan, of autocast's type where that is on.

    Raises:
        ValueError: The bytes are too few.
    """
    weight = next(layer.parameters())
    kind = weight.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    of_length: dict[str, Any] = {"lengths": lengths}
    if isinstance(lengths, int):
        of_length = {"steps": lengths, "batch": batch}
    return rnn_engine.plan(
        layer,
        **of_length,
        memory=layer.memory if memory is None else memory,
        schedule=STEPS if getattr(layer, "fed", False) and device_of(weight).feeds else "auto",
        threads=torch.get_num_threads(),
        dtype=str(dtype).removeprefix("torch."),
        device=device_of(weight).name,
    )


def fitting(layer: Any, lengths: list[int] | int, batch: int) -> Memory:
    """Return the layer's memory setting, or the smallest there is where its bytes are too few for such a batch."""
    settings = Memory.parse(layer.memory)
    if settings.policy == "budget":
        try:
            plan(layer, lengths, batch)
        except ValueError:
            return Memory.parse("checkpoint")
    return settings


def needs(layer: Any, lengths: list[int] | int, batch: int) -> tuple[int, int]:
    """Tell the bytes that a training step of a stack keeps from forward to backward, and those inside one call.

    Args:
        layer: What `recurrent` made.
        lengths: Steps of each sequence, or of all.
        batch: B.
    """
    if not isinstance(layer, _ENGINE_LAYERS):  # a layer of others in CELLS: as much as one of the engine keeps at most
        rows = sum(lengths) if isinstance(lengths, list) else lengths * batch
        return 4 * 12 * rows * layer.hidden_size * layer.num_layers * (1 + layer.bidirectional), 0
    planned = plan(layer, lengths, batch, fitting(layer, lengths, batch))
    return planned.reserve_bytes, planned.workspace_bytes


def describe(layer: Any, lengths: list[int] | int, batch: int) -> dict[str, Any]:
    """Tell what a stack does about memory in a training step, ready for JSON.

    Args:
        layer: What `recurrent` made.
        lengths: Steps of each sequence, or of all.
        batch: B.

    Returns:
        `layers` (the policy of each), `reserve_bytes`, `workspace_bytes`, and in words `why`.
    """
    reserve, workspace = needs(layer, lengths, batch)
    if not isinstance(layer, _ENGINE_LAYERS):
        return {
            "layers": [],
            "reserve_bytes": reserve,
            "workspace_bytes": workspace,
            "why": "not a layer of rnn_engine",
        }
    asked, taken = Memory.parse(layer.memory), fitting(layer, lengths, batch)
    policies = list(plan(layer, lengths, batch, taken).policies)
    stored = plan(layer, lengths, batch, "store").peak_bytes
    if asked.policy != "budget":
        why = f"model.memory is {asked.policy}"
        if policies != [asked.policy] * len(policies):
            why += ", which a bidirectional stack does as recompute"
    elif taken.policy != "budget":
        why = f"{shown_bytes(asked.budget)} are too few even for the smallest there is, which is taken"
    elif set(policies) == {"store"}:
        why = f"all of it, {shown_bytes(stored)}, fits {shown_bytes(asked.budget)}"
    else:
        why = f"to store all takes {shown_bytes(stored)}; this is the fastest within {shown_bytes(asked.budget)}"
    return {"layers": policies, "reserve_bytes": reserve, "workspace_bytes": workspace, "why": why}


@torch.no_grad()
def initialise(layer: nn.Module, hidden_size: int) -> None:
    """Draw the weights of a recurrent layer.

    Every gate has its own block of rows: Glorot-uniform for the input, orthogonal for the recurrence (which then
    neither swells nor shrinks the state), and a forget gate that starts open, so that gradients reach far back from
    the first step. Parameters with other names, such as those of multiplicative integration, keep what their layer
    gave them.

    Args:
        layer: The layer; its parameters are changed in place.
        hidden_size: H, the height of a gate's block of rows; gates are ordered i, f, g, o.

    Source: Saxe et al. 2014 (orthogonal weights); Jozefowicz et al. 2015, section 2.2 (forget-gate bias 1).
    """
    names = [name for name, _ in layer.named_parameters()]
    # Multiplicative integration multiplies bias_ih by the recurrent part; its own bias is the one that opens a gate.
    opening = "bias_l" if any(name.startswith("bias_l") for name in names) else "bias_ih"
    for name, parameter in layer.named_parameters():
        if name.startswith("weight_ih"):
            for gate in torch.split(parameter, hidden_size):  # [H, I]
                nn.init.xavier_uniform_(gate)
        elif name.startswith("weight_hh"):
            for gate in torch.split(parameter, hidden_size):  # [H, H]
                nn.init.orthogonal_(gate)
        elif name.startswith("bias"):
            parameter.zero_()
            if name.startswith(opening):
                parameter[hidden_size : 2 * hidden_size] = 1.0
