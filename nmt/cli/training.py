"""Arguments of the commands that end in a model: settings, data, training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.commands.options import ConfigFile, ModelFolder, Overrides, StartFrom, TrainingDevice, within
from nmt.extras import require_torch
from nmt.reporting import INTERRUPTED, reporting
from nmt.values import CHECKPOINTS


def config(
    which: Annotated[
        str | None, typer.Argument(metavar="[SECTION|KEY]", help="A section or a setting; without, all of them.")
    ] = None,
) -> None:
    """List every setting, or some: default, type, bounds, meaning."""
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
    with reporting():
        require_torch("nmt train")
        if verify_resume:
            from nmt.commands.verify_resume import run as verify

            verify(config, overrides)
            return
        from nmt.commands.train import run

        if not run(config, overrides):
            raise typer.Exit(INTERRUPTED)


def plan(
    config: ConfigFile,
    overrides: Overrides = [],  # noqa: B006
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    start_from: StartFrom = None,
    device: TrainingDevice = None,
) -> None:
    """Tell what training will take: memory by part, speed, time, the largest batches that fit.

    Prepares the data first if that is not done yet, and trains some steps in a process of its own; keeps nothing.
    """
    with reporting():
        require_torch("nmt plan")
        from nmt.commands.plan import run

        run(config, _with_start(_with_device(overrides, device), start_from), json)


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
