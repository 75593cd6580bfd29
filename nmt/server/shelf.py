"""Open models, each once, within a budget of memory: the least recently used are closed, but none that is in use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final

from nmt.decoding.translator import Translator
from nmt.model_folder.files import ModelError
from nmt.process import give_back_memory, heap_bytes
from nmt.server.listing import Entry, Identity, digest_of, identity_of, require_within
from nmt.server.unchanging import unchanging
from nmt.terminal import printable

_TRIES: Final = 3  # to open a model whose files change meanwhile
_MOST_GROWN: Final = 24 << 20
"""Bytes that a model grows by at most while it is used: products of words that come often, 8 MiB for each layer that
reads words (the encoder's two directions, the decoder). Of what the heap grows by, so much may be that."""


class Opened:
    """An open model.

    Args:
        entry: What was opened.
        identity: What its files were.
        translator: It.
        copied: Bytes of the copy of its file that it maps.
        heap: Bytes of the heap that opening it took.
    """

    def __init__(self, entry: Entry, identity: Identity, translator: Translator, copied: int, heap: int) -> None:
        self.entry = entry
        self.identity = identity
        self.translator: Translator | None = translator
        """None when it is closed."""
        self.bytes = copied + heap
        self.heap = heap
        self.users = 0

    def close(self) -> None:
        """Forget the model; nobody uses it."""
        self.translator = None


class Shelf:
    """The open models of a process; threads may share it.

    Args:
        memory: Bytes that they may take together; None: any number.
        threads: See `Translator.load`.
        precision: The same, for model folders.
    """

    def __init__(self, memory: int | None, threads: int | None, precision: str | None) -> None:
        self.memory = memory
        self.opened = self.closed = 0
        """How often since the beginning."""
        self._threads, self._precision = threads, precision
        self._lock = threading.Lock()  # of all that follows; nothing is read, opened or freed under it
        self._open: OrderedDict[Path, Opened] = OrderedDict()  # the least recently used first
        self._retired: set[Opened] = set()  # replaced or removed, and closed when their users are done
        self._opening: dict[Path, Future[None]] = {}
        self._broken: dict[Path, tuple[Identity, str | None, str]] = {}  # files, listed digest, and what is wrong
        self._sizes: dict[Path, int] = {}  # when they were open last
        self._expected: dict[Path, int] = {}  # of those that are being opened
        self._without = heap_bytes()  # when none was open
        self._measuring = threading.Lock()  # of what opening takes: two at a time would count each other

    def take(self, entry: Entry) -> Opened:
        """Return a model that stays open until it is given back; opens it if it is not.

        Raises:
            ModelError, SubwordError: It cannot be opened.
            OSError: It cannot be read.
        """
        while True:
            with self._lock:
                if (found := self._open.get(entry.path)) is not None:
                    self._open.move_to_end(entry.path)
                    found.users += 1
                    return found
                other = self._opening.get(entry.path)
                if other is None:
                    mine = self._opening[entry.path] = Future()
                    break
            other.result()  # or raises what the other got
        try:
            size = self._sizes.get(entry.path) or _size(identity_of(entry.path))
            with self._lock:
                self._expected[entry.path] = size
            self._make_room()
            made = self._open_checked(entry)
        except BaseException as error:
            with self._lock:
                del self._opening[entry.path]
                self._expected.pop(entry.path, None)
            mine.set_exception(error)
            raise
        with self._lock:
            made.users += 1
            self._put(made)
            del self._opening[entry.path], self._expected[entry.path]
        mine.set_result(None)
        self._make_room()
        return made

    def give(self, model: Opened) -> None:
        """Give back what `take` returned."""
        with self._lock:
            model.users -= 1
            done = model in self._retired and not model.users
            if done:
                self._retired.discard(model)
                self.closed += 1
        if done:
            model.close()
            give_back_memory()
        else:
            self._make_room()

    def keep_only(self, entries: Iterable[Entry]) -> list[str]:
        """Close what is not listed any more, and open anew what was replaced; users keep what they have.

        Args:
            entries: What is listed now.

        Returns:
            A line for each model whose new files cannot be opened.
        """
        wanted = {entry.path: entry for entry in entries}
        with self._lock:
            self._broken.clear()
            opening = list(self._opening.values())
        for each in opening:  # may have begun with files that are no more
            with suppress(Exception):
                each.result()
        with self._lock:
            there = list(self._open.values())
        problems = []
        for model in there:
            entry = wanted.get(model.entry.path)
            if entry is None:
                self._replace(model, None)
            elif identity_of(entry.path) != model.identity or entry.sha256 != model.entry.sha256:
                try:
                    self._replace(model, self._open_checked(entry))
                except (ValueError, OSError) as error:
                    problems.append(printable(f"{error}; the old model stays"))
        self._make_room()
        return problems

    def usage(self) -> tuple[int, int]:
        """Tell how many models are open, and how many bytes they take."""
        heap = heap_bytes()
        with self._lock:
            models = self._all()
            return len(models), sum(model.bytes for model in models) + self._grown(heap)

    def _open_checked(self, entry: Entry) -> Opened:
        """Open a model as its files are; what was found damaged is not read again until it changes."""
        for _ in range(_TRIES):
            identity = identity_of(entry.path)
            known = self._broken.get(entry.path)
            if known is not None and known[:2] == (identity, entry.sha256):
                raise ModelError(known[2])
            try:
                made = self._load(entry, identity)
            except ValueError as error:
                if identity_of(entry.path) == identity:
                    self._broken[entry.path] = (identity, entry.sha256, str(error))
                    raise
            else:
                if identity_of(entry.path) == identity:
                    self._sizes[entry.path] = made.bytes
                    return made
        raise ModelError(f"{entry.path}: is being written")

    def _load(self, entry: Entry, identity: Identity) -> Opened:
        if entry.root is not None:
            require_within(entry.path, entry.root)
        if entry.path.is_dir():  # of whose parameters a copy is packed
            translator, taken = self._measured(entry, entry.path, self._precision)
            return Opened(entry, identity, translator, 0, taken)
        with unchanging(entry.path) as copy:
            translator, taken = self._measured(entry, copy, None)
        return Opened(entry, identity, translator, _size(identity), taken)

    def _measured(self, entry: Entry, path: Path, precision: str | None) -> tuple[Translator, int]:
        """Open what is under a name; returns, too, the bytes of the heap that it takes."""
        came = None if entry.sha256 is None else digest_of(path)
        if came != entry.sha256:
            raise ModelError(f"{entry.path}: expected the SHA-256 {entry.sha256}, as listed, got {came or 'none'}")
        with self._measuring:
            before = heap_bytes()
            translator = Translator.load(path, self._threads, precision=precision)
            return translator, max(0, heap_bytes() - before)

    def _put(self, model: Opened) -> None:
        """Make a model the one of its path; the lock is held."""
        self._open[model.entry.path] = model
        self._open.move_to_end(model.entry.path)
        self.opened += 1

    def _replace(self, model: Opened, other: Opened | None) -> None:
        """Put another model, or none, in the place of one, which is closed now or when its users are done."""
        with self._lock:
            if self._open.get(model.entry.path) is not model:  # it was closed meanwhile
                return
            del self._open[model.entry.path]
            if other is not None:
                self._put(other)
            if model.users:
                self._retired.add(model)
                return
            self.closed += 1
        model.close()
        give_back_memory()

    def _make_room(self) -> None:
        """Close the least recently used models that nobody uses until there is room for those that are being opened."""
        if self.memory is None:
            return
        victims = []
        heap = heap_bytes()
        with self._lock:
            models = self._all()
            if not models and not self._opening:
                self._without = heap
            grown = self._grown(heap)
            total = sum(self._expected.values()) + sum(model.bytes for model in models) + grown
            for path, model in list(self._open.items()):
                if total <= self.memory:
                    break
                if not model.users:
                    total -= model.bytes + grown // len(models)
                    victims.append(self._open.pop(path))
                    self.closed += 1
        for model in victims:
            model.close()
        if victims:
            give_back_memory()

    def _all(self) -> list[Opened]:
        """All models that are open; the lock is held."""
        return [*self._open.values(), *self._retired]

    def _grown(self, heap: int) -> int:
        """Bytes that open models took since they were opened, of a heap of so many; the lock is held."""
        models = self._all()
        more = heap - self._without - sum(model.heap for model in models)
        return min(max(0, more), _MOST_GROWN * len(models))


def _size(identity: Identity) -> int:
    """Bytes of a model's files."""
    return sum(each[2] for each in identity if each is not None)
