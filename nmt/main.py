"""Where the command `nmt` begins.

The arguments of `nmt translate` are read here where they are plainly right: importing what reads those of every command
takes several times as long as to translate a sentence. All else is for `nmt.cli`, which knows what is missing or wrong.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nmt.process import at_home, ended_by_signals, open_standard_streams, rest_while_waiting
from nmt.values import BATCH_SIZE, BEAM_SIZE, LENGTH_PENALTY, N_BEST, SHORTLIST, THREADS, Bounds, is_device

if TYPE_CHECKING:
    from nmt.commands.asked import SearchSettings
    from nmt.commands.translate import Request


class Translating(NamedTuple):
    """What `nmt translate` is asked for."""

    model: Path
    search: SearchSettings
    request: Request


def main() -> None:
    """Run the command line of this process."""
    rest_while_waiting()
    asked = plainly_translating([at_home(word) for word in sys.argv[1:]])
    if asked is None:
        from nmt.cli import main as any_command  # noqa: PLC0415

        any_command()
        return
    from nmt.commands.translate import run  # noqa: PLC0415
    from nmt.reporting import reporting  # noqa: PLC0415

    open_standard_streams()
    with ended_by_signals(), reporting():
        run(*asked)


def _number(bounds: Bounds) -> Callable[[str], float]:
    whole = isinstance(bounds.least, int)

    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,7}" if whole else r"[0-9]{1,7}(\.[0-9]{1,7})?", text):
            raise ValueError(text)
        value = int(text) if whole else float(text)
        if not bounds.least <= value <= bounds.most:
            raise ValueError(text)
        return value

    return read


def _choice(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(text)
        return text

    return read


def _device(text: str) -> str:
    if not is_device(text):
        raise ValueError(text)
    return text


_VALUES: Final[dict[str, Callable[[str], Any]]] = {
    "--input": Path,
    "--output": Path,
    "--format": _choice("text", "tsv", "json"),
    "--n-best": _number(N_BEST),
    "--beam-size": _number(BEAM_SIZE),
    "--length-penalty": _number(LENGTH_PENALTY),
    "--batch-size": _number(BATCH_SIZE),
    "--threads": _number(THREADS),
    "--device": _device,
    "--precision": _choice("float32", "int8", "bfloat16"),
    "--shortlist": _number(SHORTLIST),
    "--to": str,
}
_FLAGS: Final = {
    "--status": ("--status", True),
    "--scores": ("--scores", True),
    "--alignments": ("--alignments", True),
    "--retry": ("--retry", True),
    "--no-retry": ("--retry", False),
    "--sentences": ("--sentences", True),
    "--no-sentences": ("--sentences", False),
}


def plainly_translating(words: Sequence[str]) -> Translating | None:
    """Read the arguments of `nmt translate`.

    Args:
        words: The arguments of `nmt`.

    Returns:
        What they ask for; None where they are of another command, wrong, or in any way unusual.
    """
    if words[:1] != ["translate"] or "_NMT_COMPLETE" in os.environ:  # a shell asks how an argument may go on
        return None
    given: dict[str, Any] = {}
    models = []
    rest = iter(words[1:])
    try:
        for word in rest:
            name, equals, value = word.partition("=")
            if not word.startswith("-"):
                models.append(Path(word))
                continue
            key, read = (_FLAGS[word]) if word in _FLAGS else (name, _VALUES[name])
            if key in given:
                return None
            if callable(read):
                value = value if equals else next(rest)
                given[key] = read(value)
            else:
                given[key] = read
    except (KeyError, ValueError, StopIteration):
        return None
    n_best, form, beam_size = given.get("--n-best", 1), given.get("--format", "text"), given.get("--beam-size")
    if len(models) != 1 or (n_best > 1 and form == "text") or (beam_size is not None and n_best > beam_size):
        return None
    from nmt.commands.asked import SearchSettings  # noqa: PLC0415
    from nmt.commands.translate import Request  # noqa: PLC0415
    from nmt.decoding.formats import Columns  # noqa: PLC0415

    search = SearchSettings(
        beam_size,
        given.get("--length-penalty"),
        given.get("--batch-size"),
        given.get("--threads"),
        given.get("--device", "cpu"),
        given.get("--retry"),
        given.get("--sentences"),
        given.get("--precision"),
        shortlist=given.get("--shortlist", 0),
        to=given.get("--to"),
    )
    columns = Columns(*(given.get(name, False) for name in ("--status", "--scores", "--alignments")))
    return Translating(models[0], search, Request(given.get("--input"), given.get("--output"), form, columns, n_best))
