"""`nmt info`: what a model folder holds, without loading the network."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import ValidationError

from nmt.config import Config
from nmt.config_file import with_present_names
from nmt.model_folder.digests import DIGEST_FILE, check_digests
from nmt.model_folder.files import MODEL_FILE, ModelError, read_settings, require_file
from nmt.model_folder.header import Header, read_header
from nmt.model_folder.scores import ScoresFile
from nmt.reading import read_regular
from nmt.values import FORMAT_VERSION, duration

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
        folder: The model folder; training may be under way in it.
        as_json: Print one JSON object instead of text.

    Raises:
        ModelError: There is no model, nor the beginning of one, or it is damaged.
        OSError: A file cannot be read.
    """
    found = describe(folder)
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(_text(found)))


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
        "languages": config and {"source": config.data.source_language, "target": config.data.target_language},
        "network": config and _network(config),
        "vocabulary": config and _vocabulary(config, header),
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


def _network(config: Config) -> dict[str, Any]:
    shape = config.model
    return {
        "cell": shape.cell,
        "embedding_size": shape.embedding_size,
        "hidden_size": shape.hidden_size,
        "encoder_layers": shape.encoder_layers,
        "decoder_layers": shape.decoder_layers,
        "attention": shape.attention,
        "tie_embeddings": shape.tie_embeddings,
    }


def _vocabulary(config: Config, header: Header | None) -> dict[str, Any]:
    source, target = header.vocabulary_sizes if header else (None, None)
    joint = config.data.joint_vocabulary
    return {"type": config.data.subword_model, "joint": joint, "source": source, "target": target}


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
    scored = [row for row in rows if _is_number(row.get(metric))]
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
    return {key: value for key, value in scores.items() if _is_number(value)} if isinstance(scores, dict) else {}


_SEARCH: Final = ("test", "beam_size", "length_penalty", "retry", "sentences", "bleu_signature")
"""What tells the scores of a model from others of it."""


def _tests(folder: Path) -> list[dict[str, Any]]:
    """Return the last score of each test set and way to search."""
    last: dict[str, dict[str, Any]] = {}
    for row in ScoresFile(folder).tests():
        if _is_number(row.get("bleu")) and _is_number(row.get("chrf")):
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


def _text(found: Mapping[str, Any]) -> Iterator[str]:
    """Write it for people: a name, and what there is to say, on each line."""
    yield _row("model", found["folder"])
    if found["state"] != "finished":
        yield _row("state", f"no model yet: `nmt train` writes {MODEL_FILE} when training ends")
    if languages := found["languages"]:
        yield _row("languages", f"{languages['source']} to {languages['target']}")
    digests = f"files are as written ({DIGEST_FILE})" if found["digests"] == "match" else f"no {DIGEST_FILE} to check"
    yield _row("format", f"version {found['format_version']}, {digests}")
    if found["network"]:
        yield from _network_text(found["network"], found["vocabulary"])
    if parameters := found["parameters"]:
        yield ""
        yield _row("parameters", f"{parameters['values']:>14,}  {_size(parameters['bytes']):>9}")
        for part, row in parameters["parts"].items():
            yield _row(f"  {part}", f"{row['values']:>14,}  {_size(row['bytes']):>9}")
    yield ""
    yield from _training_text(found["training"], found["continuing"])
    for row in found["tests"]:
        yield from _test_text(row)
    yield ""
    for number, (name, size) in enumerate(found["files"].items()):
        yield _row("" if number else "files", f"{name:<22}{_size(size):>9}")


def _network_text(network: Mapping[str, Any], vocabulary: Mapping[str, Any]) -> Iterator[str]:
    cell, width = network["cell"], network["hidden_size"]
    yield _row("encoder", f"{_layers(network['encoder_layers'], f'bidirectional {cell}')}, {width} wide each way")
    yield _row("decoder", f"{_layers(network['decoder_layers'], cell)}, {width} wide, {network['attention']} attention")
    tied = "shared with the output layer" if network["tie_embeddings"] else "not shared with the output layer"
    yield _row("embeddings", f"{network['embedding_size']} wide, {tied}")
    sizes = ""
    if vocabulary["source"] is not None:
        sizes = f"{vocabulary['source']:,} subwords" + (
            ", joint" if vocabulary["joint"] else f" (source), {vocabulary['target']:,} subwords (target)"
        )
    yield _row("vocabulary", ", ".join(filter(None, [sizes, vocabulary["type"]])))


def _training_text(training: Mapping[str, Any] | None, continuing: Mapping[str, Any]) -> Iterator[str]:
    if training:
        steps, epoch, seconds = training["steps"], training["epoch"], training["seconds"]
        parts = [f"{steps:,} steps"] if _is_number(steps) else []
        parts += [f"epoch {epoch}"] if _is_number(epoch) else []
        parts += (
            [f"{duration(seconds)} {'hours' if round(seconds) >= 3600 else 'minutes'}"] if _is_number(seconds) else []
        )
        parts += [f"{training['validations']} validations"] if training["validations"] else []
        yield _row("training", ", ".join(parts))
        if best := training["best"]:
            numbers = [f"{key} {best[key]:.4g}" for key in ("loss", "bleu") if _is_number(best.get(key))]
            yield _row("best validation", ", ".join([f"step {best['step']}", *numbers]))
    steps = continuing["checkpoints"]
    there = [f"checkpoints of step {', '.join(map(str, steps))}"] if steps else []
    there += ["prepared data"] if continuing["data"] else []
    missing = [] if steps else ["checkpoints"]
    missing += [] if continuing["data"] else ["prepared data"]
    yield _row("for continuing", ", ".join([*there, *(f"no {name}" for name in missing)]))


def _test_text(row: Mapping[str, Any]) -> Iterator[str]:
    how = [f"{row['lines']:,} lines"] if _is_number(row.get("lines")) else []
    how += [f"beam {row['beam_size']}"] if "beam_size" in row else []
    how += [f"length penalty {row['length_penalty']}"] if "length_penalty" in row else []
    yield ""
    yield _row("test", ", ".join([str(row.get("test")), *how]))
    yield _row("  BLEU", f"{row['bleu']:6.2f}  {row.get('bleu_signature', '')}")
    yield _row("  chrF", f"{row['chrf']:6.2f}  {row.get('chrf_signature', '')}")


def _row(name: str, text: str) -> str:
    """Align a row; what could move a terminal's cursor is written as a question mark."""
    return "".join(char if char.isprintable() else "?" for char in f"{name:<20}{text}".rstrip())


def _layers(count: int, kind: str) -> str:
    return f"{count} {kind} layer{'s' if count > 1 else ''}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15  # false for NaN, too


def _size(count: float) -> str:
    """Write bytes in the unit that suits them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
