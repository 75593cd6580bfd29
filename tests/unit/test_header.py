"""The header of a file of parameters: what is read of it is what the safetensors library reads."""

from __future__ import annotations

import random
from pathlib import Path

import damage
import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from nmt.model_folder.files import ModelError
from nmt.model_folder.header import _read, check_size, read_header

MODEL = Path(__file__).parents[1] / "data" / "model-v1"
SIZES = {"vocabulary_sizes": "5 6"}
KNOWN = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}


def of_library(path: Path) -> dict[str, tuple[list[int], str]]:
    with safe_open(path, framework="numpy") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        return {name: (list(found.get_shape()), str(found.get_dtype())) for name, found in slices.items()}


def of_ours(path: Path) -> dict[str, tuple[list[int], str]]:
    return {name: (list(found.shape), found.dtype) for name, found in read_header(path).tensors.items()}


def test_every_type_and_shape(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    kinds = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
    arrays = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in kinds}
    arrays |= {"none": np.zeros((0, 4), np.float32), "one": np.array(3.0, np.float32), "é\n": np.ones(1, np.float32)}
    save_file(arrays, path, SIZES)
    assert of_ours(path) == of_library(path)
    assert read_header(path).vocabulary_sizes == (5, 6)
    content = path.read_bytes()
    for name, found in read_header(path).tensors.items():
        assert content[found.begin : found.begin + found.bytes] == arrays[name].tobytes()


@pytest.mark.parametrize(
    "harm",
    [
        damage.drop_tensor,
        damage.rename_tensor,
        damage.reshape_tensor,
        damage.retype_tensor,
        damage.move_tensor,
        damage.other_header,
        damage.flip_bits,
        damage.cut,
        damage.lengthen,
    ],
)
def test_what_the_library_refuses_is_refused(tmp_path: Path, harm: damage.Damage) -> None:
    """What is read is what it reads; a type that no parameter has may be refused beyond that."""
    for seed in range(40):
        folder = damage.copy_model(MODEL, tmp_path / str(seed))
        harm(folder, random.Random(seed))
        path = folder / "model.safetensors"
        try:
            expected = of_library(path)
        except (SafetensorError, OSError):
            with pytest.raises((ModelError, OSError)):
                check_size(path)
            continue
        if {kind for _, kind in expected.values()} <= KNOWN:
            assert {name: (list(each.shape), each.dtype) for name, each in _read(path)[0].items()} == expected
        else:
            with pytest.raises(ModelError, match="expected a type of F64, F32"):
                check_size(path)
