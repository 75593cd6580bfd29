"""The files of a model folder by name, and its settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nmt.reading import kind_of

if TYPE_CHECKING:
    from nmt.config import Config

CONFIG_FILE: Final = "config.json"
MODEL_FILE: Final = "model.safetensors"
CARD_FILE: Final = "README.md"


class ModelError(ValueError):
    """A model folder that cannot be read; the message names the file, what was expected and what came."""


def require_file(path: Path, hint: str = "") -> None:
    """Check that a file is there.

    Raises:
        ModelError: It is missing, in which case the message ends with `hint`, or no regular file.
        OSError: It cannot be looked at.
    """
    try:
        kind = kind_of(path)
    except FileNotFoundError:
        raise ModelError(f"{path}: missing{hint}") from None
    if kind is not None:
        raise ModelError(f"{path}: expected a file, got {kind}")


def require_vocabulary(path: Path, found: tuple[int, int], expected: tuple[int, int]) -> None:
    """Check that subword models are as large as the vocabulary of a network.

    Args:
        path: Of the model, for the message.
        found: Pieces of the source's and the target's subword model.
        expected: The network's sizes.

    Raises:
        ModelError: They are not.
    """
    if found != expected:
        raise ModelError(
            f"{path}: expected subword models of {expected[0]} (source) and {expected[1]} (target) pieces, "
            f"got {found[0]} and {found[1]}"
        )


def read_settings(folder: Path) -> Config:
    """Read the settings of a model folder.

    Raises:
        ModelError: They are missing, damaged, or of another version; one line.
    """
    from nmt.config_file import read_config  # noqa: PLC0415  (takes long to import, and translating does without)

    path = folder / CONFIG_FILE
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder")
    require_file(path, "; a model folder is made by `nmt train`")
    with told_in_one_line():
        return read_config(path)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn the errors of settings into one of a model, of one line."""
    from nmt.config import ConfigError  # noqa: PLC0415

    try:
        yield
    except ConfigError as error:
        problems = str(error).splitlines()
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ModelError(problems[0] + more) from None
