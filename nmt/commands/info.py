"""`nmt info`: what a model folder holds, without loading the network, or a model file."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import ValidationError

from nmt.commands.info_file import describe_file
from nmt.commands.info_text import file_text, folder_text, is_number, languages_of, network_of, vocabulary_of
from nmt.config import Config
from nmt.config_file import with_present_names
from nmt.model_folder.digests import check_digests
from nmt.model_folder.files import MODEL_FILE, ModelError, read_settings, require_file
from nmt.model_folder.header import Header, read_header
from nmt.model_folder.scores import ScoresFile
from nmt.reading import read_regular
from nmt.values import FORMAT_VERSION

_MOST_FILES: Final = 10_000
"""Files of a folder that are counted: a model has some tens."""

_PARTS: Final = {
    "source_embedding.": "source embedding",
    "target_embedding.": "target embedding",
    "encoder.": "encoder",
    "decoder.attention.": "attention",
    "decoder.": "decoder",
    "output_": "output layer",
}


def run(folder: Path, as_json: bool) -> None:
    """Print what a model is.

    Args:
        folder: The model folder, in which training may be under way; or a model file.
        as_json: Print one JSON object instead of text.

    Raises:
        ModelError: There is no model, nor the beginning of one, or it is damaged.
        OSError: A file cannot be read.
    """
    is_folder = folder.is_dir()
    found = describe(folder) if is_folder else describe_file(folder)
    lines = folder_text(found) if is_folder else file_text(found)
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines))


def describe(folder: Path) -> dict[str, Any]:
    """Tell what a model folder holds, ready for JSON; what is not known yet is None.

    Args:
        folder: The folder.

    Returns:
        `folder`, `state` ("finished" or "no model yet"), `format_version`, `digests` ("match" or "none"), `languages`,
        `network`, `vocabulary`, `parameters`, `search`, `training`, `tests`, `files` (bytes by name), `continuing`.

    Raises:
        ModelError: As for `run`, like the one that follows.
        OSError: See there.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder")
    state = _latest_state(folder)
    finished = (folder / MODEL_FILE).exists() or not (state or (folder / "data").is_dir())
    header: Header | None = None
    config: Config | None
    if finished:
        config = settings = read_settings(folder)
        digests = "match" if check_digests(folder) else "none"
        header = read_header(folder / MODEL_FILE)
        for name in settings.data.subword_files:
            require_file(folder / name)
    else:
        config, digests = _settings_of(state), "none"
    return {
        "folder": str(folder),
        "state": "finished" if finished else "no model yet",
        "format_version": config.format_version if config else FORMAT_VERSION,
        "digests": digests,
        "languages": config and languages_of(config),
        "network": config and network_of(config),
        "vocabulary": config and vocabulary_of(config, header.vocabulary_sizes if header else None),
        "parameters": config and header and _parameters(config, header),
        "search": config and config.decoding.model_dump(include={"beam_size", "length_penalty"}),
        "training": _training(folder, state, config),
        "tests": _tests(folder),
        "files": _files(folder),
        "continuing": {"checkpoints": _steps(folder), "data": (folder / "data").is_dir()},
    }


def _latest_state(folder: Path) -> dict[str, Any]:
    """Read where the latest checkpoint stands; empty if there is none, or it is damaged: training will say so."""
    steps = _steps(folder)
    if not steps:
        return {}
    try:
        content = json.loads(read_regular(folder / "checkpoints" / f"step_{steps[-1]}" / "state.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    state = content.get("state") if isinstance(content, dict) else None
    return state if isinstance(state, dict) else {}


def _steps(folder: Path) -> list[int]:
    names = (path.name.removeprefix("step_") for path in folder.glob("checkpoints/step_*"))
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def _settings_of(state: Mapping[str, Any]) -> Config | None:
    try:
        return Config.model_validate(with_present_names(state.get("config")))
    except ValidationError:
        return None


def _parameters(config: Config, header: Header) -> dict[str, Any]:
    """Count values and bytes of each part, from the header of the parameters."""
    parts: dict[str, dict[str, int]] = {}
    shared = config.data.joint_vocabulary and config.model.tie_embeddings
    for name, tensor in header.tensors.items():
        part = next((part for prefix, part in _PARTS.items() if name.startswith(prefix)), "other")
        if shared and part == "source embedding":
            part = "embedding"
        row = parts.setdefault(part, {"values": 0, "bytes": 0})
        row["values"] += tensor.values
        row["bytes"] += tensor.bytes
    order = ["embedding", *_PARTS.values(), "other"]
    parts = {part: parts[part] for part in order if part in parts}
    total = {unit: sum(row[unit] for row in parts.values()) for unit in ("values", "bytes")}
    return {**total, "parts": parts}


def _training(folder: Path, state: Mapping[str, Any], config: Config | None) -> dict[str, Any] | None:
    """Tell how training went: from the validations in scores.jsonl, and from the latest checkpoint."""
    rows = ScoresFile(folder).validations()
    last = {**(rows[-1] if rows else {}), **{key: state[key] for key in ("step", "seconds") if key in state}}
    if not last:
        return None
    metric = config.training.early_stopping_metric if config else "loss"
    scored = [row for row in rows if is_number(row.get(metric))]
    best = {"step": state.get("best_step"), **_numbers(state.get("best_scores"))}
    if best["step"] is None and scored:
        row = (min if metric == "loss" else max)(scored, key=lambda row: row[metric])
        best = {"step": row.get("step"), **{key: row[key] for key in ("loss", "bleu") if key in row}}
    return {
        "steps": last.get("step"),
        "epoch": rows[-1].get("epoch") if rows else state.get("epoch"),
        "seconds": last.get("seconds"),
        "validations": len(rows),
        "best": best if best["step"] is not None else None,
    }


def _numbers(scores: object) -> dict[str, Any]:
    return {key: value for key, value in scores.items() if is_number(value)} if isinstance(scores, dict) else {}


_SEARCH: Final = ("test", "beam_size", "length_penalty", "retry", "sentences", "bleu_signature")
"""What tells the scores of a model from others of it."""


def _tests(folder: Path) -> list[dict[str, Any]]:
    """Return the last score of each test set and way to search."""
    last: dict[str, dict[str, Any]] = {}
    for row in ScoresFile(folder).tests():
        if is_number(row.get("bleu")) and is_number(row.get("chrf")):
            key = json.dumps([row.get(name) for name in _SEARCH])
            last[key] = row
    return list(last.values())


def _files(folder: Path) -> dict[str, int]:
    """Bytes of each file, and of each folder as a whole."""
    sizes = {}
    for path in sorted(islice(folder.iterdir(), _MOST_FILES)):
        if path.is_dir() and not path.is_symlink():  # what a link leads to is not of the model
            inside = (Path(place) / name for place, _, names in os.walk(path) for name in names)
            found = (file.lstat() for file in islice(inside, _MOST_FILES))
            sizes[f"{path.name}/"] = sum(each.st_size for each in found if stat.S_ISREG(each.st_mode))
        elif path.is_file():
            sizes[path.name] = path.stat().st_size
    return sizes
