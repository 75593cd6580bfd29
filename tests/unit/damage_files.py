"""Ways to damage any file, and to put something else in its place; each is a function of a path and a generator."""

from __future__ import annotations

import os
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

FileDamage = Callable[[Path, random.Random], None]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def flip(path: Path, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for place in generator.sample(range(len(content)), min(len(content), generator.choice([1, 1, 3, 20]))):
        content[place] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def cut(path: Path, generator: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: generator.randrange(max(len(content), 1))])


def zero(path: Path, generator: random.Random) -> None:
    """Some bytes become 0, as when a page of a disk was lost."""
    content = bytearray(path.read_bytes())
    start = generator.randrange(max(len(content), 1))
    size = min(len(content) - start, generator.choice([1, 16, 512, 4096]))
    path.write_bytes(content[:start] + bytes(size) + content[start + size :])


def lengthen(path: Path, generator: random.Random) -> None:
    with path.open("ab") as file:
        file.write(generator.choice([b"\n", b"{}", b"\0", generator.randbytes(50)]))


def junk(path: Path, generator: random.Random) -> None:
    size = path.stat().st_size
    contents = [b"", bytes(size), generator.randbytes(size), b"[" * 200_000, b"\xff" * 16, b'{"a":' * 50_000]
    contents += [b"null", b"NaN", b"[]", b"1e999", b"\x1b[2J\x1b]0;x\x07", b'"' + b"x" * 100_000 + b'"', b"9" * 10_000]
    path.write_bytes(generator.choice(contents))


def hole(path: Path, generator: random.Random) -> None:
    """A file that claims terabytes, and has none of them."""
    os.truncate(path, generator.choice([1 << 40, 1 << 36]))


def gone(path: Path, generator: random.Random) -> None:
    _remove(path)


def folder(path: Path, generator: random.Random) -> None:
    _remove(path)
    path.mkdir()


def pipe(path: Path, generator: random.Random) -> None:
    _remove(path)
    os.mkfifo(path)


def unix_socket(path: Path, generator: random.Random) -> None:
    _remove(path)
    here = Path.cwd()
    os.chdir(path.parent)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def link(path: Path, generator: random.Random) -> None:
    _remove(path)
    targets = [
        path.name,
        "/dev/zero",
        "/dev/null",
        "/dev/random",
        "/dev/tty",
        "/etc/passwd",
        "/nowhere",
        "/",
        "..",
        "x\n",
    ]
    path.symlink_to(generator.choice(targets))


def numbers(path: Path, generator: random.Random) -> None:
    """A number in a text becomes one that nobody expects."""
    text = path.read_bytes()
    places = [place for place, byte in enumerate(text) if byte in b"0123456789"]
    if places:
        place = generator.choice(places)
        news = [b"-1", b"NaN", b"1e999", b"99999999999999999999", b"0", b'"x"', b"null", b"[]", b"{}", b"1.5", b"true"]
        path.write_bytes(text[:place] + generator.choice(news) + text[place + 1 :])


def words(path: Path, generator: random.Random) -> None:
    """A text in quotes becomes another one: keys and values, names of files among them."""
    text = path.read_bytes()
    places = [place for place, byte in enumerate(text) if byte in b'"']
    if len(places) > 1:
        number = generator.randrange(len(places) - 1)
        news = [
            b"",
            b"x" * 100_000,
            b"../../../etc/passwd",
            b"\\u001b[2J",
            b"\\n\\nnmt: error: spoofed",
            b"\\u0000",
            b"/dev/zero",
        ]
        news += [b"\\ud800", "日本語\u202e".encode(), b"${HOME}", b"[" * 3000]
        start, end = places[number] + 1, places[number + 1]
        path.write_bytes(text[:start] + generator.choice(news) + text[end:])


BYTES: tuple[FileDamage, ...] = (flip, cut, zero, lengthen, junk)
KINDS: tuple[FileDamage, ...] = (hole, gone, folder, pipe, unix_socket, link)
TEXTS: tuple[FileDamage, ...] = (numbers, words)
ALL: tuple[FileDamage, ...] = BYTES + KINDS + TEXTS
