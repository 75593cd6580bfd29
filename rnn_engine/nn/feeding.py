"""Input feeding: attention inside the recurrence, all steps of a target in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rnn_engine import native
from rnn_engine.nn.attention import attention
from rnn_engine.nn.attention_inputs import Lengths, as_lengths
from rnn_engine.nn.attention_inputs import check as check_attention
from rnn_engine.nn.autograd import NO_MASKS, Beside, Masks, run_backward, run_forward, weights_of
from rnn_engine.nn.call import check_input, check_parameters
from rnn_engine.nn.devices import NAMES, called_dtype, device_of
from rnn_engine.nn.feeding_steps import CHUNK, Between, Leaves, Reverse, Step
from rnn_engine.nn.layer import Recurrent
from rnn_engine.nn.linear import linear
from rnn_engine.nn.masks import check_probability, drawn_seed
from rnn_engine.nn.observed import check_backward, observed
from rnn_engine.nn.states import State, callers_states, engine_states
from rnn_engine.spec import Memory


@dataclass(frozen=True)
class Attending:
    """What a step makes of its layers' output h: a = dropout(tanh([context; h] weight^T + bias)).

    The context is attention's for the query h, or h query_weight^T.
    """

    keys: Tensor
    """[S, B, A]."""
    values: Tensor
    """[S, B, C]; may be the same tensor."""
    source_lengths: Lengths | None
    """[B] states of each source, 1 to S; all S if None."""
    weight: Tensor
    """[O, C + H]."""
    bias: Tensor | None = None
    """[O]."""
    query_weight: Tensor | None = None
    """[A, H]; h itself is the query if None."""
    vector: Tensor | None = None
    """[A], of the additive form; the dot form if None."""
    heads: int = 1
    """As for `rnn_engine.attention`."""
    attention_dropout: float = 0.0
    """Probability with which a weight of attention is left out; 0 in evaluation, as the next."""
    dropout: float = 0.0
    """The same of a value of a."""
    per_sentence: bool = False
    """Whether a has one mask for all steps of a sentence."""

    @property
    def scale(self) -> float:
        """What scores are multiplied by."""
        return float((self.keys.shape[2] // self.heads) ** -0.5) if self.vector is None else 1.0

    def leaves(self) -> Leaves:
        """The tensors that gradients may be wanted of."""
        return Leaves(self.keys, self.values, self.weight, self.bias, self.query_weight, self.vector)


def input_feeding(
    layers: Recurrent,
    inputs: Tensor,
    hx: State,
    fed: Tensor,
    attending: Attending,
    *,
    memory: str | int | Memory | None = None,
) -> tuple[Tensor, State]:
    """Runs a decoder's layers, whose first reads at each step what attention made of the step before, too.

    Step t reads [inputs_t; a_(t-1)], its layers put out h_t, and a_t is what `Attending` makes of h_t. For backward
    the vectors a are kept, what the layers read and put out, and what `memory` says of the layers' gates; attention is
    made again for some steps at a time, and gradients of weights are products over many steps.

    Time-major, all targets of one length: a longer one's steps change nothing in those before. On CUDA, and where
    something looks on (tracers, transforms), it is composed of a call for each step and part: without kept gates a
    stretch of steps then runs again in backward.

    Args:
        layers: A one-directional stack without projection, time-major, that reads E + O values.
        inputs: [T, B, E].
        hx: (h, c), of a GRU h alone, before the first step, each [L, B, H].
        fed: [B, O] a before the first step.
        attending: What is attended to, and how.
        memory: As for the layers, in place of their own setting; "recompute" is "checkpoint" here. Bytes count the
            layers' reserve and workspace.

    Returns:
        a of all steps, [T, B, O], and the layers' states after the last.

    Raises:
        ValueError: A shape, dtype, device or value is not what is expected, or the memory is too little.

    Source: Luong et al. 2015, section 3.3.
    """
    _check(layers, inputs, fed, attending)
    parameters = layers.tensors()
    device, leaves = device_of(parameters[0]), attending.leaves()
    if not device.feeds or observed(inputs, hx, fed, *leaves, parameters=parameters):
        return _composed(layers, inputs, hx, fed, attending, memory)
    spec, (steps, batch, _) = layers.spec, inputs.shape
    dtype = called_dtype(parameters[0], device.dtypes)
    check_parameters(spec, parameters)
    h0, c0 = engine_states(spec, hx, batch, parameters[0], dtype)
    lengths = as_lengths(inputs, attending.source_lengths)
    training = torch.is_grad_enabled() and any(
        each is not None and each.requires_grad for each in (inputs, h0, c0, fed, *leaves, *parameters)
    )
    settings = layers.settings(memory, native.STEPS)
    options = settings.options(training=training, input_gradient=training, tf32=False)
    threads = torch.get_num_threads()
    plan = native.plan(device.context(threads), spec, NAMES[dtype], steps, batch, None, options)
    masks = Masks.draw(None) if settings.draws else NO_MASKS
    seeds = [int(drawn_seed().item()) if p else 0 for p in (attending.attention_dropout, attending.dropout)]
    noise = attending.attention_dropout, attending.dropout, attending.per_sentence
    step = Step(device, dtype, threads, attending.heads, attending.scale, *noise, *seeds)
    call = _Call(step, plan, masks, None if lengths is None else lengths.to(torch.int64).contiguous())
    if training:
        vectors, hn, cn = _Feeding.apply(call, inputs, fed, h0, c0, *leaves, *parameters)  # type: ignore[no-untyped-call]
    else:
        vectors, hn, cn, *_ = _forward(call, inputs, fed, h0, c0, leaves, parameters)
    return vectors, callers_states(spec, hn, cn, batch)


def _check(layers: Recurrent, inputs: Tensor, fed: Tensor, attending: Attending) -> None:
    spec, weight = layers.spec, attending.weight
    if spec.bidirectional or spec.proj_size or layers.batch_first:
        raise ValueError("layers: expected time-major ones of one direction without projection")
    if len(set(spec.hidden_sizes)) > 1:
        raise ValueError(f"layers: expected one width, got {list(spec.hidden_sizes)}")
    if inputs.dim() != 3 or 0 in inputs.shape:
        raise ValueError(f"inputs: expected [T, B, E] of at least [1, 1, 1], got {list(inputs.shape)}")
    (_, batch, width), hidden, values = inputs.shape, spec.output_size, attending.values
    if weight.dim() != 2 or weight.shape[1] != values.shape[-1] + hidden:
        raise ValueError(
            f"weight: expected [O, C + H] with C + H = {values.shape[-1]} + {hidden}, got {list(weight.shape)}"
        )
    if width + len(weight) != spec.input_size:
        raise ValueError(
            f"layers: expected ones that read E + O = {width} + {len(weight)} values, got {spec.input_size}"
        )
    if list(fed.shape) != [batch, len(weight)]:
        raise ValueError(f"fed: expected [B, O] = {[batch, len(weight)]}, got {list(fed.shape)}")
    for name, tensor, shape in (
        ("bias", attending.bias, [len(weight)]),
        ("query_weight", attending.query_weight, [attending.keys.shape[-1], hidden]),
    ):
        if tensor is not None and list(tensor.shape) != shape:
            raise ValueError(f"{name}: expected {shape}, got {list(tensor.shape)}")
    check_probability("attention_dropout", attending.attention_dropout)
    check_probability("dropout", attending.dropout)
    parameter, dtypes = layers.tensors()[0], device_of(weight).dtypes
    dtype = called_dtype(parameter, dtypes)
    check_input(spec, torch.empty(0, 0, spec.input_size, dtype=inputs.dtype, device=inputs.device), parameter, dtype,
                device_of(parameter))  # fmt: skip
    asked = attending.keys.shape[-1] if attending.query_weight is not None else hidden
    queries = inputs.new_empty(1).expand(len(inputs), batch, asked)
    lengths = as_lengths(inputs, attending.source_lengths)
    check_attention(
        (queries, attending.keys, attending.values, attending.vector, lengths, None), attending.heads, dtype
    )
    for name, tensor in attending.leaves()._asdict().items():
        if tensor is not None and tensor.device != inputs.device:
            raise ValueError(f"{name}: expected a tensor on {inputs.device} as inputs, got one on {tensor.device}")


@dataclass(frozen=True)
class _Call:
    """One call, beside its tensors."""

    step: Step
    plan: native.Plan
    masks: Masks
    lengths: Tensor | None


def _forward(
    call: _Call,
    inputs: Tensor,
    fed: Tensor,
    h0: Tensor,
    c0: Tensor,
    leaves: Leaves,
    parameters: Sequence[Tensor],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    """Vectors, last states; and what the layers read, what they put out, and their reserve."""
    device, dtype = call.step.device, call.step.dtype
    (steps, batch, width), outputs = inputs.shape, len(leaves.weight)
    x = device.new((steps, batch, width + outputs), dtype)
    x[:, :, :width] = inputs.detach()
    x[0, :, width:] = fed.detach()
    vectors = device.new((steps, batch, outputs), dtype)
    between = Between(call.step, leaves, call.lengths, gradients=False)

    def before_step(y: Tensor, t: int) -> None:
        if t == 0:
            return
        between.run(y[t - 1 : t], t - 1, vectors[t - 1 : t])
        if t < steps:
            x[t, :, width:] = vectors[t - 1]

    weights = weights_of(device, parameters, dtype)
    found, reserve = run_forward(device, call.plan, call.masks, x, h0, c0, weights, Beside(before_step=before_step))
    assert found.y is not None
    before_step(found.y, steps)
    return vectors, found.hn, found.cn, x, found.y, reserve


class _Feeding(torch.autograd.Function):
    """One node of the graph. Backward writes over the reserve; a second one runs the layers forward again first."""

    @staticmethod
    def forward(
        ctx: Any, call: _Call, inputs: Tensor, fed: Tensor, h0: Tensor, c0: Tensor, *tensors: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        leaves, parameters = Leaves(*tensors[: len(Leaves._fields)]), tensors[len(Leaves._fields) :]
        vectors, hn, cn, x, y, reserve = _forward(call, inputs, fed, h0, c0, leaves, parameters)
        ctx.call, ctx.fresh, ctx.types = call, True, (inputs.dtype, fed.dtype)
        ctx.save_for_backward(reserve, vectors, x, y, h0, c0, *tensors)
        ctx.set_materialize_grads(False)
        return vectors, hn, cn

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        check_backward(*upstream)
        if torch.is_grad_enabled():  # only create_graph=True leaves it on here
            raise RuntimeError("rnn_engine: the gradient of a gradient (create_graph=True) is not supported")
        call: _Call = ctx.call
        reserve, vectors, x, y, h0, c0, *tensors = ctx.saved_tensors
        leaves, parameters = Leaves(*tensors[: len(Leaves._fields)]), tensors[len(Leaves._fields) :]
        device, dtype = call.step.device, call.step.dtype
        needed, (d_vectors, dhn, dcn) = ctx.needs_input_grad, upstream
        given = device.zeros(vectors.shape, dtype) if d_vectors is None else device.cast(d_vectors, dtype).contiguous()
        between = Between(call.step, leaves, call.lengths, gradients=True)
        reverse = Reverse(between, call.step, (y, vectors), given, leaves, needed[5 : 5 + len(leaves)])
        shared = reserve if ctx.fresh else None
        ctx.fresh = False
        wanted = [True, *needed[3:5], *needed[5 + len(leaves) :]]
        of_layers = (reverse.d_states, dhn, dcn, None)
        saved = (y, x, h0, c0, *parameters)
        dx, dh0, dc0, *d_parameters = run_backward(
            device, call.plan, call.masks, shared, saved, of_layers, wanted, before_step=reverse.before_step
        )
        assert dx is not None
        width = x.shape[2] - vectors.shape[2]
        d_inputs = dx[:, :, :width].to(ctx.types[0]) if needed[1] else None
        d_fed = dx[0, :, width:].to(ctx.types[1]) if needed[2] else None
        return None, d_inputs, d_fed, dh0, dc0, *reverse.gradients(), *d_parameters


def _composed(
    layers: Recurrent, inputs: Tensor, hx: Any, fed: Tensor, attending: Attending, memory: str | int | Memory | None
) -> tuple[Tensor, State]:
    """The same of a call for each step and part."""
    drops = layers.training and (layers.recurrent_dropout > 0 or (layers.dropout > 0 and layers.num_layers > 1))
    same = drops and (layers.recurrent_dropout > 0 or layers.dropout_mask == "sentence")
    if same and layers.training and any(layers.zoneout):
        raise ValueError(
            f"layers: zoneout with dropout that is the same for all steps is not for input feeding on {inputs.device}"
        )
    mask, seed = None, int(drawn_seed().item()) if same else None
    if attending.dropout and attending.per_sentence:
        mask = functional.dropout(torch.ones_like(fed), attending.dropout)
    policy = Memory.parse(layers.memory if memory is None else memory).policy
    run = partial(_run_steps, layers, attending, mask, seed)
    again = policy != "store" and torch.is_grad_enabled() and not observed(inputs, fed)
    vectors = []
    for stretch in torch.split(inputs, CHUNK):
        if again:
            found, hx, fed = checkpoint(run, stretch, hx, fed, use_reentrant=False)
        else:
            found, hx, fed = run(stretch, hx, fed)
        vectors.append(found)
    return torch.cat(vectors), hx


def _run_steps(
    layers: Recurrent,
    attending: Attending,
    mask: Tensor | None,
    seed: int | None,
    inputs: Tensor,
    hx: Any,
    fed: Tensor,
) -> tuple[Tensor, Any, Tensor]:
    """Some steps: their vectors, the states and the last vector. `seed`: of the layers' masks, if they are the same."""
    vectors = []
    for each in inputs:
        x = torch.cat([each, fed.to(each.dtype)], -1)[None]
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            states, hx = layers(x, hx, memory="store")
        query = states if attending.query_weight is None else linear(states, attending.query_weight)
        form: Any = {"form": "dot"} if attending.vector is None else {"form": "additive", "vector": attending.vector}
        how: Any = {"heads": attending.heads, "dropout": attending.attention_dropout, **form}
        context = attention(query, attending.keys, attending.values, attending.source_lengths, **how)
        dropout = 0.0 if mask is not None else attending.dropout
        fed = linear([context, states], attending.weight, attending.bias, activation="tanh", dropout=dropout)[0]
        fed = fed if mask is None else fed * mask
        vectors.append(fed)
    return torch.stack(vectors), hx, fed


__all__ = ["Attending", "input_feeding"]
