"""Whether anybody looks on while a layer is called: a tracer, a transform, a mode, a tensor that is more than one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import _functorch
from torch.autograd import forward_ad
from torch.fx import Proxy
from torch.utils._device import DeviceContext

_PLAIN = frozenset((Tensor, nn.Parameter))
_KEYS = torch._C._TorchDispatchModeKey
_RECORDERS = (_KEYS.PROXY, _KEYS.FAKE, _KEYS.FUNCTIONAL)
_mode = torch._C._get_dispatch_mode


def observed(*given: Any, parameters: Iterable[Tensor] = ()) -> bool:
    """Whether a call must be one that torch sees, as an operator; otherwise the engine may read the tensors' memory.

    Args:
        *given: Tensors, and tuples and lists of them; whatever else is none of this function's business.
        parameters: Tensors once more, of which there may be many.
    """
    if torch.compiler.is_compiling():  # first: what follows is nothing that a compiler could look into
        return True
    return (
        torch._C._get_tracing_state() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or _functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or (torch._C._len_torch_function_stack() > 0 and _has_function_modes())
        or any(map(_is_more_than_memory, given))
        or not _PLAIN.issuperset(map(type, parameters))
    )


def transformed() -> bool:
    """Whether a transform of `torch.func` is under way, outside a compiler."""
    return not torch.compiler.is_compiling() and _functorch.peek_interpreter_stack() is not None


def check_backward(*upstream: Tensor | None) -> None:
    """Raises RuntimeError where a backward pass is recorded whose forward pass was not: there is no operator for it."""
    if torch._C._get_tracing_state() is not None or torch.compiler.is_compiling() or any(map(_mode, _RECORDERS)):
        raise RuntimeError("rnn_engine: a backward pass is being recorded; record the forward pass with it")
    if any(tensor is not None and _is_mapped(tensor) for tensor in upstream):
        raise RuntimeError(
            "rnn_engine: many backward passes at once (is_grads_batched=True, vectorize=True) are not supported here; "
            "torch.func.vmap and torch.func.jacrev around the forward pass are"
        )


def _is_mapped(tensor: Tensor) -> bool:
    return _functorch.is_legacy_batchedtensor(tensor) or _functorch.is_batchedtensor(tensor)


def _is_more_than_memory(given: Any) -> bool:
    kind = type(given)
    if kind in _PLAIN:
        return bool(given.is_meta)
    if isinstance(given, (tuple, list)):
        return any(map(_is_more_than_memory, given))
    return isinstance(given, (Tensor, Proxy))


def _has_function_modes() -> bool:
    """Whether there is one that may look on: torch's own for the default device does not."""
    modes = torch.overrides._get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    return any(not isinstance(mode, DeviceContext) for mode in modes)


__all__ = ["check_backward", "observed", "transformed"]
