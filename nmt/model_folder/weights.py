"""The model folder: parameters, settings, digests and the card, written so that a folder is whole or says it is not."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor, nn

from nmt.config import Config
from nmt.config_file import save_config
from nmt.files import atomic_write, write_text
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.files import (
    CARD_FILE,
    CONFIG_FILE,
    DIGEST_FILE,
    MODEL_FILE,
    Header,
    ModelError,
    check_digests,
    read_header,
    read_settings,
    require_file,
    write_digests,
)

__all__ = [
    "CARD_FILE",
    "CONFIG_FILE",
    "DIGEST_FILE",
    "MODEL_FILE",
    "ModelCard",
    "ModelError",
    "assign_parameters",
    "load_model",
    "parameters_of",
    "read_tensors",
    "render_card",
    "save_model",
    "vocabulary_sizes",
    "write_tensors",
]

_SUBWORDS: Final = "*.spm"


@dataclass(frozen=True)
class ModelCard:
    """What the card tells beside the config."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """What the model was trained on, such as {"training pairs": 29000}."""
    scores: Mapping[str, str] = field(default_factory=dict)
    """Results by name, such as {"validation perplexity": "5.10"}."""
    notes: str = ""
    """Free text."""


def save_model(folder: Path, config: Config, model: Seq2Seq, card: ModelCard) -> None:
    """Write a model, `model.safetensors` last: whenever this is stopped, the folder holds a whole model or none.

    A model that was there before goes when the new one is on the disk under a temporary name. The subword models are
    put there by `nmt prepare`, before.

    Args:
        folder: The model folder; created if missing.
        config: The resolved settings.
        model: The network; its current parameters are written.
        card: What the card tells.

    Raises:
        OSError: If the folder cannot be written.
    """
    content = save(_contiguous(parameters_of(model)), vocabulary_sizes(model))
    subwords = sorted(path.name for path in folder.glob(_SUBWORDS))
    with atomic_write(folder / MODEL_FILE) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a full disk shows here at the latest, before anything is replaced
        (folder / MODEL_FILE).unlink(missing_ok=True)
        save_config(config, folder / CONFIG_FILE)
        write_text(folder / CARD_FILE, render_card(config, model, card))
        # The parameters come last: digests that were cut short do not list them.
        write_digests(folder, [*subwords, CONFIG_FILE, MODEL_FILE], {MODEL_FILE: content})


def load_model(folder: Path) -> tuple[Config, Seq2Seq]:
    """Read a model.

    Args:
        folder: A folder that `save_model` wrote.

    Returns:
        Its settings, and the network in evaluation mode.

    Raises:
        ModelError: If a file is missing, damaged, or does not fit the others; this includes the subword models, if
            the folder has digests.
        OSError: If a file cannot be read.
    """
    path = folder / MODEL_FILE
    if (folder / "checkpoints").is_dir() and not path.exists():
        raise ModelError(f"{path}: missing; `nmt train` writes it when training ends")
    if folder.is_dir():
        require_file(folder / CONFIG_FILE, "; a model folder is made by `nmt train`")
        check_digests(folder)  # before anything is made of the contents
    config = read_settings(folder)
    header = read_header(path)
    sizes = header.vocabulary_sizes(path)
    _check_widths(config, sizes, header, path)
    try:
        with torch.random.fork_rng(devices=[]):  # the fresh weights are replaced, and should not cost the caller's seed
            model = Seq2Seq.from_config(config, *sizes)
    except ValueError as error:
        raise ModelError(f"{folder}: {error}") from None
    tensors, _ = read_tensors(path)
    assign_parameters(model, tensors, path)
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{path}: {name}: holds values that are not finite")
    return config, model.eval()


def _check_widths(config: Config, sizes: tuple[int, int], header: Header, path: Path) -> None:
    """Compare what decides the size of the network with the file, before the network takes its memory."""
    shape = config.model
    width = (4 * shape.hidden_size, shape.hidden_size)
    expected = {f"encoder.layers.weight_hh_l{layer}": width for layer in range(shape.encoder_layers)}
    expected |= {f"decoder.layers.{layer}.weight_hh_l0": width for layer in range(shape.decoder_layers)}
    expected["source_embedding.table.weight"] = (sizes[0], shape.embedding_size)
    if not (config.data.joint_vocabulary and shape.tie_embeddings):
        expected["target_embedding.table.weight"] = (sizes[1], shape.embedding_size)
    for name, wanted in expected.items():
        found = header.tensors.get(name)
        if found is None:
            raise ModelError(f"{path}: does not fit {CONFIG_FILE}: {name} is missing")
        if found.shape != wanted:
            raise ModelError(
                f"{path}: does not fit {CONFIG_FILE}: {name}: expected {list(wanted)}, got {list(found.shape)}"
            )


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """Name every parameter once, shared ones by their first name; the tensors are not copied."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def vocabulary_sizes(model: Seq2Seq) -> dict[str, str]:
    """Describe the vocabularies, as metadata of a file of parameters.

    It is one entry for both, because safetensors writes several in no certain order, and equal models should be equal
    files.
    """
    return {"vocabulary_sizes": f"{len(model.source_embedding.weight)} {len(model.target_embedding.weight)}"}


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
    require_file(path)
    path.open("rb").close()  # what is wrong here names the file; safetensors' own errors do not
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
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def render_card(config: Config, model: Seq2Seq, card: ModelCard) -> str:
    """Write the card's text (Markdown) for a model.

    Args:
        config: The settings.
        model: The network, for its sizes.
        card: Counts, scores and notes.

    Returns:
        The text.
    """
    data, shape = config.data, config.model
    source_size, target_size = len(model.source_embedding.weight), len(model.target_embedding.weight)
    vocabulary = f"{source_size} (source) and {target_size} (target) subwords"
    if data.joint_vocabulary:
        vocabulary = f"{target_size} subwords, joint"
    rows = {
        "languages": f"{data.source_language} to {data.target_language}",
        "parameters": f"{model.number_of_parameters:,}",
        "vocabulary": f"{vocabulary}, {data.subword_model}",
        "encoder": f"{shape.encoder_layers} bidirectional {shape.cell} layer(s) of {shape.hidden_size} per direction",
        "decoder": f"{shape.decoder_layers} {shape.cell} layer(s) of {shape.hidden_size}, {shape.attention} attention",
        "embeddings": f"{shape.embedding_size} wide, {'tied' if shape.tie_embeddings else 'separate'}",
    }
    lines = [f"# Translation model, {data.source_language} to {data.target_language}", "", *_table(rows)]
    if card.counts:
        lines += ["", "## Training data", "", *_table({name: f"{count:,}" for name, count in card.counts.items()})]
    if card.scores:
        lines += ["", "## Scores", "", *_table(card.scores)]
    lines += ["", "## Use", "", "    nmt translate THIS_FOLDER < input.txt > output.txt", ""]
    lines += ["One line in gives exactly one line out. The settings are in `config.json`, the weights in"]
    lines += ["`model.safetensors`; the subword models lie beside them.", ""]
    if card.notes:
        lines += [card.notes, ""]
    return "\n".join(lines)


def _table(rows: Mapping[str, str]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
