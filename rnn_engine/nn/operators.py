"""How the engine's calls become operators of torch's, which tracers, compilers and transforms see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from rnn_engine.nn.observed import transformed

_Run = Callable[[list[Tensor], list[float], str], list[Tensor]]
_Gradients = Callable[[list[Tensor], list[bool], Tensor, list[Tensor], list[float], str], list[Tensor | None]]
_Draws = Callable[[list[float], str], bool]

_NO_FORWARD_MODE = (
    "rnn_engine: forward-mode differentiation (jvp, jacfwd, dual tensors) is not supported; take gradients backward "
    "(grad, vjp, jacrev)"
)


class Operator:
    """An operator `rnn_engine::name` of tensors, numbers and words, and `rnn_engine::name_backward`, its gradient.

    It decides everything when it runs, so that a graph in which it stands is right for other numbers and sizes than
    those that it was recorded with; and it keeps nothing for its gradient but what it is given and its last result.
    Under `torch.vmap` it runs once for each entry of the batch.

    Args:
        name: Its name.
        run: From tensors with memory, numbers and words to new tensors.
        shapes: The same for tensors that have no values.
        gradients: From the gradients of those results that are floating-point numbers; which gradients are needed; the
            last result; and what `run` is given: to the needed gradients of the tensors.
        draws: Whether, with such numbers and words, it takes numbers from torch's generator; None: never.
    """

    def __init__(
        self, name: str, run: _Run, shapes: _Run, gradients: _Gradients, *, draws: _Draws | None = None
    ) -> None:
        def run_backward(
            upstream: list[Tensor], needed: list[bool], last: Tensor, tensors: list[Tensor], *words: Any
        ) -> list[Tensor]:
            found = gradients(upstream, needed, last, tensors, *words)
            pairs = zip(found, needed, tensors, strict=True)
            return [each.new_empty((0,)) if g is None or not n else g.to(each.dtype) for g, n, each in pairs]

        def shapes_backward(
            upstream: list[Tensor], needed: list[bool], last: Tensor, tensors: list[Tensor], *words: Any
        ) -> list[Tensor]:
            return [each.new_empty(each.shape if n else (0,)) for n, each in zip(needed, tensors, strict=True)]

        arguments = "Tensor[] tensors, float[] numbers, str call) -> Tensor[]"
        self.forward = _defined(name, f"({arguments}", run, shapes, draws)
        self.backward = _defined(
            f"{name}_backward",
            f"(Tensor[] upstream, bool[] needed, Tensor last, {arguments}",
            run_backward,
            shapes_backward,
            None,
        )

        def set_up(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
            tensors, numbers, call = inputs
            _keep(ctx, self, tensors, numbers, call, output)

        def backward(ctx: Any, upstream: list[Tensor]) -> tuple[Any, None, None]:
            return _gradients_of(ctx, upstream, [*ctx.needs_input_grad[0]], self.backward), None, None

        torch.library.register_autograd(f"rnn_engine::{name}", backward, setup_context=set_up)
        torch.library.register_autograd(f"rnn_engine::{name}_backward", _refuse)

    def __call__(self, tensors: Sequence[Tensor], numbers: list[float], call: str) -> Any:
        """The results, to be taken by index."""
        _check_no_tangents(tensors)
        if transformed():
            return _Transformed.apply(self, numbers, call, *tensors)  # type: ignore[no-untyped-call]
        return self.forward([*tensors], numbers, call)


def _defined(name: str, schema: str, run: Callable[..., Any], shapes: Callable[..., Any], draws: _Draws | None) -> Any:
    qualified = f"rnn_engine::{name}"
    tags = [torch.Tag.pt2_compliant_tag, *([torch.Tag.nondeterministic_seeded] if draws else [])]
    torch.library.define(qualified, schema, tags=tags)
    torch.library.impl(qualified, ("cpu", "cuda"), run)
    torch.library.register_fake(qualified, shapes)
    operator = getattr(torch.ops.rnn_engine, name).default

    def mapped(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[list[Tensor], list[int]]:
        drawn = draws is not None and draws(*args[-2:])
        if drawn and info.randomness == "error":
            raise RuntimeError(
                "vmap: rnn_engine was asked to draw masks (dropout, zoneout) with randomness='error'; choose "
                "randomness='same' or 'different', or call eval()"
            )
        if drawn and info.randomness == "same":
            start, results = torch.get_rng_state(), []
            for index in range(info.batch_size):
                torch.set_rng_state(start)
                results.append(operator(*map(_entry, args, in_dims, [index] * len(args))))
        else:
            results = [operator(*map(_entry, args, in_dims, [index] * len(args))) for index in range(info.batch_size)]
        stacked = [torch.stack(each) for each in zip(*results, strict=True)]
        return stacked, [0] * len(stacked)

    torch.library.register_vmap(qualified, mapped)
    return operator


def _entry(value: Any, dim: Any, index: int) -> Any:
    if isinstance(dim, (list, tuple)):
        return [_entry(each, its, index) for each, its in zip(value, dim, strict=True)]
    return value if dim is None else value.select(dim, index)


def _keep(
    ctx: Any, operator: Operator, tensors: Sequence[Tensor], numbers: Any, call: str, output: Sequence[Tensor]
) -> None:
    ctx.operator, ctx.words = operator, (numbers, call)
    ctx.floating = [each.is_floating_point() for each in output]
    ctx.save_for_backward(output[-1], *tensors)


def _gradients_of(
    ctx: Any, upstream: Sequence[Tensor], needed: list[bool], backward: Callable[..., Any]
) -> list[Tensor | None]:
    last, *tensors = ctx.saved_tensors
    above = [each for each, floating in zip(upstream, ctx.floating, strict=True) if floating]
    found = backward(above, needed, last, tensors, *ctx.words)
    return [found[index] if each else None for index, each in enumerate(needed)]


def _refuse(*_: Any) -> Any:
    raise RuntimeError("rnn_engine: the gradient of a gradient (create_graph=True) is not supported")


class _Transformed(torch.autograd.Function):
    """An operator under `torch.func`'s transforms, which do not look into the gradients of operators."""

    generate_vmap_rule = True

    @staticmethod
    def forward(operator: Operator, numbers: list[float], call: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(operator.forward([*tensors], numbers, call))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        operator, numbers, call, *tensors = inputs
        _keep(ctx, operator, tensors, numbers, call, output)
        ctx.mark_non_differentiable(*(each for each in output if not each.is_floating_point()))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Any, ...]:
        def transformed_backward(above: Any, needed: Any, last: Tensor, tensors: Any, *words: Any) -> Any:
            what = ctx.operator, words, needed, len(above)
            return _TransformedBackward.apply(*what, *above, last, *tensors)  # type: ignore[no-untyped-call]

        return None, None, None, *_gradients_of(ctx, upstream, [*ctx.needs_input_grad[3:]], transformed_backward)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise NotImplementedError(_NO_FORWARD_MODE)


class _TransformedBackward(torch.autograd.Function):
    """The same of its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        operator: Operator, words: tuple[Any, ...], needed: list[bool], above: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        return tuple(operator.backward([*tensors[:above]], needed, tensors[above], [*tensors[above + 1 :]], *words))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Nothing is kept for what is refused."""

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        return _refuse()

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise NotImplementedError(_NO_FORWARD_MODE)


def _check_no_tangents(tensors: Sequence[Any]) -> None:
    """Raises NotImplementedError where a tensor has a tangent, which would be lost."""
    if forward_ad._current_level < 0:
        return
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            continue
        if forward_ad.unpack_dual(tensor).tangent is not None:  # type: ignore[no-untyped-call]
            raise NotImplementedError(_NO_FORWARD_MODE)


__all__ = ["Operator"]
