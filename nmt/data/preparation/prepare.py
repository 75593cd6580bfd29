"""Prepared data: from the text files of the settings to subword vocabularies and ids on disk, once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from nmt.config import Config
from nmt.config_data import DataConfig
from nmt.data.dataset import Part, PreparedError, PreparedSplit, open_split
from nmt.data.preparation.encoding import (
    Progress,
    Text,
    encode_training,
    encode_validation,
    part_count,
    survey,
    train_vocabularies,
    training_text,
)
from nmt.data.preparation.manifest import (
    MANIFEST_FILE,
    Manifest,
    changed_input,
    chosen_settings,
    damaged_output,
    data_folder,
    fingerprint,
    input_files,
    is_unchanged,
    read_manifest,
    require_files,
    test_set_files,
    valid_sets,
    write_manifest,
)
from nmt.data.preparation.overlap import Overlap
from nmt.data.preparation.report import REPORT_FILE, make_report
from nmt.data.subwords import LARGEST_SUBWORDS, Subwords, load_subwords, subword_contents
from nmt.files import remove_leftovers, write_text
from nmt.reading import sha256

State = Literal["missing", "stale", "fresh"]

_ID_FILES: Final = tuple(
    f"{split}.{side}.{kind}.npy"
    for split in ("train", "valid")
    for side in ("source", "target")
    for kind in ("ids", "offsets")
)
_SUBWORD_FILES: Final = ("joint.spm", "source.spm", "target.spm")
_TEST: Final = "data.test."
_TRAINED: Final = ("checkpoints", "model.safetensors")


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
    def open(cls, config: Config, prepare_with: Progress | None = None) -> PreparedData:
        """Open what `prepare` wrote into the model folder of these settings.

        Args:
            config: The settings.
            prepare_with: If there is none, prepare it, and tell this how far it is; None makes that an error.

        Raises:
            PreparedError: There is none, it is of other settings or other text, or it is damaged.
            CorpusError: A text file is missing.
            SubwordError, OSError: As for `prepare`.
        """
        folder = data_folder(config)
        found = check(config)
        if found.state == "missing" and prepare_with is not None:
            require_files(input_files(config) | test_set_files(config.data))
            found = Found("fresh", "", _prepare(config, found, prepare_with))
        if found.state != "fresh" or found.manifest is None:  # stale data is refused: a checkpoint may belong to it
            raise PreparedError(
                f"{folder}: {found.reason}; run `nmt prepare` with these settings, or set another `folder`"
            )
        source, target = load_subwords(config.folder, config.data.subword_files)
        counts, sizes = found.manifest.counts, (source.size, target.size)
        train, valid = (
            open_split(folder, split, sizes, _parts(config.data, counts, name))
            for split, name in (("train", "training"), ("valid", "validation"))
        )
        return cls(train, valid, source, target, counts)

    def subword_contents(self, config: Config) -> dict[str, bytes]:
        """What the subword models of these settings hold, by file name."""
        return subword_contents(config.data.subword_files, (self.source_subwords, self.target_subwords))


def _parts(data: DataConfig, counts: Mapping[str, int], split: str) -> tuple[Part, ...]:
    """Tell of what corpora, one behind the other, a split is made; of one only there is nothing to tell."""
    sizes = [counts.get(part_count(split, number), 0) for number in range(len(data.corpora))]
    return tuple(Part(each.direction, size) for each, size in zip(data.corpora, sizes, strict=True))


class Found(NamedTuple):
    """What a model folder holds of prepared data."""

    state: State
    reason: str
    """Why the state is not "fresh"."""
    manifest: Manifest | None


def check(config: Config) -> Found:
    """Whether the model folder holds prepared data of these settings and of the text files as they are now.

    Every byte that was written is summed up: about a second a gigabyte. Test sets do not matter: other ones leave the
    ids as they are.

    Raises:
        PreparedError: The manifest is damaged, or of another version.
        CorpusError: A text file is missing.
    """
    manifest = read_manifest(data_folder(config))
    if manifest is None:
        return Found("missing", "holds no prepared data", None)
    if reason := changed_input(manifest, config):
        return Found("stale", reason, manifest)
    if reason := damaged_output(manifest, config.folder, _outputs(config)):
        return Found("missing", reason, manifest)
    return Found("fresh", "", manifest)


def prepare(config: Config, progress: Progress = lambda message: None) -> bool:
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
    require_files(input_files(config) | test_set_files(config.data))
    found = check(config)
    if found.state == "fresh" and found.manifest is not None:
        return _count_overlap_again(config, found.manifest, progress)
    _prepare(config, found, progress)
    return True


def _prepare(config: Config, found: Found, progress: Progress) -> Manifest:
    """Prepare where there is no prepared data, or what is there is stale or damaged; returns the manifest."""
    folder = data_folder(config)
    if found.state == "stale":
        for trained in _TRAINED:
            if (config.folder / trained).exists():
                raise PreparedError(
                    f"{folder}: {found.reason}, and {config.folder / trained} belongs to the old data; "
                    "set another `folder`"
                )
    if found.manifest is not None:
        progress(f"preparing again: {found.reason}")
    folder.mkdir(parents=True, exist_ok=True)  # a place that cannot be written to shows now, not after the work
    _discard(folder)
    manifest = _make(config, progress, {} if found.manifest is None else found.manifest.outputs)
    write_manifest(folder, manifest)
    return manifest


def _outputs(config: Config) -> list[str]:
    """Paths in the model folder of all that training reads."""
    return [*config.data.subword_files, *(f"data/{name}" for name in _ID_FILES)]


def _make(config: Config, progress: Progress, recorded: Mapping[str, int | str]) -> Manifest:
    """Write all but the manifest; `recorded` is what an earlier one said of the files."""
    data, folder = config.data, data_folder(config)
    inputs, tests = (
        {name: fingerprint(path) for name, path in files.items()}
        for files in (input_files(config), test_set_files(data))
    )
    progress("reading the text")
    found = survey(training_text(data), _sets(data))
    for text in found.misaligned:
        progress(f"warning: {text}")
    names = data.subword_files
    if config.start_from is None:
        vocabularies = train_vocabularies(data, found, progress)
    else:  # what the parameters are of
        progress(f"taking the subwords of {config.start_from}")
        vocabularies = list(load_subwords(config.start_from, names))[: len(names)]
    _save_vocabularies(config.folder, dict(zip(names, vocabularies, strict=True)), recorded)
    source, target = vocabularies[0], vocabularies[-1]
    progress(f"encoding {found.pairs:,} training pairs")
    counts = encode_training(data, folder, source, target, found.pairs, progress)
    counts |= encode_validation(data, folder, source, target)
    counts |= {
        f"{name.removesuffix('.spm')} vocabulary": model.size for name, model in zip(names, vocabularies, strict=True)
    }
    valid, overlap = _named(found.overlap)
    _report(folder, make_report(counts, {"valid": valid, **overlap}, found.misaligned), progress)
    return Manifest(
        settings=chosen_settings(data),
        inputs=inputs,
        test_inputs=tests,
        outputs={name: sha256(config.folder / name) for name in _outputs(config)},
        counts=counts,
        valid_overlap=valid,
        test_overlap=overlap,
    )


def _count_overlap_again(config: Config, manifest: Manifest, progress: Progress) -> bool:
    """Bring the overlap up to date if the test sets changed; returns whether they did."""
    files = test_set_files(config.data)
    if set(files) == set(manifest.test_inputs) and all(
        is_unchanged(path, manifest.test_inputs[name]) for name, path in files.items()
    ):
        return False
    progress("the test sets changed: looking for them in the training text")
    found = survey(training_text(config.data), _sets(config.data))
    valid, overlap = _named(found.overlap)
    folder = data_folder(config)
    _report(folder, make_report(manifest.counts, {"valid": valid, **overlap}, found.misaligned), progress)
    inputs = {name: fingerprint(path) for name, path in files.items()}
    changes = {"test_inputs": inputs, "valid_overlap": valid, "test_overlap": overlap}
    write_manifest(folder, manifest.model_copy(update=changes))
    return True


def _sets(data: DataConfig) -> dict[str, Text]:
    """Validation and test sets by their place in the settings: a test set may be named `valid`."""
    return {**valid_sets(data), **{f"{_TEST}{name}": text for name, text in data.test_sets.items()}}


def _named(overlap: Mapping[str, Overlap]) -> tuple[Overlap, dict[str, Overlap]]:
    """Overlap of the validation sets together, and of the test sets by name."""
    tests = {name.removeprefix(_TEST): found for name, found in overlap.items() if name.startswith(_TEST)}
    valid = [found for name, found in overlap.items() if not name.startswith(_TEST)]
    lines, sources, pairs = (sum(getattr(each, name) for each in valid) for name in ("lines", "sources", "pairs"))
    return Overlap(lines=lines, sources=sources, pairs=pairs), tests


def _report(folder: Path, lines: Sequence[str], progress: Progress) -> None:
    report = "\n".join(lines) + "\n"
    write_text(folder / REPORT_FILE, report)
    progress(f"what came of it\n\n{report}")


def _save_vocabularies(folder: Path, models: Mapping[str, Subwords], recorded: Mapping[str, int | str]) -> None:
    """Save vocabularies by file name, and take away those of another choice.

    Raises:
        PreparedError: The folder holds a model that was trained with others.
    """
    trained = [folder / name for name in _TRAINED if (folder / name).exists()]
    for name in _SUBWORD_FILES:
        path, model = folder / name, models.get(name)
        if trained and not _belongs(path, model, recorded.get(name)):
            raise PreparedError(f"{path}: belongs to {trained[0]}, but other text or settings; set another `folder`")
        if model is None:
            path.unlink(missing_ok=True)
        else:
            model.save(path)


def _belongs(path: Path, model: Subwords | None, recorded: int | str | None) -> bool:
    """Whether a vocabulary is the one that was there before, which may be damaged by now."""
    if model is None:
        return not path.exists()
    digest = hashlib.sha256(model.serialized).hexdigest()
    return digest == recorded or (path.is_file() and digest == sha256(path, LARGEST_SUBWORDS))


def _discard(folder: Path) -> None:
    """Remove what `prepare` wrote, the manifest first, and what one that was killed left behind; no other file."""
    names = (MANIFEST_FILE, REPORT_FILE, *_ID_FILES)
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for place in (folder, folder.parent):
        remove_leftovers(place)
