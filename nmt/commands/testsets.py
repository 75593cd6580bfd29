"""Test sets of `nmt evaluate` and `nmt compare`: by name from a model's settings, or two files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nmt.commands.options import TestSet
from nmt.config import Config, ConfigError
from nmt.data.text import CorpusError, read_pairs
from nmt.evaluation import EvaluationError


@dataclass(frozen=True)
class TestLines:
    """The lines of a test set."""

    name: str
    files: tuple[Path, ...]
    sources: tuple[str, ...]
    references: tuple[str, ...]


def read_test_set(chosen: TestSet, config: Config | None) -> TestLines:
    """Read a test set.

    Args:
        chosen: Its name in the settings, or its files.
        config: A model's settings; None if there is no model.

    Returns:
        Its lines, at least one.

    Raises:
        ConfigError: The settings name no such test set, or there are none.
        CorpusError: A file of a named test set is missing, or the text cannot be used.
        EvaluationError: It is empty.
        OSError: A file cannot be read.
    """
    files = _files(chosen, config)
    pairs = list(read_pairs(*files))
    if not pairs:
        raise EvaluationError(f"{files[0]}: expected lines to translate, got an empty file")
    sources, references = zip(*pairs, strict=True)
    return TestLines(chosen.name or str(files[0]), files, sources, references)


def _files(chosen: TestSet, config: Config | None) -> tuple[Path, ...]:
    if chosen.source is not None and chosen.reference is not None:
        return chosen.source, chosen.reference
    if config is None:
        raise ConfigError(
            f"--test {chosen.name}: needs a model, whose settings say where it is; give --source FILE "
            "and --reference FILE"
        )
    name = chosen.name or ""
    if name not in config.data.test:
        known = ", ".join(config.data.test) or "none"
        raise ConfigError(f"--test {name}: no such test set in the model's settings; they name: {known}")
    for path in config.data.test[name]:
        if not path.exists():
            raise CorpusError(f"--test {name}: {path}: no such file; give --source FILE and --reference FILE")
    return config.data.test[name]
