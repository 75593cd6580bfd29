"""A folder of models that is written to: models added safely, all of them checked."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final, NamedTuple

from nmt.decoding.exporting import contents_of
from nmt.decoding.translator import Translator
from nmt.files import atomic_write, remove_leftovers
from nmt.languages import common, folded
from nmt.lock import locked
from nmt.model_folder.files import ModelError
from nmt.reading import open_regular, sha256
from nmt.server.listing import Entry, described, digest_of, list_folder, require_within
from nmt.server.registry_file import REGISTRY_FILE, ModelRow, read_registry, write_registry

_PROBED: Final = slice(4, 12)  # ids of a line that a model can read: its first subwords that stand for text


class CollectionError(ValueError):
    """A model that cannot be put into a folder of models."""


@dataclass(frozen=True)
class Adding:
    """What is said of a model that is added; None takes what the model says of itself."""

    source: str | None = None
    """Language code."""
    target: str | None = None
    """Language code."""
    name: str = ""
    license: str | None = None
    tags: tuple[str, ...] = ()
    precision: str = "int8"
    """What the weights of a model folder are rounded to."""
    replace: bool = False
    """Whether it takes the place of another for the same languages, whose file is then removed; a folder stays."""


class Checked(NamedTuple):
    """What `verify_models` found out about a model."""

    entry: Entry
    probe: tuple[str, str] | None
    """A line, and what it became; None if the model cannot be opened."""
    problem: str | None
    """What is wrong with it, on one line."""


def add_model(folder: Path, model: Path, adding: Adding) -> list[ModelRow]:
    """Put a model into a folder, and list it in its `models.toml`, which then lists all that is there.

    A model file is copied, of a model folder one is made. It is written under a temporary name, opened, flushed to the
    disk and renamed; then the list is written alike; then what it replaces is removed. So whatever a server that has
    read either list asks for is there, or there is a newer list.

    Args:
        folder: The folder; created if missing.
        model: The model file or model folder; what lies in `folder` stays as it is, and is listed.
        adding: What is said of it.

    Returns:
        What is listed: a row for each pair of languages of the model.

    Raises:
        CollectionError: There is another model for these languages.
        ModelError, SubwordError: The model cannot be read.
        RegistryError: The folder's list is damaged.
        LockError: Another process adds a model.
        OSError: Something cannot be read or written.
    """
    found = described(model, adding.source, adding.target)
    with locked(folder):
        remove_leftovers(folder)
        rows = _rows(folder, model)
        replaced = [row for row in rows if any(_same_languages(row, each) for each in found)]
        if replaced and not adding.replace:
            same = next(each for each in found if _same_languages(replaced[0], each))
            raise CollectionError(
                f"{folder / replaced[0].file}: translates {same.source} to {same.target} already; "
                "expected --replace, or other codes"
            )
        codes = [common(getattr(each, side) for each in found) for side in ("source", "target")]
        file, digest = _placed(folder, model, "-".join(codes), adding.precision)
        new = [
            ModelRow(
                file=file,
                source=each.source,
                target=each.target,
                name=adding.name,
                license=each.license if adding.license is None else adding.license,
                sha256=digest,
                tags=adding.tags,
            )
            for each in found
        ]
        kept = [each for each in rows if each not in replaced]
        write_registry(folder, sorted([*kept, *new], key=lambda each: (each.source, each.target)))
        for name in {each.file for each in replaced} - {each.file for each in (*kept, *new)}:
            path = folder / name
            if path.is_symlink() or path.is_file():
                path.unlink()
    return new


def verify_models(folder: Path) -> Iterator[Checked]:
    """Check every model of a folder: its digest, that it opens, and that it translates a line.

    Args:
        folder: The folder.

    Yields:
        What was found out about each, as soon as it is.

    Raises:
        RegistryError: The folder's list is damaged.
        OSError: The folder cannot be read.
    """
    for entry in list_folder(folder).entries:
        try:
            if entry.sha256 is not None and (came := digest_of(entry.path)) != entry.sha256:
                raise ModelError(
                    f"{entry.path}: expected the SHA-256 {entry.sha256}, as {REGISTRY_FILE} says, got {came or 'none'}"
                )
            yield Checked(entry, _probe(entry.path, entry.target), None)
        except (ValueError, OSError) as error:
            yield Checked(entry, None, str(error))


def _rows(folder: Path, but: Path) -> list[ModelRow]:
    """List what there is, as `models.toml` does, or, without one, is to do from now on."""
    rows = read_registry(folder)
    if rows is not None:
        return list(rows)
    found = list_folder(folder)
    if found.problems:
        raise CollectionError("\n".join(found.problems))
    return [
        ModelRow(
            file=each.path.name,
            source=each.source,
            target=each.target,
            license=each.license,
            sha256=digest_of(each.path),
        )
        for each in found.entries
        if not each.path.samefile(but)
    ]


def _same_languages(row: ModelRow, entry: Entry) -> bool:
    return (folded(row.source), folded(row.target)) == (folded(entry.source), folded(entry.target))


def _placed(folder: Path, model: Path, name: str, precision: str) -> tuple[str, str | None]:
    """Put a model into a folder, checked; returns what it is called there, and its digest."""
    if model.absolute().parent.samefile(folder):
        require_within(model, Path(os.path.realpath(folder)))
        _probe(model)
        return model.name, digest_of(model)
    content = contents_of(model, precision) if model.is_dir() else None
    digest = sha256(model) if content is None else hashlib.sha256(content).hexdigest()
    path = folder / f"{name}.nmt"
    if path.exists():  # servers may be about to open it
        path = folder / f"{name}-{digest[:12]}.nmt"
    with atomic_write(path) as file:
        if content is None:
            with open_regular(model) as original:
                shutil.copyfileobj(original, file, 1 << 20)
        else:
            file.write(content)
        file.flush()
        if sha256(Path(file.name)) != digest:
            raise ModelError(f"{model}: changed while it was read")
        _probe(Path(file.name))
    return path.name, digest


def _probe(path: Path, target: str | None = None) -> tuple[str, str]:
    """Translate a line that a model can read, to a language, of several, or the first of these."""
    translator = Translator.load(path, threads=1)
    if len(translator.target_languages) > 1:
        translator = translator.to(target or translator.target_languages[0])
    subwords = translator.source_subwords
    line = subwords.decode(range(*_PROBED.indices(subwords.size)))
    [found] = translator.translate_detailed([line])
    if found.score is not None and not isfinite(found.score):
        raise ModelError(f"{path}: damaged: the score of a translation is {found.score}")
    return line, found.text
