"""Prepared data: from the text files of the settings to subword vocabularies and ids on disk, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from nmt.config import Config
from nmt.data.dataset import IdArray, PreparedError, Sentences, read_sentences
from nmt.data.preparation.encoding import encode_training, encode_validation, survey, train_vocabularies
from nmt.data.preparation.manifest import (
    RECORD_FILE,
    Record,
    changed_input,
    chosen_settings,
    damaged_output,
    data_folder,
    fingerprint,
    input_files,
    is_unchanged,
    read_record,
    require_files,
    test_set_files,
    write_record,
)
from nmt.data.preparation.overlap import Overlap
from nmt.data.preparation.report import REPORT_FILE, make_report
from nmt.data.subwords import JOINT_FILE, SOURCE_FILE, TARGET_FILE, Subwords, load_subwords
from nmt.files import write_text

Side = Literal["source", "target"]
State = Literal["missing", "stale", "fresh"]

_ID_FILES: Final = tuple(
    f"{split}.{side}.{kind}.npy"
    for split in ("train", "valid")
    for side in ("source", "target")
    for kind in ("ids", "offsets")
)
_SUBWORD_FILES: Final = (JOINT_FILE, SOURCE_FILE, TARGET_FILE)
_TRAINED: Final = ("checkpoints", "model.safetensors")


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
            CorpusError: A text file is missing.
        """
        folder = data_folder(config)
        state, reason = check(config)
        record = read_record(folder)
        if state != "fresh" or record is None:
            raise PreparedError(f"{folder}: {reason}; run `nmt prepare` with these settings, or set another `folder`")
        source, target = load_subwords(config.folder)
        return cls(_open_split(folder, "train"), _open_split(folder, "valid"), source, target, record.counts)


def check(config: Config) -> tuple[State, str]:
    """Whether the model folder holds prepared data of these settings and of the text files as they are now.

    Test sets do not matter: other ones leave the ids as they are.

    Returns:
        The state, and the reason if it is not "fresh".

    Raises:
        PreparedError: The record is damaged.
        CorpusError: A text file is missing.
    """
    folder = data_folder(config)
    record = read_record(folder)
    if record is None:
        if (folder / RECORD_FILE).exists():
            return "stale", "prepared by an earlier version"
        return "missing", "holds no prepared data"
    if reason := changed_input(record, config.data):
        return "stale", reason
    if reason := damaged_output(record, config.folder):
        return "missing", reason
    return "fresh", ""


def prepare(config: Config, progress: Callable[[str], None] = lambda message: None) -> bool:
    """Train the subword vocabularies and write both splits as ids, unless that is done already.

    Whenever this is stopped, be it by the power, the folder holds the data of before, or none that would be taken as
    whole.

    Args:
        config: The settings; writes into `config.folder`.
        progress: Receives a line of text for each stage, and the report at the end.

    Returns:
        False if everything was there already.

    Raises:
        PreparedError: The folder holds a model that was trained on other data.
        CorpusError: The text cannot be used, or is missing.
        SubwordError: The vocabulary cannot be trained.
        OSError: Files cannot be read or written.
    """
    require_files(input_files(config.data) | test_set_files(config.data))
    state, reason = check(config)
    folder = data_folder(config)
    record = read_record(folder)
    if state == "fresh" and record is not None:
        return _count_overlap_again(config, record, progress)
    if state == "stale":
        for trained in _TRAINED:
            if (config.folder / trained).exists():
                raise PreparedError(
                    f"{folder}: {reason}, and {config.folder / trained} belongs to the old data; set another `folder`"
                )
    if state == "stale" or record is not None:
        progress(f"preparing again: {reason}")
    folder.mkdir(parents=True, exist_ok=True)  # a place that cannot be written to shows now, not after the work
    _discard(folder)
    write_record(folder, _make(config, progress))
    return True


