"""`prepared.json`: what prepared data was made from, and what came of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from nmt.config import Config
from nmt.config_data import CorpusConfig, DataConfig
from nmt.data.dataset import PreparedError, holds_array
from nmt.data.preparation.overlap import Overlap
from nmt.data.subwords import LARGEST_SUBWORDS
from nmt.data.text import CorpusError
from nmt.files import write_text
from nmt.languages import Direction
from nmt.reading import kind_of, read_regular, sha256

MANIFEST_FILE: Final = "prepared.json"
SETTINGS: Final = (
    "vocabulary_size",
    "subword_model",
    "joint_vocabulary",
    "character_coverage",
    "split_digits",
    "normalization",
    "max_length",
    "max_ratio",
    "remove_duplicates",
)
"""The settings that decide what is written; names and places of the text do not, its content does."""

Fingerprint = dict[str, str | int]


class Manifest(BaseModel):
    """What `prepared.json` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[2, 3] = 3
    """Version 2 had sizes in place of digests."""
    settings: dict[str, str | int | float | bool]
    """The values of `SETTINGS`."""
    inputs: dict[str, Fingerprint]
    """Size, time and SHA-256 of each file of `input_files`, by its place in the settings."""
    test_inputs: dict[str, Fingerprint]
    """The same of the test sets, which matter to `test_overlap` alone."""
    outputs: dict[str, int | str]
    """SHA-256 of each file that was written, by its path in the model folder; in version 2, its size in bytes."""
    counts: dict[str, int]
    """See `PreparedData.counts`."""
    valid_overlap: Overlap
    test_overlap: dict[str, Overlap]


def data_folder(config: Config) -> Path:
    """Return the folder of the prepared ids, inside the model folder."""
    return config.folder / "data"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into the folder of the ids. Comes last: data without its manifest counts as missing."""
    content = manifest.model_dump(mode="json")
    write_text(folder / MANIFEST_FILE, json.dumps({"checksum": _checksum(content), **content}, indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest in the folder of the ids.

    Returns:
        None if there is none.

    Raises:
        PreparedError: It is damaged.
    """
    path = folder / MANIFEST_FILE
    try:
        content = json.loads(read_regular(path))
        checksum = content.pop("checksum", None)
        manifest = Manifest.model_validate(content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError, AttributeError, TypeError):  # no JSON, no object, or not this one
        raise PreparedError(f"{path}: damaged or of another version; delete {folder} and prepare again") from None
    if checksum != _checksum(content) and manifest.format_version > 2:
        raise PreparedError(f"{path}: damaged: its checksum is wrong; delete {folder} and prepare again")
    return manifest


