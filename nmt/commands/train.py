"""`nmt train`: prepared data to a model folder."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from nmt.commands.prepare import report
from nmt.config import Config
from nmt.config_file import load_config
from nmt.data.batching import SubwordSampling, TrainingBatches, validation_batches
from nmt.data.preparation.prepare import PreparedData, check, prepare
from nmt.data.subword_regularization import SubwordSampler
from nmt.data.text import read_pairs
from nmt.decoding.translator import Translator
from nmt.evaluation import score
from nmt.model.seq2seq import Seq2Seq
from nmt.training.lock import locked
from nmt.training.trainer import build_model, train


def run(path: Path, overrides: Sequence[str]) -> bool:
    """Train the model of a config file.

    Args:
        path: The TOML file.
        overrides: `section.key=value` each.

    Returns:
        False if the user interrupted it.

    Raises:
        ConfigError: A setting is wrong.
        CorpusError, SubwordError, PreparedError: The data cannot be prepared, or is of other settings.
        TrainingError: Training cannot start or go on.
        OSError: A file cannot be read or written.
    """
    config = load_config(path, overrides)
    check(config)  # text that is missing is found before anything is written
    with locked(config.folder):
        data = prepared_data(config)
        result = train(
            config,
            build_model(config, data.source_subwords.size, data.target_subwords.size),
            training_batches(config, data),
            validation_batches(data.valid, config.training.batch_tokens),
            validate=validation_bleu(config, data),
            counts=data.counts,
        )
    if result.status in ("interrupted", "already finished"):  # otherwise the trainer has said it
        typer.echo(f"nmt train: {result.message}", err=True)
    if result.status == "interrupted":
        options = [part for override in overrides for part in ("--set", override)]
        typer.echo(f"nmt train: to go on: {shlex.join(['nmt', 'train', str(path), *options])}", err=True)
    return result.status != "interrupted"


def prepared_data(config: Config) -> PreparedData:
    """Open the prepared data of a config; prepares it first if there is none.

    Raises:
        CorpusError, SubwordError, PreparedError: The data cannot be prepared, or is of other settings.
        OSError: A file cannot be read or written.
    """
    if check(config)[0] == "missing":  # stale data is refused below: a checkpoint may belong to it
        prepare(config, report)
    return PreparedData.open(config)


def training_batches(config: Config, data: PreparedData) -> TrainingBatches:
    """Make the batches of the training set as the settings want them."""
    settings = config.training
    sampling = None
    if settings.subword_sampling:
        source, target = (
            SubwordSampler(subwords, config.data.subword_model, settings.subword_alpha)
            for subwords in (data.source_subwords, data.target_subwords)
        )
        sampling = SubwordSampling(settings.subword_sampling, source, target)
    return TrainingBatches(data.train, settings.batch_tokens, settings.seed, sampling)


def validation_bleu(config: Config, data: PreparedData, lines: int | None = None) -> Callable[[Seq2Seq], float]:
    """Make a function that translates the validation set greedily and gives BLEU.

    Args:
        config: The settings.
        data: Their prepared data, for its subwords.
        lines: Take only so many of the first lines; None takes all.

    Raises:
        CorpusError: The text cannot be read.
    """
    sources, references = zip(*list(read_pairs(*config.data.valid))[:lines], strict=True)

    def validate(model: Seq2Seq) -> float:
        translator = Translator(model, data.source_subwords, data.target_subwords, config)
        return score(
            translator.translate(sources, beam_size=1, retry=False), references, config.data.target_language
        ).bleu

    return validate
