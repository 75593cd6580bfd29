"""Arguments of the commands that end in a model: settings, data, training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nmt.commands.asked import SearchSettings
from nmt.commands.options import (
    BatchSize,
    BeamSize,
    ConfigFile,
    Ensemble,
    InputFile,
    LengthPenalty,
    Model,
    ModelFolder,
    Overrides,
    Precision,
    Sample,
    Seed,
    StartFrom,
    Temperature,
    Threads,
    To,
    TopK,
    TopP,
    TrainingDevice,
    chosen_sampling,
    within,
)
from nmt.extras import require_torch
from nmt.reporting import INTERRUPTED, reporting
from nmt.values import CHECKPOINTS, N_BEST


def config(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="[SECTION|KEY|KEY=VALUE]", help="A section, or a setting, perhaps with a value; without, all."
        ),
    ] = None,
) -> None:
    """List every setting, or some: default, type, bounds, meaning.

    With a value, it is checked as well.
    """
    with reporting():
        from nmt.commands.config import run

        run(which)


def prepare(
    config: ConfigFile,
    overrides: Overrides = [],  # noqa: B006  (typer copies it)
    start_from: StartFrom = None,
) -> None:
    """Turn the corpora into subword ids.

    Trains the vocabularies, too. Does nothing where that is done already.
    """
    with reporting():
        from nmt.commands.prepare import run

        run(config, _with_start(overrides, start_from))


def train(
    config: ConfigFile,
    overrides: Overrides = [],  # noqa: B006
    start_from: StartFrom = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="N,N", help="Train a model for each seed, in FOLDER/seed_N, and tell how they differ."),
    ] = None,
    verify_resume: Annotated[
        bool,
        typer.Option("--verify-resume", help="Prove that stopping and going on changes nothing; trains no model."),
    ] = False,
    device: TrainingDevice = None,
) -> None:
    """Train a model, or go on where training stopped.

    Prepares the data first if that is not done yet. Ctrl-C saves and stops; the same command goes on.
    """
    overrides = _with_start(_with_device(overrides, device), start_from)
    numbers = _as_seeds(seeds)
    with reporting():
        require_torch("nmt train")
        if verify_resume:
            from nmt.commands.verify_resume import run as verify

            verify(config, overrides)
            return
        from nmt.commands.train import run

        if not run(config, overrides, numbers):
            raise typer.Exit(INTERRUPTED)


def _as_seeds(text: str | None) -> list[int]:
    """Read the numbers of `--seeds`."""
    parts = [] if text is None else text.replace(",", " ").split()
    if text is not None and not (parts and all(map(str.isdecimal, parts)) and len(set(parts)) == len(parts)):
        raise typer.BadParameter(f"--seeds: expected different whole numbers such as 1,2,3, got {text}")
    return [int(part) for part in parts]


def distill(
    config: ConfigFile,
    *,
    teachers: Annotated[
        list[Path], typer.Option("--teacher", metavar="MODEL", help="Model that teaches; several do so together.")
    ],
    overrides: Overrides = [],  # noqa: B006
    n_best: Annotated[
        int, within(N_BEST, "Of so many translations of each line, take the one that is nearest to the reference.")
    ] = 1,
    mix: Annotated[bool, typer.Option("--mix", help="Learn from the training text, too.")] = False,
    start_from: StartFrom = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    threads: Threads = None,
    precision: Precision = None,
    device: TrainingDevice = None,
) -> None:
    """Train a student on what its teachers make of the training text.

    Ctrl-C saves and stops; the same command goes on, with translating as with training.
    """
    overrides = _with_start(_with_device(overrides, device), start_from)
    with reporting():
        require_torch("nmt distill")
        from nmt.commands.distill import Lesson, run

        search = SearchSettings(
            beam_size, length_penalty, batch_size, threads, precision=None if precision is None else precision.value
        )
        if not run(config, overrides, Lesson(tuple(teachers), n_best, mix), search, ["nmt", *sys.argv[1:]]):
            raise typer.Exit(INTERRUPTED)


def backtranslate(
    model: Model,
    *,
    to: To = None,
    source: InputFile = None,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The .tsv file of pairs to write.")],
    tag: Annotated[str, typer.Option(metavar="TEXT", help="What each translation in the file begins with.")] = "",
    beam_size: BeamSize = None,
    batch_size: BatchSize = None,
    threads: Threads = None,
    precision: Precision = None,
    sample: Sample = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    ensemble: Ensemble = [],  # noqa: B006
) -> None:
    """Make pairs to train on, of text that exists only in the target language.

    MODEL translates in the opposite direction. What was stopped goes on when the same command is given again.
    """
    if output.suffix != ".tsv":
        raise typer.BadParameter(f"--output: expected a name that ends in .tsv, got {output}")
    sampling = chosen_sampling(sample, beam_size, temperature, top_k, top_p, seed)
    with reporting():
        from nmt.commands.backtranslate import run
        from nmt.files import STREAM

        search = SearchSettings(
            beam_size,
            None,
            batch_size,
            threads,
            precision=None if precision is None else precision.value,
            sampling=sampling,
            ensemble=tuple(ensemble),
            to=to,
        )
        run(model, source or STREAM, output, tag.strip(), search)


def plan(
    config: ConfigFile,
    overrides: Overrides = [],  # noqa: B006
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    start_from: StartFrom = None,
    device: TrainingDevice = None,
    processes: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Tell also what so many processes take, by `torchrun`.")
    ] = 1,
    gigabits: Annotated[
        float, typer.Option(min=0.001, max=10_000, metavar="N", help="Gbit/s of the connection of each of them.")
    ] = 1.0,
) -> None:
    """Tell what training will take: memory by part, speed, time, the largest batches that fit.

    Prepares the data first if that is not done yet, and trains some steps in a process of its own; keeps nothing.
    """
    with reporting():
        require_torch("nmt plan")
        from nmt.commands.plan import run

        run(config, _with_start(_with_device(overrides, device), start_from), json, processes, gigabits)


def average(
    model: ModelFolder,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write the new model.")],
    last: Annotated[int | None, within(CHECKPOINTS, "Average this many of the latest checkpoints.")] = None,
    steps: Annotated[str | None, typer.Option(metavar="N,N", help="Average the checkpoints of these steps.")] = None,
) -> None:
    """Average the parameters of several checkpoints into a new model."""
    if (last is None) == (steps is None):
        raise typer.BadParameter("expected either --last N or --steps N,N,...")
    with reporting():
        require_torch("nmt average")
        from nmt.commands.average import run

        run(model, output, last, steps)


def _with_start(overrides: list[str], model: Path | None) -> list[str]:
    return overrides if model is None else [*overrides, f"start_from={model}"]


def _with_device(overrides: list[str], device: str | None) -> list[str]:
    return overrides if device is None else [*overrides, f"training.device={device}"]
