"""A model file that is opened to translate with; imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nmt.brief import parse_brief
from nmt.data.subwords import Subwords
from nmt.model.model_file import MAGIC, ModelFile
from nmt.model.native import NativeNetwork
from nmt.model.shapes import NetworkShape
from nmt.model_folder.files import CONFIG_FILE, ModelError, read_settings, require_vocabulary, told_in_one_line
from nmt.reading import open_regular

if TYPE_CHECKING:
    from nmt.brief import Settings
    from nmt.config import Config

ORIGIN_SECTION: Final = "origin.json"
"""What the file was made of: the version of this package, and digests of the folder's files."""


@dataclass(frozen=True)
class OpenFile:
    """A model file, its parts checked against each other."""

    file: ModelFile
    config: Settings
    network: NativeNetwork
    source: Subwords
    target: Subwords
    """The same object as the source's if they are joint."""


SHORTLIST_SECTIONS: Final = ("shortlist.first", "shortlist.candidates", "shortlist.frequent")
"""The lists of `nmt.model_folder.shortlist`, where the file was to have them."""


def is_model_file(path: Path) -> bool:
    """Whether a name is that of a model file, by its first bytes."""
    if not path.is_file():
        return False
    with open_regular(path) as file:
        return file.read(len(MAGIC)) == MAGIC


def map_model_file(path: Path) -> ModelFile:
    """Map a model file and check that nothing in it changed.

    Raises:
        ModelError: There is none, or it is damaged.
        OSError: It cannot be read.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such model folder or file")
    open_regular(path).close()  # what is wrong with the name is told as of all files
    with _telling(None):
        return ModelFile(path)


def settings_in(file: ModelFile, path: Path) -> Config:
    """Read the settings of a model file.

    Args:
        file: The file.
        path: Its name.

    Raises:
        ModelError: They are missing, or of another version.
    """
    from nmt.config_file import parse_config  # noqa: PLC0415  (takes long to import, and translating does without)

    with told_in_one_line():
        return parse_config(_text(file, path, CONFIG_FILE), f"{path}: {CONFIG_FILE}")


def settings_of(model: Path) -> Config:
    """Read the settings of a model folder, or of a model file.

    Raises:
        ModelError: There is neither, or it is damaged.
        OSError: It cannot be read.
    """
    return read_settings(model) if model.is_dir() else settings_in(map_model_file(model), model)


def open_model_file(path: Path) -> OpenFile:
    """Open a model file; what is large in it is used where it lies.

    Raises:
        ModelError: There is none, or it is damaged, or its parts do not fit each other.
        SubwordError: A subword model in it cannot be read.
        OSError: It cannot be read.
    """
    file = map_model_file(path)
    config = parse_brief(_text(file, path, CONFIG_FILE)) or settings_in(file, path)
    subwords = [Subwords(_text(file, path, name), f"{path}: {name}") for name in config.data.subword_files]
    with _telling(path):
        sizes = file.vocabulary_sizes
        network = file.network(NetworkShape.of(config, sizes))
    require_vocabulary(path, (subwords[0].size, subwords[-1].size), sizes)
    return OpenFile(file, config, network, subwords[0], subwords[-1])


def set_shortlist(found: OpenFile, path: Path) -> None:
    """Give the network of a model file the shortlist in it.

    Raises:
        ModelError: There is none, or it does not fit the network.
    """
    first, candidates, frequent = map(found.file.read, SHORTLIST_SECTIONS)
    if first is None or candidates is None or frequent is None:
        raise ModelError(f"{path}: has no shortlist; `nmt export --shortlist` puts it in")
    with _telling(path):
        found.network.set_shortlist(first, candidates, frequent)


def _text(file: ModelFile, path: Path, name: str) -> bytes:
    content = file.read(name)
    if content is None:
        raise ModelError(f"{path}: holds no {name}")
    return content


@contextmanager
def _telling(path: Path | None) -> Iterator[None]:
    """Turn the errors of the native code into those of a model; `path`: what their messages are to begin with."""
    try:
        yield
    except ValueError as error:
        raise ModelError(
            str(error) if path is None or str(error).startswith(str(path)) else f"{path}: {error}"
        ) from None
