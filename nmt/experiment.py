"""What several commands do with a config and its folder: open its data, make its batches, score its sets.

What brings torch or sacreBLEU is imported by the function that needs it: preparing needs neither.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.config import Config, ConfigError
from nmt.data.batching import SubwordRegularization, TrainingBatches
from nmt.data.dataset import PreparedSplit
from nmt.data.preparation.prepare import PreparedData
from nmt.data.sides import SidesCheck
from nmt.data.subword_regularization import SubwordSampler
from nmt.data.text import CorpusError, read_pairs
from nmt.terminal import tell

if TYPE_CHECKING:
    from nmt.model.seq2seq import Seq2Seq


def tell_preparing(message: str) -> None:
    """Say on stderr how far preparing is, whichever command does it."""
    tell("nmt prepare", message)


def prepared_data(config: Config) -> PreparedData:
    """Open the prepared data of a config; prepares it first if there is none (see `PreparedData.open`)."""
    return PreparedData.open(config, tell_preparing)


def add_shortlist(folder: Path, train: PreparedSplit, sizes: tuple[int, int]) -> int:
    """Estimate which subwords are translated by which, and add that to a model folder.

    Args:
        folder: The model folder.
        train: The pairs that the model was trained on.
        sizes: Of the source's and the target's vocabulary.

    Returns:
        The size of the file that was written, in bytes.

    Raises:
        ModelError: The digests of the folder are damaged.
        OSError: A file cannot be read or written.
    """
    from dataclasses import asdict

    from nmt.data.lexicon import estimate_lexicon
    from nmt.model_folder.shortlist import write_shortlist

    return write_shortlist(folder, asdict(estimate_lexicon(train, sizes)), sizes)


def training_batches(config: Config, data: PreparedData) -> TrainingBatches:
    """Make the batches of the training set as the settings want them."""
    settings = config.training
    regularization = None
    if settings.subword_regularization:
        source, target = (
            SubwordSampler(subwords, config.data.subword_model, settings.subword_alpha)
            for subwords in (data.source_subwords, data.target_subwords)
        )
        regularization = SubwordRegularization(
            settings.subword_regularization,
            source,
            target if settings.subword_regularization_side == "both" else None,
            math.ceil(settings.subword_regularization_until * settings.epochs),
        )
    return TrainingBatches(data.train, settings.batch_tokens, settings.seed, regularization)


def validation_bleu(config: Config, data: PreparedData, lines: int | None = None) -> Callable[[Seq2Seq], float]:
    """Make a function that translates the validation set greedily and gives BLEU.

    Args:
        config: The settings.
        data: Their prepared data, for its subwords.
        lines: Take only so many of the first lines; None takes all.

    Raises:
        CorpusError: The text cannot be read.
    """
    from nmt.decoding.model_network import ModelNetwork
    from nmt.decoding.translator import Translator
    from nmt.evaluation import score

    pairs = read_pairs(*config.data.valid, languages=config.data.languages)
    sources, references = zip(*list(pairs)[:lines], strict=True)

    def validate(model: Seq2Seq) -> float:
        translator = Translator(ModelNetwork(model), data.source_subwords, data.target_subwords, config)
        return score(
            translator.translate(sources, beam_size=1, retry=False), references, config.data.target_language
        ).bleu

    return validate


@dataclass(frozen=True)
class TestLines:
    """The lines of a test set."""

    name: str
    files: tuple[Path, ...]
    sources: Sequence[str]
    references: Sequence[str]


def read_test_set(config: Config | None, name: str | None, files: tuple[Path, Path] | None) -> TestLines:
    """Read a test set.

    Args:
        config: A model's settings; None if there is no model.
        name: Of one of their test sets; None takes `files`.
        files: A source and a reference file.

    Returns:
        Its lines, at least one.

    Raises:
        ConfigError: The settings name no such test set, or there are none.
        CorpusError: A file of a named test set is missing, or the text cannot be used.
        EvaluationError: It is empty.
        OSError: A file cannot be read.
    """
    paths: tuple[Path, ...] = files or _files_of(config, name or "")
    return read_test_lines(config, name or str(paths[0]), paths)


def read_test_lines(config: Config | None, name: str, paths: tuple[Path, ...]) -> TestLines:
    """Read the lines of a set.

    Args:
        config: A model's settings, for the languages; None if there is no model.
        name: What to call it.
        paths: One corpus.

    Returns:
        Its lines, at least one.

    Raises:
        CorpusError: The text cannot be used.
        EvaluationError: It is empty.
        OSError: A file cannot be read.
    """
    from nmt.evaluation import EvaluationError

    languages = ("", "") if config is None else config.data.languages
    pairs = list(read_pairs(*paths, languages=languages))
    if not pairs:
        raise EvaluationError(f"{paths[0]}: expected lines to translate, got an empty file")
    warn_of_misalignment(" and ".join(map(str, paths)), pairs)
    sources, references = zip(*pairs, strict=True)
    return TestLines(name, paths, sources, references)


def warn_of_misalignment(names: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Say on stderr if lines and their translations do not belong together: no score means anything then."""
    check = SidesCheck()
    deque(check.watch(pairs), maxlen=0)
    found = check.misalignment(lambda: pairs)
    if found is not None:
        tell("nmt", f"warning: {names}: {found}")


def _files_of(config: Config | None, name: str) -> tuple[Path, ...]:
    """Find the files of a named test set."""
    advice = "give --source FILE and --reference FILE"
    if config is None:
        raise ConfigError(f"--test {name}: needs a model, whose settings say where it is; {advice}")
    if name not in config.data.test:
        known = ", ".join(config.data.test) or "none"
        raise ConfigError(f"--test {name}: no such test set in the model's settings; they name: {known}")
    for path in config.data.test[name]:
        if not path.exists():
            raise CorpusError(f"--test {name}: {path}: no such file; {advice}")
    return config.data.test[name]
