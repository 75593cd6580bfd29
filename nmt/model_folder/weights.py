"""The parameters of a network on disk, and whole model folders, written so that a folder is whole or says it is not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor, nn

from nmt.config import Config
from nmt.config_file import as_json
from nmt.files import atomic_write, write_text
from nmt.model_folder.card import ModelCard, render_card
from nmt.model_folder.digests import write_digests
from nmt.model_folder.files import CARD_FILE, CONFIG_FILE, MODEL_FILE, ModelError, read_settings
from nmt.model_folder.header import check_size, sizes_as_metadata
from nmt.model_folder.parameters import Shapes, open_model
from nmt.reading import read_regular

Network = TypeVar("Network", bound=nn.Module)

_NAMES_ON_DISK: Final = {
    "decoder.bridge.": "decoder.initial.",
    "decoder.attentional.": "decoder.combine.",
    "decoder.readout.": "decoder.project.",
}
"""Beginnings of parameters' names in the network, and what files call them, which were there before."""

_DECODER_LAYER: Final = re.compile(r"decoder\.layers\.([0-9]+)\.(.+)_l([0-9]+)")
"""A parameter of the decoder's layers, which are one stack or a stack each: files hold them as a stack each."""


def save_model(
    folder: Path,
    config: Config,
    model: nn.Module,
    sizes: tuple[int, int],
    card: ModelCard,
    subwords: Mapping[str, bytes],
) -> None:
    """Write a model, `model.safetensors` last: whenever this is stopped, the folder holds a whole model or none.

    A model that was there before goes when the new one is on the disk under a temporary name.

    Args:
        folder: The model folder; created if missing.
        config: The resolved settings.
        model: The network; its current parameters are written.
        sizes: Of its source and target vocabulary.
        card: What the card tells.
        subwords: Its subword models, by file name. `nmt prepare` put them there; they are written again where they are
            missing or damaged.

    Raises:
        OSError: If the folder cannot be written.
    """
    parameters = parameters_of(model)
    content = save(_contiguous(parameters), sizes_as_metadata(sizes))
    folder.mkdir(parents=True, exist_ok=True)
    settings = as_json(config)
    _restore(folder, subwords)
    with atomic_write(folder / MODEL_FILE) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a full disk shows here at the latest, before anything is replaced
        (folder / MODEL_FILE).unlink(missing_ok=True)
        write_text(folder / CONFIG_FILE, settings)
        values = sum(tensor.numel() for tensor in parameters.values())
        write_text(folder / CARD_FILE, render_card(config, values, sizes, card))
        # The parameters come last: digests that were cut short do not list them.
        write_digests(folder, {**subwords, CONFIG_FILE: settings.encode(), MODEL_FILE: content})


def _restore(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write those files, by name, that do not hold what they should."""
    for name, content in files.items():
        try:
            same = read_regular(folder / name, len(content)) == content
        except OSError:
            same = False
        if not same:
            with atomic_write(folder / name) as file:
                file.write(content)


def load_model(folder: Path, build: Callable[[Config, int, int], Network], shapes: Shapes) -> tuple[Config, Network]:
    """Read a model.

    Args:
        folder: A folder that `save_model` wrote.
        build: Makes the network of settings and the sizes of the source and the target vocabulary, with any weights.
        shapes: What parameters it has.

    Returns:
        Its settings, and the network in evaluation mode.

    Raises:
        ModelError: If a file is missing, damaged, or does not fit the others; this includes the subword models, if
            the folder has digests.
        OSError: If a file cannot be read.
    """
    found = open_model(folder, shapes)
    config = read_settings(folder)
    model = build_for(config, found.header.vocabulary_sizes, build, folder)
    tensors, _ = read_tensors(found.path)
    assign_parameters(model, tensors, found.path)
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{found.path}: {name}: holds values that are not finite")
    return config, model.eval()


def build_for(
    config: Config, sizes: tuple[int, int], build: Callable[[Config, int, int], Network], path: Path
) -> Network:
    """Build a network whose weights will be replaced, which does not cost the caller's seed.

    Args:
        config: Its settings.
        sizes: Of its source and target vocabulary.
        build: As for `load_model`.
        path: Where its weights come from, for messages.

    Raises:
        ModelError: The settings and the sizes do not fit.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            return build(config, *sizes)
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from None


def parameters_of(model: nn.Module) -> dict[str, nn.Parameter]:
    """List every parameter of a network once, by its name on disk; shared ones by their first name."""
    return {_name_on_disk(name): parameter for name, parameter in model.named_parameters()}


def _name_on_disk(name: str) -> str:
    if found := _DECODER_LAYER.fullmatch(name):
        return f"decoder.layers.{int(found[1]) + int(found[3])}.{found[2]}_l0"
    for here, there in _NAMES_ON_DISK.items():
        if name.startswith(here):
            return there + name.removeprefix(here)
    return name


@torch.no_grad()
def assign_parameters(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy named tensors into a network.

    Args:
        model: The network; changed in place.
        tensors: By the names of `parameters_of`.
        path: Where they come from, for messages.

    Raises:
        ModelError: If a name is missing or unknown, or a shape or type differs.
    """
    expected = parameters_of(model)
    missing = sorted(expected.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        wrong = f"{missing[0]} is missing" if missing else f"{unknown[0]} is not part of the model"
        raise ModelError(f"{path}: does not fit {CONFIG_FILE}: {wrong}")
    for name, parameter in expected.items():
        tensor = tensors[name]
        if tensor.shape != parameter.shape:
            raise ModelError(f"{path}: {name}: expected {list(parameter.shape)}, got {list(tensor.shape)}")
        if tensor.dtype != parameter.dtype:
            raise ModelError(f"{path}: {name}: expected {parameter.dtype}, got {tensor.dtype}")
    for name, parameter in expected.items():
        parameter.copy_(tensors[name])


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file.

    Args:
        path: The file.

    Returns:
        Its tensors by name, and its metadata.

    Raises:
        ModelError: If it is missing or damaged.
    """
    check_size(path)  # what is wrong here names the file; safetensors' own errors do not
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{path}: damaged: {' '.join(str(error).split())}") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file; it appears whole or not at all.

    Args:
        path: The file.
        tensors: By name; no two may share memory.
        metadata: Texts to store with them.

    Raises:
        OSError: If it cannot be written.
    """
    with atomic_write(path) as file:
        try:
            save_file(_contiguous(tensors), file.name, dict(metadata or {}))  # without a copy of all, unlike `save`
        except SafetensorError as error:
            raise _as_os_error(error) from None


def _as_os_error(error: SafetensorError) -> OSError:
    number = re.search(r"os error (\d+)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
