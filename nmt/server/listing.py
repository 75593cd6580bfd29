"""Which models a folder holds: by its `models.toml`, or else by what the models say of themselves.

A path is never made of what a request says: requests name languages, which are looked up in what is listed here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from nmt.decoding.model_file import is_model_file, settings_of
from nmt.languages import CODE, folded
from nmt.model_folder.digests import DIGEST_FILE
from nmt.model_folder.files import CONFIG_FILE, MODEL_FILE, ModelError
from nmt.model_folder.shortlist import SHORTLIST_FILE
from nmt.reading import sha256
from nmt.server.registry_file import REGISTRY_FILE, read_registry
from nmt.server.unchanging import unchanging
from nmt.terminal import printable
from nmt.values import subword_files

_FILES: Final = (CONFIG_FILE, MODEL_FILE, DIGEST_FILE, SHORTLIST_FILE)

Identity = tuple[tuple[int, int, int, int] | None, ...]
"""Device, inode, size and time of change of each file, None of one that is missing: what has another identity may have
another content."""

Cache = dict[Path, tuple[Identity, tuple["Entry", ...]]]
"""What models said of themselves, and what their files were then."""


@dataclass(frozen=True)
class Entry:
    """A model that is listed, for a pair of languages: nothing of it needs to be open."""

    path: Path
    """The model file or folder."""
    source: str
    """Language code."""
    target: str
    """Language code."""
    name: str = ""
    """For people; empty if nobody gave it one."""
    license: str = ""
    """Empty if it does not say."""
    sha256: str | None = None
    """What `digest_of` is to give; None: whatever it gives."""
    tags: tuple[str, ...] = ()
    """As in `models.toml`."""
    root: Path | None = None
    """The folder out of which nothing may lead; None for a model that was named by itself."""


class Listing(NamedTuple):
    """What there is, and what is wrong with the rest."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    """A line for each model that cannot be listed, with its name."""
    seen: Mapping[Path, Identity]
    """What was looked at: where one of these has another identity, there may be other models."""


def list_models(places: Sequence[Path], cache: Cache | None = None) -> Listing:
    """List the models of folders, and models that are named by themselves.

    A model file or model folder is listed as what it says of itself; of any other folder either what its `models.toml`
    lists, which opens no model, or else every model file and model folder directly in it.

    Args:
        places: Model files, model folders, folders of them.
        cache: What models said of themselves, and is believed again of those that are as they were; added to.

    Returns:
        The models. Of several for one pair of languages the first is listed, and the others are problems.

    Raises:
        ModelError: A model that is named by itself is missing or damaged.
        RegistryError: A `models.toml` is damaged.
        OSError: A folder, or a model that is named by itself, cannot be read.
    """
    found: list[Entry] = []
    problems: list[str] = []
    seen: dict[Path, Identity] = {}
    cache = {} if cache is None else cache
    for place in places:
        if is_collection(place):
            inside = list_folder(place, cache)
            found += inside.entries
            problems += inside.problems
            seen.update(inside.seen)
        else:
            seen[place] = identity_of(place)
            found += _described(place, seen[place], cache, problems)
    kept: dict[tuple[str, str], Entry] = {}
    for entry in found:
        other = kept.setdefault((folded(entry.source), folded(entry.target)), entry)
        if other is not entry:
            problems.append(
                f"{entry.path}: translates {entry.source} to {entry.target}, as {other.path} does; not served"
            )
    return Listing(tuple(kept.values()), tuple(problems), seen)


def is_collection(place: Path) -> bool:
    """Whether a name is that of a folder of models, not of a model."""
    return place.is_dir() and not _is_model_folder(place)


def list_folder(folder: Path, cache: Cache | None = None) -> Listing:
    """List the models of a folder, see `list_models`; several for one pair of languages may be among them.

    Raises:
        ModelError: It is a model.
        RegistryError: Its `models.toml` is damaged.
        OSError: The folder cannot be read.
    """
    if _is_model_folder(folder):
        raise ModelError(f"{folder}: expected a folder of models, got a model")
    root = Path(os.path.realpath(folder))
    seen = {each: identity_of(each) for each in (folder, folder / REGISTRY_FILE)}  # before they are read
    rows = read_registry(folder)
    cache = {} if cache is None else cache
    entries: list[Entry] = []
    problems: list[str] = []
    for number, path in enumerate(models_in(folder) if rows is None else [folder / row.file for row in rows]):
        seen[path] = identity_of(path)
        try:
            require_within(path, root)
            if rows is None:
                entries += [replace(each, root=root) for each in _described(path, seen[path], cache, problems)]
                continue
            row = rows[number]
            if not path.exists():
                raise ModelError(f"{path}: missing; {REGISTRY_FILE} lists it")
            entries.append(Entry(path, row.source, row.target, row.name, row.license, row.sha256, row.tags, root))
        except (ValueError, OSError) as error:
            problems.append(_told(path, error))
    return Listing(tuple(entries), tuple(problems), seen)


def _described(path: Path, identity: Identity, cache: Cache, problems: list[str]) -> tuple[Entry, ...]:
    """Describe a model, or, if its new files are damaged, what it was: that may be open, and is not to be lost."""
    known = cache.get(path)
    if known is not None and known[0] == identity:
        return known[1]
    try:
        found = described(path)
    except (ValueError, OSError) as error:
        if known is None:
            raise
        problems.append(_told(path, error))
        return known[1]
    cache[path] = (identity, found)
    return found


def _told(path: Path, error: Exception) -> str:
    """Make a line of what is wrong with a model."""
    return printable(str(error) if str(path) in str(error) else f"{path}: {error}")


def described(path: Path, source: str | None = None, target: str | None = None) -> tuple[Entry, ...]:
    """List a model as what it says of itself, once for each pair of languages.

    Args:
        path: The model file or folder.
        source: Code of its source language, instead of what it says; of several, the one to list.
        target: The same of its target language.

    Raises:
        ModelError: It is missing or damaged, or its languages have no codes, or it does not have these.
        OSError: It cannot be read.
    """
    with unchanging(path) if path.is_file() else nullcontext(path) as copy:
        settings = settings_of(copy)
    data = settings.data
    if len(data.directions) > 1:
        wanted = [
            pair
            for pair in data.directions
            if all(
                code is None or folded(code) == folded(own) for code, own in zip((source, target), pair, strict=True)
            )
        ]
        if not wanted:
            known = ", ".join("-".join(pair) for pair in data.directions)
            raise ModelError(f"{path}: expected one of {known}, as it translates, got {source or ''}-{target or ''}")
        return tuple(Entry(path, *pair, license=settings.license) for pair in wanted)
    source, target = source or data.source_language, target or data.target_language
    for side, code in (("source", source), ("target", target)):
        if not CODE.fullmatch(code):
            raise ModelError(
                f"{path}: expected a code for its {side} language, such as de or pt-BR, got {code!r}; "
                f"`nmt models add --{side}` says another"
            )
    return (Entry(path, source, target, license=settings.license),)


def require_within(path: Path, root: Path) -> None:
    """Check that a model lies in a folder, with all files that are read of it, wherever links lead.

    Raises:
        ModelError: It does not.
    """
    for each in (path, *model_files(path)):
        place = Path(os.path.realpath(each))
        if not place.is_relative_to(root) or place == root:
            raise ModelError(f"{each}: leads out of {root}")


def model_files(path: Path) -> list[Path]:
    """Names of the files that a model may be read from: itself, or what is directly in its folder but folders."""
    if not path.is_dir():
        return [path]
    with os.scandir(path) as found:
        return sorted(Path(each.path) for each in found if not each.is_dir(follow_symlinks=False))


def identity_of(path: Path) -> Identity:
    """Tell a file, a model folder or a folder of models from what it was, without reading it."""
    if not _is_model_folder(path):
        return (_identity(path),)
    subwords = {*subword_files(joint=True), *subword_files(joint=False)}  # and no others: a training may write logs
    return tuple(_identity(path / name) for name in (*_FILES, *sorted(subwords)))


def _identity(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def digest_of(path: Path) -> str | None:
    """Return the SHA-256 of a model file, or of a model folder's `SHA256SUMS`, which stands for all that it lists.

    Returns:
        Hexadecimal digits; None for a model folder that has no `SHA256SUMS`.

    Raises:
        OSError: The file cannot be read.
    """
    if not path.is_dir():
        return sha256(path)
    sums = path / DIGEST_FILE
    return sha256(sums) if sums.exists() else None


def _is_model_folder(path: Path) -> bool:
    return (path / CONFIG_FILE).exists() and not (path / REGISTRY_FILE).exists()


def models_in(folder: Path) -> list[Path]:
    """Names of the model files and model folders directly in a folder, in order."""
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [path for path in found if path.suffix == ".nmt" or _is_model(path)]


def _is_model(path: Path) -> bool:
    try:
        return _is_model_folder(path) if path.is_dir() else is_model_file(path)
    except OSError:
        return False