def _checksum(content: Mapping[str, Any]) -> str:
    """Sum up the manifest as it stands in the file, however it is laid out there."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_overlap(folder: Path) -> dict[str, Overlap]:
    """Tell how much of each test set, by name, and of the validation set, `valid`, stands in the training text.

    Args:
        folder: A model folder.

    Returns:
        What `nmt prepare` counted; nothing where there is no prepared data, as in a model that was copied without it.

    Raises:
        PreparedError: The manifest is damaged.
    """
    manifest = read_manifest(folder / "data")
    return {} if manifest is None else {"valid": manifest.valid_overlap, **manifest.test_overlap}


def chosen_settings(data: DataConfig) -> dict[str, str | int | float | bool]:
    """Select the settings that decide what is written."""
    chosen = {name: getattr(data, name) for name in SETTINGS}
    return {**chosen, "corpora": " ".join(each.direction for each in data.corpora)} if data.corpora else chosen


def changed_input(manifest: Manifest, config: Config) -> str | None:
    """Say which setting or text file is another than recorded, if any.

    Raises:
        CorpusError: A text file is missing.
    """
    for name, value in chosen_settings(config.data).items():
        if manifest.settings.get(name) != value:
            return f"prepared with data.{name} = {manifest.settings.get(name)}, but the settings say {value}"
    files = input_files(config)
    require_files(files)
    if set(files) != set(manifest.inputs):
        return f"prepared from {', '.join(manifest.inputs)}, but the settings name {', '.join(files)}"
    for name, path in files.items():
        if not is_unchanged(path, manifest.inputs[name]):
            return f"prepared from other text than {path} now holds"
    return None


def damaged_output(manifest: Manifest, folder: Path, names: Iterable[str]) -> str | None:
    """Say which file in the model folder is missing or another than recorded, if any; reads them all once.

    Args:
        manifest: What was recorded.
        folder: The model folder.
        names: The files, by their path in it.

    Raises:
        OSError: A file cannot be read.
    """
    for name in names:
        path, recorded = folder / name, manifest.outputs.get(name)
        if not path.exists():
            return f"{name}: missing"
        if kind := kind_of(path):
            return f"{name}: expected a file, got {kind}"
        if isinstance(recorded, int):
            if path.stat().st_size != recorded:
                return f"{name}: expected {recorded:,} bytes, got {path.stat().st_size:,}"
        elif not _is_plausible(path) or sha256(path) != recorded:
            return f"{name}: damaged: its SHA-256 is not the one in {MANIFEST_FILE}"
    return None


def _is_plausible(path: Path) -> bool:
    """Whether a file has a size that can be: one of terabytes would take hours to sum up."""
    return holds_array(path) if path.suffix == ".npy" else path.stat().st_size <= LARGEST_SUBWORDS


def input_files(config: Config) -> dict[str, Path]:
    """Files of text and of subwords that training takes, by their place in the settings."""
    data, before = config.data, config.start_from
    places = {
        f"{place}train[{number}]": corpus for place, part in _places(data) for number, corpus in enumerate(part.train)
    }
    places |= {place: corpus for place, (corpus, _) in valid_sets(data).items()}
    subwords = {} if before is None else {f"start_from {name}": before / name for name in data.subword_files}
    return {**dict(_files(places)), **subwords}


def test_set_files(data: DataConfig) -> dict[str, Path]:
    """Files of the test sets, by their place in the settings."""
    return dict(
        _files({f"{place}test.{name}": each for place, part in _places(data) for name, each in part.test.items()})
    )


def valid_sets(data: DataConfig) -> dict[str, tuple[tuple[Path, ...], Direction]]:
    """Files and languages of the validation sets, by their place in the settings."""
    return {f"{place}valid": (part.valid, part.languages) for place, part in _places(data) if part.valid is not None}


def _places(data: DataConfig) -> Iterator[tuple[str, CorpusConfig]]:
    """Text by pairs of languages, and where it stands in the settings."""
    for number, part in enumerate(data.parts):
        yield (f"data.corpora[{number}]." if data.corpora else "data."), part


def require_files(files: Mapping[str, Path]) -> None:
    """Check that files exist.

    Raises:
        CorpusError: One does not, or is none; the message names its place in the settings.
    """
    for place, path in files.items():
        if not path.exists():
            raise CorpusError(f"{place}: expected a file, got {path}, which does not exist")
        if kind := kind_of(path):  # text is read several times over
            raise CorpusError(f"{place}: expected a file, got {path}, which is {kind}")


def fingerprint(path: Path) -> Fingerprint:
    """Size in bytes, time of the last change in nanoseconds, and SHA-256 of a file."""
    digest, status = sha256(path), path.stat()
    return {"bytes": status.st_size, "modified_ns": status.st_mtime_ns, "sha256": digest}


def is_unchanged(path: Path, recorded: Fingerprint) -> bool:
    """Whether a file has the recorded content; read only if its size is the same and its time is not."""
    status = path.stat()
    if status.st_size != recorded["bytes"]:
        return False
    return status.st_mtime_ns == recorded["modified_ns"] or fingerprint(path)["sha256"] == recorded["sha256"]


def _files(places: Mapping[str, tuple[Path, ...]]) -> Iterator[tuple[str, Path]]:
    for place, corpus in places.items():
        sides = (" source", " target") if len(corpus) == 2 else ("",)
        for side, path in zip(sides, corpus, strict=True):
            yield place + side, path
