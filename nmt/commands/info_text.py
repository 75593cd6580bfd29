"""What `nmt info` tells of a model, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nmt.config import Config
from nmt.model_folder.digests import DIGEST_FILE
from nmt.model_folder.files import MODEL_FILE
from nmt.values import duration


def network_of(config: Config) -> dict[str, Any]:
    """Describe the network of some settings."""
    shape = config.model
    return {
        "cell": shape.cell,
        "embedding_size": shape.embedding_size,
        "hidden_size": shape.hidden_size,
        "encoder_layers": shape.encoder_layers,
        "decoder_layers": shape.decoder_layers,
        "attention": shape.attention,
        "attention_heads": shape.attention_heads,
        "context": shape.context,
        "input_feeding": shape.input_feeding,
        "attend_embeddings": shape.attend_embeddings,
        "recurrent_dropout": shape.recurrent_dropout,
        "zoneout": shape.zoneout,
        "tie_embeddings": shape.tie_embeddings,
    }


def languages_of(config: Config) -> dict[str, Any]:
    """Describe what some settings translate."""
    data = config.data
    directions = [f"{source}-{target}" for source, target in data.directions]
    named = {"source": data.source_language, "target": data.target_language}
    return {**named, "directions": directions} if len(directions) > 1 else named


def vocabulary_of(config: Config, sizes: tuple[int, int] | None) -> dict[str, Any]:
    """Describe the vocabularies; `sizes`: of source and target, None: not known yet."""
    source, target = sizes or (None, None)
    joint = config.data.joint_vocabulary
    return {"type": config.data.subword_model, "joint": joint, "source": source, "target": target}


def folder_text(found: Mapping[str, Any]) -> Iterator[str]:
    """Write it for people: a name, and what there is to say, on each line."""
    yield _row("model", found["folder"])
    if found["state"] != "finished":
        yield _row("state", f"no model yet: `nmt train` writes {MODEL_FILE} when training ends")
    if languages := found["languages"]:
        yield _row("languages", _directions(languages))
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


def file_text(found: Mapping[str, Any]) -> Iterator[str]:
    """Write what a model file is."""
    yield _row("model", found["file"])
    yield _row("languages", _directions(found["languages"]))
    yield _row("format", f"model file, {_size(found['bytes'])}; every section is as written")
    yield _row("precision", found["precision"])
    yield from _network_text(found["network"], found["vocabulary"])
    yield _row("parameters", f"{found['parameters']:,}")
    search = found["search"]
    yield _row("search", f"beam {search['beam_size']}, length penalty {search['length_penalty']}")
    if license := found["license"]:
        yield _row("license", license)
    if origin := found["origin"]:
        yield _row("made by", f"nmt {origin.get('version')}")
    yield ""
    for number, (name, each) in enumerate(found["sections"].items()):
        shape = f"[{each['rows']}, {each['columns']}]" if each["rows"] > 1 else f"[{each['columns']}]"
        yield _row("" if number else "sections", f"{name:<52}{each['type']:<8}{shape:<14}{_size(each['bytes']):>9}")


def _directions(languages: Mapping[str, Any]) -> str:
    return ", ".join(languages.get("directions", ())) or f"{languages['source']} to {languages['target']}"


def _network_text(network: Mapping[str, Any], vocabulary: Mapping[str, Any]) -> Iterator[str]:
    cell, width = network["cell"], network["hidden_size"]
    yield _row("encoder", f"{_layers(network['encoder_layers'], f'bidirectional {cell}')}, {width} wide each way")
    heads, attention = network["attention_heads"], f"{network['attention']} attention"
    attention += f" of {heads} heads" if heads > 1 else ""
    attention += ", read by the layers above the first" if network["context"] == "upper" else ""
    attention += ", of states and embeddings" if network["attend_embeddings"] else ""
    attention += ", fed back into the first layer" if network["input_feeding"] else ""
    yield _row("decoder", f"{_layers(network['decoder_layers'], cell)}, {width} wide, {attention}")
    if noise := [
        f"{name.replace('_', ' ')} {network[name]}" for name in ("recurrent_dropout", "zoneout") if network[name]
    ]:
        yield _row("layers", ", ".join(noise))
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
        parts = [f"{steps:,} steps"] if is_number(steps) else []
        parts += [f"epoch {epoch}"] if is_number(epoch) else []
        parts += (
            [f"{duration(seconds)} {'hours' if round(seconds) >= 3600 else 'minutes'}"] if is_number(seconds) else []
        )
        parts += [f"{training['validations']} validations"] if training["validations"] else []
        yield _row("training", ", ".join(parts))
        if best := training["best"]:
            numbers = [f"{key} {best[key]:.4g}" for key in ("loss", "bleu") if is_number(best.get(key))]
            yield _row("best validation", ", ".join([f"step {best['step']}", *numbers]))
    steps = continuing["checkpoints"]
    there = [f"checkpoints of step {', '.join(map(str, steps))}"] if steps else []
    there += ["prepared data"] if continuing["data"] else []
    missing = [] if steps else ["checkpoints"]
    missing += [] if continuing["data"] else ["prepared data"]
    yield _row("for continuing", ", ".join([*there, *(f"no {name}" for name in missing)]))


def _test_text(row: Mapping[str, Any]) -> Iterator[str]:
    how = [f"{row['lines']:,} lines"] if is_number(row.get("lines")) else []
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


def is_number(value: object) -> bool:
    """Whether a value of a file is a number that makes sense."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15  # false for NaN, too


def _size(count: float) -> str:
    """Write bytes in the unit that suits them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
