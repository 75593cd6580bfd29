"""Many models in one process: opened when they are first asked for, closed when memory is needed, never in use.

models = Models([Path("models")], ModelOptions(memory=1 << 30))
with models.use("en", "de") as model:
    model.translator.translate_detailed(["A sentence."])
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from nmt.decoding.pivot import PivotTranslator, Translates
from nmt.decoding.translator import Translator
from nmt.languages import folded
from nmt.process import give_back_memory
from nmt.server.listing import Cache, Entry, Listing, identity_of, list_models
from nmt.server.shelf import Opened, Shelf
from nmt.terminal import printable


@dataclass(frozen=True)
class ModelOptions:
    """How models are opened, and how many stay so."""

    memory: int | None = None
    """Bytes that open models may take together, copies of their files and what is made of them; None: any number.
    One that is in use is never closed, so that what is used at a time is the least that they take."""
    pivots: tuple[str, ...] = ()
    """Languages to translate through where no model knows a pair, the first that has both ways."""
    threads: int | None = None
    """CPU threads of a call; None for what OMP_NUM_THREADS says, or all cores."""
    precision: str | None = None
    """What the weights of model folders are rounded to; model files are what they are."""


class Direction(NamedTuple):
    """What can be translated to what."""

    source: str
    """Language code, as the model or `models.toml` says it."""
    target: str
    """Language code."""
    name: str = ""
    """Of the model, for people; may be empty."""
    license: str = ""
    """Of the model; may be empty."""
    tags: tuple[str, ...] = ()
    """Of the model, for people."""
    via: str | None = None
    """The language between, where two models translate."""


class Usage(NamedTuple):
    """What is open, for `/metrics`."""

    models: int
    """Listed."""
    open: int
    """Of these; with models that were replaced and are still in use."""
    bytes: int
    """That these take: copies of their files, and what of the heap was taken when they were opened."""
    budget: int | None
    """See `ModelOptions.memory`."""
    opened: int
    """How often a model was opened since the beginning."""
    closed: int
    """And closed."""


class UnknownDirectionError(ValueError):
    """No model translates these languages; the message names those that are served."""


class Lease:
    """A model, or two, that stay open until their user is done.

    Args:
        direction: What they translate.
        parts: The open models, in their order.
    """

    def __init__(self, direction: Direction, parts: Sequence[Opened]) -> None:
        self.direction = direction
        self._parts = tuple(parts)

    @property
    def translator(self) -> Translates:
        """What translates, from any thread, until the lease ends.

        Raises:
            RuntimeError: It has ended.
        """
        if not self._parts:
            raise RuntimeError("a model was used after its lease had ended")
        targets = [each for each in (self.direction.via, self.direction.target) if each is not None]
        first, *more = (
            _writing(part.translator, target)
            for part, target in zip(self._parts, targets, strict=True)
            if part.translator is not None
        )
        return PivotTranslator(first, more[0]) if more else first

    def end(self) -> None:
        """Forget the models; `Models.use` calls it."""
        self._parts = ()


class _Table(NamedTuple):
    """What is served at a time; replaced as a whole."""

    entries: dict[tuple[str, str], Entry]
    """By languages, folded."""
    directions: dict[tuple[str, str], Direction]
    """The same, and those through a third language."""


class Models:
    """The models of one process. Any method may be called from any thread.

    Args:
        places: Model files, model folders, folders of these (see `nmt.server.listing.list_models`).
        options: How they are opened.

    Raises:
        ModelError, RegistryError: A model that is named by itself, or a `models.toml`, is missing or damaged; what is
            wrong with single models of a folder is in `problems`.
        OSError: A folder cannot be read.
    """

    def __init__(self, places: Sequence[Path], options: ModelOptions | None = None) -> None:
        self._places = tuple(places)
        self._options = options or ModelOptions()
        self._shelf = Shelf(self._options.memory, self._options.threads, self._options.precision)
        self._reloading = threading.Lock()
        self._cache: Cache = {}
        listing = list_models(self._places, self._cache)
        self._table = self._made(listing)
        self._seen = listing.seen
        self.problems: tuple[str, ...] = listing.problems
        """What is wrong with models that are not served, or served as they were: a line for each."""

    def directions(self) -> list[Direction]:
        """All that can be translated, sorted by language codes; opens nothing."""
        return sorted(self._table.directions.values())

    def languages(self) -> list[str]:
        """Codes of all languages from or to which something is translated, sorted."""
        return sorted({code for direction in self.directions() for code in direction[:2]})

    @contextmanager
    def use(self, source: str, target: str) -> Iterator[Lease]:
        """Take a model for a pair of languages, or two through a third one; the first use opens it.

        Args:
            source: Language code, as in `directions`; upper and lower case, `-` and `_` are the same.
            target: The same.

        Yields:
            The model, which stays open, whatever happens to its file or to the list, until the context ends.

        Raises:
            UnknownDirectionError: There is none.
            ModelError, SubwordError: It cannot be opened.
            OSError: Its file cannot be read.
        """
        direction, taken = self._take(source, target)
        lease = Lease(direction, taken)
        try:
            yield lease
        finally:
            lease.end()
            while taken:
                self._shelf.give(taken.pop())

    def _take(self, source: str, target: str) -> tuple[Direction, list[Opened]]:
        """Find what translates a pair of languages, and open it."""
        direction = self._direction(source, target)
        try:
            return direction, self._open(direction)
        except (ValueError, OSError):
            if self.refresh() is None:
                raise
        direction = self._direction(source, target)  # files were replaced, and the list not yet looked at
        return direction, self._open(direction)

    def _direction(self, source: str, target: str) -> Direction:
        found = self._table.directions.get((folded(source), folded(target)))
        if found is None:
            known = [f"{each.source}-{each.target}" for each in self.directions()]
            named = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
            raise UnknownDirectionError(
                f"no model translates {source[:40]!r} to {target[:40]!r}; there are {named or 'none'}"
            )
        return found

    def _open(self, direction: Direction) -> list[Opened]:
        """Open the one or two models of a direction, or none if one cannot be."""
        languages = [each for each in (direction.source, direction.via, direction.target) if each is not None]
        entries = self._table.entries
        taken: list[Opened] = []
        try:
            for step in pairwise(map(folded, languages)):
                if step not in entries:  # removed meanwhile
                    raise UnknownDirectionError(f"no model translates {step[0]!r} to {step[1]!r} any more")
                taken.append(self._shelf.take(entries[step]))
        except BaseException:
            for model in taken:
                self._shelf.give(model)
            raise
        return taken

    def reload(self) -> tuple[str, ...]:
        """Look again at what there is, and open anew what is open and was replaced.

        Requests that run go on with what they have; those that come while this works get the old. A new file that
        cannot be opened leaves the old model in its place if it is open.

        Returns:
            What is wrong, as `problems` then says; if the list itself is damaged, it stays as it was.
        """
        with self._reloading:
            return self._reload()

    def refresh(self) -> tuple[str, ...] | None:
        """Reload if a file or a list has changed since; looks at names, sizes and times alone, and takes milliseconds.

        Returns:
            What is wrong, as for `reload`; None if nothing has changed.
        """
        with self._reloading:
            changed = any(identity_of(path) != before for path, before in self._seen.items())
            return self._reload() if changed else None

    def _reload(self) -> tuple[str, ...]:
        now = {path: identity_of(path) for path in self._seen}
        try:
            listing = list_models(self._places, self._cache)
        except (ValueError, OSError) as error:
            self._seen = now  # and what is wrong is told once
            self.problems = tuple(printable(line) for line in str(error).splitlines())
            return self.problems
        table = self._made(listing)
        broken = self._shelf.keep_only(table.entries.values())
        self._table, self._seen = table, listing.seen
        told = tuple(each for each in listing.problems if not any(line.startswith(each) for line in broken))
        self.problems = (*told, *broken)
        return self.problems

    def usage(self) -> Usage:
        """Tell what is open."""
        shelf = self._shelf
        models = len({entry.path for entry in self._table.entries.values()})
        return Usage(models, *shelf.usage(), shelf.memory, shelf.opened, shelf.closed)

    def close(self) -> None:
        """Close all that nobody uses, and the rest when its users are done; what is asked for later opens again."""
        self._shelf.keep_only(())
        give_back_memory()

    def _made(self, listing: Listing) -> _Table:
        entries = {(folded(each.source), folded(each.target)): each for each in listing.entries}
        directions = {
            key: Direction(each.source, each.target, each.name, each.license, each.tags)
            for key, each in entries.items()
        }
        for pivot in map(folded, self._options.pivots):
            into = [each for (_, target), each in entries.items() if target == pivot]
            out = [each for (source, _), each in entries.items() if source == pivot]
            for first in into:
                for second in out:
                    key = (folded(first.source), folded(second.target))
                    if key[0] != key[1] and key not in directions:
                        directions[key] = _pivoting(first, second)
        return _Table(entries, directions)


def _writing(translator: Translator, target: str) -> Translator:
    """Tell a model of several languages which one to write; one that knows one may be listed under another code."""
    return translator.to(target) if len(translator.target_languages) > 1 else translator


def _pivoting(first: Entry, second: Entry) -> Direction:
    """Describe what two models translate together."""
    names = " + ".join(filter(None, (first.name, second.name)))
    licenses = " and ".join(sorted({each.license for each in (first, second) if each.license}))
    return Direction(first.source, second.target, names, licenses, (), first.target)
