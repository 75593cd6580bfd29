"""What several commands do with a config and its folder: open its data, make its batches, score its sets.

What brings torch or sacreBLEU is imported by the function that needs it: preparing needs neither.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.config import Config, ConfigError
from nmt.data.batching import SubwordRegularization, TrainingBatches
from nmt.data.dataset import PreparedSplit
from nmt.data.preparation.prepare import PreparedData
from nmt.data.sampling import sampling_of
from nmt.data.sides import SidesCheck
from nmt.data.subword_regularization import SubwordSampler
from nmt.data.text import CorpusError, read_pairs
from nmt.languages import Direction, common, find_language, folded
from nmt.terminal import tell

if TYPE_CHECKING:
    from nmt.model.seq2seq import Seq2Seq
    from nmt.training.samples import Translated


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
    sampling = sampling_of(
        [part.pairs for part in data.train.parts],
        [each.weight for each in config.data.corpora],
        config.data.sampling_temperature,
    )
    return TrainingBatches(data.train, settings.batch_tokens, settings.seed, regularization, sampling)


def validation_bleu(config: Config, data: PreparedData, lines: int | None = None) -> Callable[[Seq2Seq], Translated]:
    """Make a function that translates the validation sets greedily and gives BLEU, and some translations.

    Args:
        config: The settings.
        data: Their prepared data, for its subwords.
        lines: Take only so many of each, those with the longest sources; None takes all.

    Raises:
        CorpusError: The text cannot be read.
    """
    from nmt.decoding.model_network import ModelNetwork
    from nmt.decoding.translator import Translator
    from nmt.evaluation import score
    from nmt.training.samples import Sample, Translated

    sets = [
        (part, _longest(read_pairs(*part.valid, languages=part.languages), lines))
        for part in config.data.parts
        if part.valid is not None
    ]

    def validate(model: Seq2Seq) -> Translated:
        network = ModelNetwork(model)
        bleu: dict[str, float] = {}
        samples: list[Sample] = []
        for part, pairs in sets:
            sources, references = zip(*pairs, strict=True)
            translator = Translator(network, data.source_subwords, data.target_subwords, config, part.target_language)
            found = translator.translate(sources, beam_size=1, retry=False)
            bleu[part.direction] = score(found, references, part.target_language).bleu
            shown = min(config.training.samples, len(pairs))
            places = [number * len(pairs) // shown for number in range(shown)]
            samples += [Sample(part.direction, sources[i], found[i], references[i]) for i in places]
        return Translated(bleu, samples)

    return validate


def _longest(pairs: Iterable[tuple[str, str]], count: int | None) -> list[tuple[str, str]]:
    return list(pairs) if count is None else nlargest(count, pairs, key=lambda pair: len(pair[0]))


@dataclass(frozen=True)
class TestLines:
    """The lines of a test set."""

    name: str
    files: tuple[Path, ...]
    sources: Sequence[str]
    references: Sequence[str]
    target_language: str | None = None
    """None if there is no model to tell it."""


def read_test_set(
    config: Config | None, name: str | None, files: tuple[Path, Path] | None, to: str | None = None
) -> TestLines:
    """Read a test set.

    Args:
        config: A model's settings; None if there is no model.
        name: Of one of their test sets; None takes `files`.
        files: A source and a reference file.
        to: Code of the target language; None where the model knows one only, or the test set's name tells.

    Returns:
        Its lines, at least one.

    Raises:
        ConfigError: The settings name no such test set, or there are none.
        CorpusError: A file of a named test set is missing, or the text cannot be used.
        EvaluationError: It is empty.
        LanguageError: The model does not write the language.
        OSError: A file cannot be read.
    """
    if files is None:
        return read_test_lines(*_named_test(config, name or "", to))
    if config is None:
        return read_test_lines(str(files[0]), files)
    target = find_language("--to", to, config.data.target_languages)
    sources = [source for source, other in config.data.directions if folded(other) == folded(target)]
    return read_test_lines(str(files[0]), files, (common(sources), target))


def read_test_lines(name: str, paths: tuple[Path, ...], languages: Direction | None = None) -> TestLines:
    """Read the lines of a set.

    Args:
        name: What to call it.
        paths: One corpus.
        languages: Its languages; None if there is no model.

    Returns:
        Its lines, at least one.

    Raises:
        CorpusError: The text cannot be used.
        EvaluationError: It is empty.
        OSError: A file cannot be read.
    """
    from nmt.evaluation import EvaluationError

    pairs = list(read_pairs(*paths, languages=languages or ("", "")))
    if not pairs:
        raise EvaluationError(f"{paths[0]}: expected lines to translate, got an empty file")
    warn_of_misalignment(" and ".join(map(str, paths)), pairs)
    sources, references = zip(*pairs, strict=True)
    return TestLines(name, paths, sources, references, languages and languages[1])


def warn_of_misalignment(names: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Say on stderr if lines and their translations do not belong together: no score means anything then."""
    check = SidesCheck()
    deque(check.watch(pairs), maxlen=0)
    found = check.misalignment(lambda: pairs)
    if found is not None:
        tell("nmt", f"warning: {names}: {found}")


def _named_test(config: Config | None, name: str, to: str | None) -> tuple[str, tuple[Path, ...], Direction]:
    """Find name, files and languages of a named test set, be it called by its whole name or also by its language."""
    advice = "give --source FILE and --reference FILE"
    if config is None:
        raise ConfigError(f"--test {name}: needs a model, whose settings say where it is; {advice}")
    sets = config.data.test_sets
    found = [
        each
        for each, (_, (_, target)) in sets.items()
        if name in (each, each.partition(":")[0]) and (to is None or folded(to) == folded(target))
    ]
    if len(found) != 1:
        known = ", ".join(sets) or "none"
        problem = "several test sets" if found else "no such test set"
        to_language = "" if to is None else f" --to {to}"
        raise ConfigError(f"--test {name}{to_language}: {problem} in the model's settings; they name: {known}")
    files, languages = sets[found[0]]
    for path in files:
        if not path.exists():
            raise CorpusError(f"--test {name}: {path}: no such file; {advice}")
    return found[0], files, languages
