"""The model folder: config.json, model.safetensors and the card README.md, each replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nmt.config import Config
from nmt.files import atomic_write, write_text
from nmt.model.seq2seq import Seq2Seq

CONFIG_FILE = "config.json"
MODEL_FILE = "model.safetensors"
CARD_FILE = "README.md"


class ModelError(ValueError):
    """A model folder that cannot be read; the message names the file, what was expected and what came."""


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
    """Write a model; each file is replaced as a whole. The subword models are put there by `nmt prepare`.

    Args:
        folder: The model folder; created if missing.
        config: The resolved settings.
        model: The network; its current parameters are written.
        card: What the card tells.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / MODEL_FILE, parameters_of(model), vocabulary_sizes(model))
    write_text(folder / CONFIG_FILE, config.model_dump_json(indent=2) + "\n")
    write_text(folder / CARD_FILE, render_card(config, model, card))


def load_model(folder: Path) -> tuple[Config, Seq2Seq]:
    """Read a model.

    Args:
        folder: A folder that `save_model` wrote.

    Returns:
        Its settings, and the network in evaluation mode.

    Raises:
        ModelError: If a file is missing, damaged, or does not fit the others.
    """
    path = folder / CONFIG_FILE
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder")
    if not path.is_file():
        raise ModelError(f"{path}: missing; a model folder is made by `nmt train`")
    try:
        config = Config.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"{path}: {key + ': ' if key else ''}{first['msg']}") from None
    tensors, metadata = read_tensors(folder / MODEL_FILE)
    try:
        source_size, target_size = (int(size) for size in metadata["vocabulary_sizes"].split())
    except (KeyError, ValueError):
        raise ModelError(f"{folder / MODEL_FILE}: holds no vocabulary sizes; not a file of this toolkit") from None
    try:
        with torch.random.fork_rng(devices=[]):  # the fresh weights are replaced, and should not cost the caller's seed
            model = Seq2Seq.from_config(config, source_size, target_size)
    except ValueError as error:
        raise ModelError(f"{folder}: {error}") from None
    assign_parameters(model, tensors, folder / MODEL_FILE)
    return config, model.eval()


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
        ModelError: If a name is missing or unknown, or a shape differs.
    """
    expected = parameters_of(model)
    missing = sorted(expected.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        wrong = f"{missing[0]} is missing" if missing else f"{unknown[0]} is not part of the model"
        raise ModelError(f"{path}: does not fit the config: {wrong}")
    for name, parameter in expected.items():
        tensor = tensors[name]
        if tensor.shape != parameter.shape:
            raise ModelError(f"{path}: {name}: expected {list(parameter.shape)}, got {list(tensor.shape)}")
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
    if not path.is_file():
        raise ModelError(f"{path}: missing")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{path}: damaged: {error}") from None


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
        file.write(save({name: tensor.contiguous() for name, tensor in tensors.items()}, dict(metadata or {})))


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
