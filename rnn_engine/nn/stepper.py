"""One step after another, forward only: decoding, streaming."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.nn.autograd import NO_MASKS, Beside, run_forward, weights_of
from rnn_engine.nn.call import check_parameters
from rnn_engine.nn.devices import NAMES, device_of
from rnn_engine.nn.observed import observed
from rnn_engine.nn.states import State, callers_states, engine_states
from rnn_engine.spec import StackSpec


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

    def __init__(self, spec: StackSpec, parameters: Sequence[Tensor], threads: int) -> None:
        if spec.bidirectional:
            raise ValueError("stepper: expected a one-directional stack, got a bidirectional one")
        self.spec = spec
        check_parameters(spec, parameters)
        self._like = parameters[0].detach()
        self._device = device_of(self._like)
        self._context = self._device.context(threads)
        self._options = native.Options(training=False, prepacked=self._device.packs, tf32=self._device.tf32)
        self._weights = weights_of(self._device, [p.detach() for p in parameters], self._like.dtype)
        self._packed = None
        if self._device.packs:
            plan = self._plan(1, 1)
            self._packed = self._device.new((plan.packed_bytes,), torch.uint8)
            plan.pack(self._weights, self._packed, self._device.stream())

    def __repr__(self) -> str:
        like = self._like
        return f"<Stepper: {self.spec.describe()}, {like.dtype}, {like.device}, {self._context.threads} threads>"

    def _plan(self, steps: int, batch: int) -> native.Plan:
        return native.plan(self._context, self.spec, NAMES[self._like.dtype], steps, batch, None, self._options)

    def __call__(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs some steps.

        Args:
            x: [T, B, I], or [B, I] for a single step.
            state: (h, c), for a GRU h alone, before them, as for the layer; zeros if None.

        Returns:
            output [T, B, R] ([B, R]), and (h, c) after the steps.

        Raises:
            ValueError: A shape or dtype is not what the stack expects.
            RuntimeError: The call is recorded or transformed (torch.jit.trace, vmap, ...).
        """
        if torch.compiler.is_compiling():  # as a decorator it would load torch's compiler: 70 MiB and a second
            run = torch.compiler.disable(self._run)  # type: ignore[no-untyped-call]
            found: tuple[Tensor, State] = run(x, state)
            return found
        return self._run(x, state)

    def _run(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        if x.device != self._like.device:
            raise ValueError(f"x: expected a tensor on {self._like.device} as the weights, got one on {x.device}")
        if observed(x, state):
            raise RuntimeError(
                "Stepper: expected a call of its own, got one that is recorded or transformed; call the layer there"
            )
        shape, like = x.shape, self._like
        if len(shape) not in (2, 3) or 0 in shape or shape[-1] != self.spec.input_size:
            raise ValueError(f"x: expected [B, I] or [T, B, I] with I = {self.spec.input_size}, got {list(shape)}")
        if x.dtype != like.dtype:
            raise ValueError(f"x: expected {like.dtype} as the weights, got {x.dtype}")
        steps, batch = (1, shape[0]) if len(shape) == 2 else shape[:2]
        h0, c0 = (None, None) if state is None else engine_states(self.spec, state, batch, like, like.dtype)
        outputs, _ = run_forward(
            self._device, self._plan(steps, batch), NO_MASKS, x, h0, c0, self._weights, Beside(self._packed)
        )
        assert outputs.y is not None
        return outputs.y, callers_states(self.spec, outputs.hn, outputs.cn, batch)
