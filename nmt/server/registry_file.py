"""`models.toml`: which models of a folder are served, and what they are called."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from nmt.files import write_text
from nmt.languages import CODE
from nmt.reading import read_regular
from nmt.terminal import printable

REGISTRY_FILE: Final = "models.toml"
"""The file of a folder that says which models in it are served, and what they are called."""

_HEADING: Final = "# The models of this folder; `nmt models add` writes it, and so may you.\n"

_Text = Annotated[str, StringConstraints(max_length=1000)]
_Code = Annotated[str, StringConstraints(pattern=f"^{CODE.pattern}$")]
_Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class RegistryError(ValueError):
    """A `models.toml` that cannot be read; a line for each thing that is wrong."""


class ModelRow(BaseModel):
    """One model of `models.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    """Name of a model file or model folder; it lies in the folder of `models.toml`."""
    source: _Code
    target: _Code
    name: _Text = ""
    """For people."""
    license: _Text = ""
    sha256: _Digest | None = None
    """See `digest_of`; without one, what the model holds is checked against itself alone."""
    tags: tuple[_Text, ...] = ()
    """For people, such as "news" or "small"."""


class _Registry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: tuple[ModelRow, ...] = ()


def read_registry(folder: Path) -> tuple[ModelRow, ...] | None:
    """Read the `models.toml` of a folder.

    Returns:
        Its rows; None if there is none.

    Raises:
        RegistryError: It is damaged, or leads out of the folder.
        OSError: It cannot be read.
    """
    path = folder / REGISTRY_FILE
    if not os.path.lexists(path):
        return None
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise RegistryError(f"{path}: leads out of the folder")
    try:
        return _Registry.model_validate(tomllib.loads(read_regular(path).decode("utf-8-sig"))).model
    except ValidationError as error:
        problems = [_problem(path, each["loc"], each["msg"]) for each in error.errors(include_url=False)]
        raise RegistryError("\n".join(problems)) from None
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"{path}: not a TOML file: {error}") from None


def write_registry(folder: Path, rows: Sequence[ModelRow]) -> None:
    """Write the `models.toml` of a folder, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    tables = ("".join(f"{key} = {_as_toml(value)}\n" for key, value in _given(row)) for row in rows)
    write_text(folder / REGISTRY_FILE, _HEADING + "".join(f"\n[[model]]\n{table}" for table in tables))


def _given(row: ModelRow) -> Iterator[tuple[str, object]]:
    """Settings of a row that say something."""
    return ((key, value) for key, value in row.model_dump().items() if value)


def _as_toml(value: object) -> str:
    """Write a text or a list of texts; JSON's escapes are TOML's, but that TOML wants one for DEL, too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _problem(path: Path, location: tuple[int | str, ...], message: str) -> str:
    """One line for one of pydantic's errors: models are counted from 1."""
    where = " ".join(f"number {part + 1}" if isinstance(part, int) else str(part) for part in location)
    return printable(f"{path}: {where}: {message[0].lower()}{message[1:]}")
