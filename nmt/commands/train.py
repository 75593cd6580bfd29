"""`nmt train`: prepared data to a model folder."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from nmt.commands.training import as_options, train_model
from nmt.config import Config
from nmt.config_file import load_config
from nmt.data.preparation.manifest import input_files, require_files
from nmt.model.device import use_device
from nmt.terminal import tell
from nmt.training.processes import Processes, joined, local_rank


def run(path: Path, overrides: Sequence[str], seeds: Sequence[int] = ()) -> bool:
    """Train the model of a config file, or one for each of several seeds, in folders in that of the settings.

    Args:
        path: The TOML file.
        overrides: `section.key=value` each.
        seeds: Those of several models, one after the other; none for that of the settings.

    Returns:
        False if the user interrupted it.

    Raises:
        ConfigError: A setting is wrong.
        CorpusError, ModelError, SubwordError, PreparedError, TrainingError, OSError: See `train_model`.
    """
    config = load_config(path, overrides)
    require_files(input_files(config))  # text that is missing is found before anything is written
    command = ["nmt", "train", str(path), *as_options(overrides)]
    if seeds:
        command += ["--seeds", ",".join(map(str, seeds))]
    config = _on_own_card(config)
    with joined(cuda=config.training.device.startswith("cuda")) as processes:
        return _train(config, command, seeds, processes)


def _train(config: Config, command: Sequence[str], seeds: Sequence[int], processes: Processes) -> bool:
    """See `run`."""
    if not seeds:
        return train_model(config, command, processes).status != "interrupted"
    scores = []
    for seed in seeds:
        training = config.training.model_copy(update={"seed": seed})
        update = {"folder": config.folder / f"seed_{seed}", "training": training}
        result = train_model(config.model_copy(update=update), command, processes)
        if result.status == "interrupted":
            return False
        scores.append(result.best_score if result.best_score is not None else float("nan"))
    if processes.first:
        _tell_spread(config.training.early_stopping_metric, seeds, scores)
    return True


def _on_own_card(config: Config) -> Config:
    """Give each of several processes of a machine a card of its own."""
    local, device = local_rank(), config.training.device
    if local is None or device not in ("cuda", "auto"):
        return config
    found = use_device(device if device == "auto" else f"cuda:{local}")
    device = f"cuda:{local}" if found.type == "cuda" else "cpu"
    return config.model_copy(update={"training": config.training.model_copy(update={"device": device})})


def _tell_spread(metric: str, seeds: Sequence[int], scores: Sequence[float]) -> None:
    """Say how far models differ that differ by chance alone: what a change of settings gains must be more."""
    each = ", ".join(f"{score:.4g}" for score in scores)
    spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
    tell(
        "nmt train",
        f"{len(seeds)} seeds: validation {metric} {statistics.fmean(scores):.4g} in the mean, "
        f"standard deviation {spread:.2g} ({each})",
    )
