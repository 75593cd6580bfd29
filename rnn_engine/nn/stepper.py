"""One step after another, forward only: decoding, streaming."""

from __future__ import annotations

import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.nn.autograd import Call, lanes_of, run_forward
from rnn_engine.nn.devices import Arena, device_of
from rnn_engine.nn.states import State, flat_states, shaped_states
from rnn_engine.spec import StackSpec
from rnn_engine.states import pair_of, state_of


class Stepper:
    """Runs a one-directional stack on few steps at a time, with weights packed once.

    On the CPU a layer called on single steps packs its weights at every call, which then takes longer than the step. A
    stepper keeps them packed: make a new one when the weights have changed.

    Args:
        spec: The stack; without dropout in effect, and with zoneout's expectation.
        parameters: As for `run_stack`.
        threads: CPU threads.

    Raises:
        ValueError: The stack is bidirectional: its reverse direction begins with the last step.
    """

    def __init__(self, spec: StackSpec, parameters: list[Tensor | None], threads: int) -> None:
        if spec.bidirectional:
            raise ValueError("stepper: expected a one-directional stack, got a bidirectional one")
        self.spec = spec
        self._threads = threads
        self._parameters = [None if p is None else p.detach() for p in parameters]
        self._like = next(p for p in self._parameters if p is not None)
        self._device = device_of(self._like)
        self._packed = self._pack() if self._device.packs else None

    def _pack(self) -> Arena:
        dtype, device = self._like.dtype, self._device
        problem = native.make_problem(
            self.spec, str(dtype).removeprefix("torch."), steps=1, batch=1, training=False, prepacked=True
        )
        context = device.context(self._threads)
        packed = device.arena(context.packed_bytes(problem))
        device.call(context.pack, problem, lanes_of(self.spec, self._parameters, dtype), packed.array)
        return packed

    def __call__(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs some steps.

        Args:
            x: [T, B, I], or [B, I] for a single step.
            state: (h, c), for a GRU h alone, before them, as for the layer; zeros if None.

        Returns:
            output [T, B, R] ([B, R]), and (h, c) after the steps.

        Raises:
            ValueError: A shape or dtype is not what the stack expects.
        """
        single = x.dim() == 2
        if x.dim() not in (2, 3) or 0 in x.shape or x.shape[-1] != self.spec.input_size:
            raise ValueError(f"x: expected [B, I] or [T, B, I] with I = {self.spec.input_size}, got {list(x.shape)}")
        like = self._like
        if x.dtype != like.dtype:
            raise ValueError(f"x: expected {like.dtype} as the weights, got {x.dtype}")
        if x.device != like.device:
            raise ValueError(f"x: expected a tensor on {like.device} as the weights, got one on {x.device}")
        steps, batch = (1, x.shape[0]) if single else (x.shape[0], x.shape[1])
        h0, c0 = flat_states(self.spec, pair_of(self.spec, state), batch, like)
        call = Call(self.spec, [batch] * steps, threads=self._threads)
        with torch.no_grad():
            plan = call.plan(self._device, like.dtype, training=False, prepacked=self._packed is not None)
            outputs, _ = run_forward(
                call, self._device, plan, x.reshape(steps * batch, -1), h0, c0, self._parameters, packed=self._packed
            )
        assert outputs.y is not None
        y = outputs.y if single else outputs.y.view(steps, batch, -1)
        return y, state_of(self.spec, shaped_states(self.spec, outputs.hn, outputs.cn, batch))