def _make(config: Config, progress: Callable[[str], None]) -> Record:
    """Write all but the record."""
    data, folder = config.data, data_folder(config)
    inputs, tests = (
        {name: fingerprint(path) for name, path in files.items()} for files in (input_files(data), test_set_files(data))
    )
    progress("reading the text")
    found = survey(data.train, _sets(config))
    vocabularies = train_vocabularies(data, found, progress)
    names = [JOINT_FILE] if len(vocabularies) == 1 else [SOURCE_FILE, TARGET_FILE]
    _save_vocabularies(config.folder, dict(zip(names, vocabularies, strict=True)))
    source, target = vocabularies[0], vocabularies[-1]
    progress(f"encoding {found.pairs:,} training pairs")
    counts = encode_training(data, folder, source, target, found.pairs, progress)
    counts |= encode_validation(data, folder, source, target)
    counts |= {
        f"{name.removesuffix('.spm')} vocabulary": model.size for name, model in zip(names, vocabularies, strict=True)
    }
    valid, overlap = _named(found.overlap)
    _report(folder, counts, {"valid": valid, **overlap}, progress)
    return Record(
        settings=chosen_settings(data),
        inputs=inputs,
        test_inputs=tests,
        outputs={
            name: (config.folder / name).stat().st_size for name in [*names, *(f"data/{name}" for name in _ID_FILES)]
        },
        counts=counts,
        valid_overlap=valid,
        test_overlap=overlap,
    )


def _count_overlap_again(config: Config, record: Record, progress: Callable[[str], None]) -> bool:
    """Bring the overlap up to date if the test sets changed; returns whether they did."""
    files = test_set_files(config.data)
    if set(files) == set(record.test_inputs) and all(
        is_unchanged(path, record.test_inputs[name]) for name, path in files.items()
    ):
        return False
    progress("the test sets changed: looking for them in the training text")
    valid, overlap = _named(survey(config.data.train, _sets(config)).overlap)
    folder = data_folder(config)
    _report(folder, record.counts, {"valid": valid, **overlap}, progress)
    inputs = {name: fingerprint(path) for name, path in files.items()}
    changes = {"test_inputs": inputs, "valid_overlap": valid, "test_overlap": overlap}
    write_record(folder, record.model_copy(update=changes))
    return True


def _sets(config: Config) -> dict[str, tuple[Path, ...]]:
    """Validation and test sets by their place in the settings: a test set may be named `valid`."""
    return {"data.valid": config.data.valid} | {
        f"data.test.{name}": corpus for name, corpus in config.data.test.items()
    }


def _named(overlap: Mapping[str, Overlap]) -> tuple[Overlap, dict[str, Overlap]]:
    """Overlap of the validation set, and of the test sets by name."""
    tests = {name.removeprefix("data.test."): found for name, found in overlap.items() if name != "data.valid"}
    return overlap["data.valid"], tests


def _report(
    folder: Path, counts: Mapping[str, int], overlap: Mapping[str, Overlap], progress: Callable[[str], None]
) -> None:
    report = "\n".join(make_report(counts, overlap)) + "\n"
    write_text(folder / REPORT_FILE, report)
    progress(f"what came of it\n\n{report}")


def _save_vocabularies(folder: Path, models: Mapping[str, Subwords]) -> None:
    """Save vocabularies by file name, and take away those of another choice.

    Raises:
        PreparedError: The folder holds a model that was trained with others.
    """
    trained = [folder / name for name in _TRAINED if (folder / name).exists()]
    for name in _SUBWORD_FILES:
        path, model = folder / name, models.get(name)
        content = None if model is None else model.serialized
        if trained and content != (path.read_bytes() if path.exists() else None):
            raise PreparedError(f"{path}: belongs to {trained[0]}, but other text or settings; set another `folder`")
        if model is None:
            path.unlink(missing_ok=True)
        else:
            model.save(path)


def _discard(folder: Path) -> None:
    """Remove what `prepare` wrote, the record first, and what one that was killed left behind; no other file."""
    names = (RECORD_FILE, REPORT_FILE, *_ID_FILES)
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for place, kinds in ((folder, names), (folder.parent, _SUBWORD_FILES)):
        for name in kinds:
            for leftover in place.glob(f".{name}.*.tmp"):
                leftover.unlink(missing_ok=True)


def _open_split(folder: Path, split: str) -> PreparedSplit:
    source, target = (read_sentences(folder, f"{split}.{side}") for side in ("source", "target"))
    if len(source.offsets) != len(target.offsets):
        raise PreparedError(
            f"{folder}: {split}: expected as many source as target sentences, got {len(source.offsets) - 1} "
            f"and {len(target.offsets) - 1}; delete the folder and run `nmt prepare` again"
        )
    return PreparedSplit(source, target)


def _sentence(sentences: Sentences, index: int) -> IdArray:
    return sentences.ids[sentences.offsets[index] : sentences.offsets[index + 1]]
