"""What attention is given, and the checks of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from rnn_engine.nn.autograd import value_dtype
from rnn_engine.nn.devices import device_of, either

Lengths = Tensor | Sequence[int]
Form = Literal["dot", "additive"]
FORMS = ("dot", "additive")
"""As the C API counts them."""

Inputs = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]
"""Queries, keys, values, vector, and the lengths of sources and targets."""

_NAMES = ("queries", "keys", "values", "vector", "source_lengths", "target_lengths")


def as_lengths(queries: Tensor, given: Lengths | None) -> Tensor | None:
    """Lengths as a tensor where the queries are."""
    if given is None or isinstance(given, Tensor):
        return given
    return torch.tensor(given, dtype=torch.int64, device=queries.device)


def scale_of(inputs: Inputs, heads: int) -> float:
    """The scale where the caller names none."""
    return float((inputs[0].shape[2] // heads) ** -0.5) if inputs[3] is None else 1.0


def check_devices(inputs: Inputs) -> None:
    """Raises ValueError: torch would run an operator of tensors on several devices on one of them."""
    device = inputs[0].device
    for name, tensor in zip(_NAMES, inputs, strict=True):
        at_hand = name in _NAMES[4:] and tensor is not None and tensor.device.type == "cpu"  # lengths may be
        if tensor is not None and tensor.device != device and not at_hand:
            raise ValueError(f"{name}: expected a tensor on {device} as queries, got one on {tensor.device}")


def check(inputs: Inputs, heads: int, dtype: torch.dtype) -> None:
    """Raises ValueError where a shape or type is not what a call in `dtype` expects."""
    _check_shapes(inputs, heads)
    queries, keys, values, vector, *lengths = inputs
    for name, each in zip(_NAMES[4:], lengths, strict=True):
        if each is not None and each.dtype not in (torch.int64, torch.int32):
            raise ValueError(f"{name}: expected torch.int64 or torch.int32, got {each.dtype}")
    dtypes = device_of(queries).dtypes
    if queries.dtype not in dtypes:
        raise ValueError(f"queries: expected {either(dtypes)} on {queries.device}, got {queries.dtype}")
    taken = {dtype, queries.dtype}
    if dtype != value_dtype(dtype) and torch.is_autocast_enabled(queries.device.type):
        taken.add(torch.float32)
    for name, tensor in (("keys", keys), ("values", values)):
        if tensor.dtype not in taken:
            raise ValueError(f"{name}: expected {queries.dtype} as queries, got {tensor.dtype}")
    if vector is not None and vector.dtype not in (*taken, value_dtype(dtype)):
        raise ValueError(f"vector: expected {value_dtype(dtype)}, got {vector.dtype}")


def _check_shapes(inputs: Inputs, heads: int) -> None:
    queries, keys, values, vector, *lengths = inputs
    if queries.dim() != 3 or queries.shape[2] == 0:
        raise ValueError(f"queries: expected [T, B, A] with A at least 1, got {list(queries.shape)}")
    _, batch, size = queries.shape
    if keys.dim() != 3 or keys.shape[0] == 0 or keys.shape[1] != batch or keys.shape[2] != size:
        raise ValueError(
            f"keys: expected [S, B, A] with S at least 1, B = {batch} and A = {size} as queries, got {list(keys.shape)}"
        )
    if values.dim() != 3 or values.shape[:2] != keys.shape[:2] or values.shape[2] == 0:
        raise ValueError(
            f"values: expected [S, B, C] with S = {len(keys)}, B = {batch} as keys, got {list(values.shape)}"
        )
    if heads < 1 or size % heads or values.shape[2] % heads:
        raise ValueError(f"heads: expected a divisor of A = {size} and of C = {values.shape[2]}, got {heads}")
    if vector is not None and list(vector.shape) != [size]:
        raise ValueError(f"vector: expected [A] = [{size}], got {list(vector.shape)}")
    for name, each in zip(_NAMES[4:], lengths, strict=True):
        if each is not None and list(each.shape) != [batch]:
            raise ValueError(f"{name}: expected [B] = [{batch}], got {list(each.shape)}")


__all__ = ["FORMS", "Form", "Inputs", "Lengths", "as_lengths", "check", "check_devices", "scale_of"]
