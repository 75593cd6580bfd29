"""Prepared data: from the text files of the settings to subword vocabularies and ids on disk, once."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from nmt.config import Config, DataConfig
from nmt.data.corpus import CorpusError, read_pairs
from nmt.data.ids import IdArray, PreparedError, Sentences, read_sentences, sentence_writer
from nmt.data.subwords import JOINT_FILE, SOURCE_FILE, TARGET_FILE, Subwords, load_subwords, train_subwords
from nmt.files import write_text

Side = Literal["source", "target"]
State = Literal["missing", "stale", "fresh"]

RECORD_FILE: Final = "prepared.json"
_CHUNK: Final = 10_000  # pairs encoded at once: enough to hide the cost of a call, little memory
_EMPTY: Final = "pairs left out, empty"
_TOO_LONG: Final = "pairs left out, too long"
_SPLIT_NAMES: Final = {"train": "training", "valid": "validation"}
_SETTINGS: Final = (
    "vocabulary_size",
    "subword_model",
    "joint_vocabulary",
    "character_coverage",
    "split_digits",
    "normalization",
    "max_length",
)


class _Record(BaseModel):
    """What `prepared.json` holds."""

    model_config = ConfigDict(extra="forbid")

    format_version: Literal[1] = 1
    settings: dict[str, str | int | float | bool]
    inputs: dict[str, dict[str, str | int]]
    counts: dict[str, int]


@dataclass(frozen=True)
class PreparedSplit:
    """Pairs of one split, memory-mapped: opening it costs nothing, and the system shares it between processes."""

    source: Sentences
    target: Sentences

    def __len__(self) -> int:
        return len(self.source.offsets) - 1

    def lengths(self, side: Side) -> NDArray[np.int64]:
        """Subwords of each sentence of a side, without bos and eos: [number of pairs] int64."""
        offsets = self.source.offsets if side == "source" else self.target.offsets
        return np.diff(offsets)

    def pair(self, index: int) -> tuple[IdArray, IdArray]:
        """Ids of the source and the target of one pair, without bos and eos; 0 <= index < len(self)."""
        return _sentence(self.source, index), _sentence(self.target, index)


@dataclass(frozen=True)
class PreparedData:
    """All that training needs of the data."""

    train: PreparedSplit
    valid: PreparedSplit
    source_subwords: Subwords
    target_subwords: Subwords
    counts: dict[str, int]
    """What was counted while preparing: pairs and subwords kept, pairs left out and why."""

    @classmethod
    def open(cls, config: Config) -> PreparedData:
        """Open what `prepare` wrote into the model folder of these settings.

        Raises:
            PreparedError: There is none, it is of other settings or other text, or it is damaged.
        """
        folder = data_folder(config)
        state, reason = check(config)
        if state != "fresh":
            raise PreparedError(f"{folder}: {reason}; run `nmt prepare` with these settings, or set another `folder`")
        source, target = load_subwords(config.folder)
        counts = _read_record(folder).counts
        return cls(_open_split(folder, "train"), _open_split(folder, "valid"), source, target, counts)


def data_folder(config: Config) -> Path:
    """Return the folder of the prepared ids, inside the model folder."""
    return config.folder / "data"


def check(config: Config) -> tuple[State, str]:
    """Whether the model folder holds prepared data of these settings and of the text files as they are now.

    Returns:
        The state, and the reason if it is not "fresh".

    Raises:
        PreparedError: The record is damaged.
        FileNotFoundError: A text file is missing.
    """
    folder = data_folder(config)
    if not (folder / RECORD_FILE).exists():
        return "missing", "holds no prepared data"
    record = _read_record(folder)
    for name, value in _settings(config.data).items():
        if record.settings.get(name) != value:
            return "stale", f"prepared with data.{name} = {record.settings.get(name)}, but the settings say {value}"
    inputs = dict(_inputs(config.data))
    if set(inputs) != set(record.inputs):
        return "stale", "prepared from another number of files than the settings name"
    for name, path in inputs.items():
        if not _unchanged(path, record.inputs[name]):
            return "stale", f"prepared from other text than {path} now holds"
    return "fresh", ""


def prepare(config: Config, progress: Callable[[str], None] = lambda message: None) -> bool:
    """Train the subword vocabularies and write both splits as ids, unless that is done already.

    Args:
        config: The settings; writes into `config.folder`.
        progress: Receives a line of text for each stage.

    Returns:
        False if everything was there already.

    Raises:
        PreparedError: The folder holds a model that was trained on other data.
        CorpusError: The text cannot be used.
        SubwordError: The vocabulary cannot be trained.
        FileNotFoundError: A text file is missing.
    """
    state, reason = check(config)
    if state == "fresh":
        return False
    folder = data_folder(config)
    if state == "stale":
        for trained in ("checkpoints", "model.safetensors"):
            if (config.folder / trained).exists():
                raise PreparedError(
                    f"{folder}: {reason}, and {config.folder / trained} belongs to the old data; set another `folder`"
                )
        progress(f"preparing again: {reason}")
        shutil.rmtree(folder)
    inputs = {name: _fingerprint(path) for name, path in _inputs(config.data)}
    source, target = _make_subwords(config, progress)
    counts = _encode(config.data, folder, source, target, progress)
    record = _Record(settings=_settings(config.data), inputs=inputs, counts=counts)
    # Comes last: data without its record counts as missing.
    write_text(folder / RECORD_FILE, record.model_dump_json(indent=2) + "\n")
    return True


def _make_subwords(config: Config, progress: Callable[[str], None]) -> tuple[Subwords, Subwords]:
    data = config.data
    # Reading all to the end finds bad text before minutes of training, and outside SentencePiece's own error handling.
    pairs = 0
    for corpus in data.train:
        found = sum(1 for _ in read_pairs(*corpus))
        if not found:
            raise CorpusError(f"{corpus[0]}: expected text, got an empty file")
        pairs += found
    progress(f"training subwords on {pairs:,} pairs")

    def train(*sides: int) -> Subwords:
        return train_subwords(
            (pair[side] for side in sides for corpus in data.train for pair in read_pairs(*corpus)),
            data.vocabulary_size,
            model_type=data.subword_model,
            character_coverage=data.character_coverage,
            split_digits=data.split_digits,
            normalization=data.normalization,
        )

    if data.joint_vocabulary:
        names, models = [JOINT_FILE], [train(0, 1)]
    else:
        names, models = [SOURCE_FILE, TARGET_FILE], [train(0), train(1)]
    for name in {JOINT_FILE, SOURCE_FILE, TARGET_FILE} - set(names):
        (config.folder / name).unlink(missing_ok=True)
    for name, model in zip(names, models, strict=True):
        model.save(config.folder / name)
    return models[0], models[-1]


def _encode(
    data: DataConfig, folder: Path, source: Subwords, target: Subwords, progress: Callable[[str], None]
) -> dict[str, int]:
    """Write both splits as ids. Every validation pair is kept, so that scores are of the whole set."""
    counts: dict[str, int] = {}
    for split, corpora, longest in (("train", data.train, data.max_length), ("valid", (data.valid,), None)):
        progress(f"encoding {split}")
        found = Counter[str]()
        with (
            sentence_writer(folder, f"{split}.source", source.size) as write_source,
            sentence_writer(folder, f"{split}.target", target.size) as write_target,
        ):
            for source_ids, target_ids in _encoded_pairs(corpora, source, target):
                if longest is not None and (reason := _unusable(source_ids, target_ids, longest)):
                    found[reason] += 1
                    continue
                write_source(source_ids)
                write_target(target_ids)
                found["pairs"] += 1
                found["source subwords"] += len(source_ids)
                found["target subwords"] += len(target_ids)
        if not found["pairs"]:
            left_out = f"{found[_EMPTY]} empty, {found[_TOO_LONG]} too long"
            raise CorpusError(f"{corpora[0][0]}: expected pairs for {split}, got none that are usable ({left_out})")
        names = ["pairs", "source subwords", "target subwords"]
        if longest is not None:
            names += [_EMPTY, _TOO_LONG]
        counts |= {f"{_SPLIT_NAMES[split]} {name}": found[name] for name in names}
    return counts


def _encoded_pairs(
    corpora: tuple[tuple[Path, ...], ...], source: Subwords, target: Subwords
) -> Iterator[tuple[list[int], list[int]]]:
    pairs = chain.from_iterable(read_pairs(*corpus) for corpus in corpora)
    while chunk := list(islice(pairs, _CHUNK)):
        source_lines, target_lines = zip(*chunk, strict=True)
        yield from zip(source.encode_lines(source_lines), target.encode_lines(target_lines), strict=True)


def _unusable(source: Sequence[int], target: Sequence[int], longest: int) -> str | None:
    if not source or not target:
        return _EMPTY
    return _TOO_LONG if max(len(source), len(target)) > longest else None


def _open_split(folder: Path, split: str) -> PreparedSplit:
    source, target = (read_sentences(folder, f"{split}.{side}") for side in ("source", "target"))
    if len(source.offsets) != len(target.offsets):
        raise PreparedError(
            f"{folder}: {split}: expected as many source as target sentences, got {len(source.offsets) - 1} "
            f"and {len(target.offsets) - 1}; delete the folder and run `nmt prepare` again"
        )
    return PreparedSplit(source, target)


def _settings(data: DataConfig) -> dict[str, str | int | float | bool]:
    """Select the settings that decide what is written; names and places of the text do not, its content does."""
    return {name: getattr(data, name) for name in _SETTINGS}


def _inputs(data: DataConfig) -> Iterator[tuple[str, Path]]:
    corpora = {f"train.{number}": corpus for number, corpus in enumerate(data.train)} | {"valid": data.valid}
    for name, paths in corpora.items():
        for side, path in zip(("source", "target") if len(paths) == 2 else ("pairs",), paths, strict=True):
            yield f"{name}.{side}", path


def _fingerprint(path: Path) -> dict[str, str | int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    status = path.stat()
    return {"bytes": status.st_size, "modified_ns": status.st_mtime_ns, "sha256": digest}


def _unchanged(path: Path, record: Mapping[str, str | int]) -> bool:
    """Whether a file has the recorded content; read only if its size is the same and its time is not."""
    status = path.stat()
    if status.st_size != record["bytes"]:
        return False
    return status.st_mtime_ns == record["modified_ns"] or _fingerprint(path)["sha256"] == record["sha256"]


def _read_record(folder: Path) -> _Record:
    path = folder / RECORD_FILE
    try:
        return _Record.model_validate_json(path.read_bytes())
    except ValidationError:
        raise PreparedError(f"{path}: damaged or of another version; delete {folder} and prepare again") from None


def _sentence(sentences: Sentences, index: int) -> IdArray:
    return sentences.ids[sentences.offsets[index] : sentences.offsets[index + 1]]
