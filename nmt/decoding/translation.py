"""What a translator gives back, and how it is put together from the pieces of a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from nmt.decoding.alignment import Links
from nmt.decoding.hypotheses import Sampling
from nmt.decoding.lines import Line, is_invisible
from nmt.decoding.splitting import Piece

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PieceKey = tuple[str, tuple[int, ...]]
"""See `Piece.key`."""


class Status(StrEnum):
    """How the translation of a line went.

    | status | what it means | what the output is |
    |---|---|---|
    | ok | nothing speaks against it; with `--no-retry`, nobody looked for loops and dropped content | the translation |
    | split | longer than `data.max_length` subwords: cut, translated piece by piece | the pieces, rejoined |
    | retried | the first translation looked like a loop or like dropped content, the second did not | the second |
    | doubtful | spelt letter by letter, as words are not, or the model is less sure than of what it knows | as it is |
    | unknown | characters that the model does not know: they are lost | of the rest |
    | damaged | bytes that are no UTF-8, or U+FFFD in place of them, or more than are read of a line | of the rest |
    | failed | looks like a loop or like dropped content, and nothing better was found | the translation, if any |
    | empty | nothing to translate: no characters, or only white space and invisible ones | an empty line |
    | copied | nothing that the model can read: no letter or digit of its vocabulary | the line as it came |

    A line has the worst status that applies, to any piece of it: failed, else damaged, else unknown, else doubtful,
    else retried, else split. Where the training text was sentences, those of a line are translated one by one, and
    rejoined with the white space that stood between them; that alone is no `split`.
    """

    OK = "ok"
    SPLIT = "split"
    RETRIED = "retried"
    EMPTY = "empty"
    COPIED = "copied"
    DOUBTFUL = "doubtful"
    UNKNOWN = "unknown"
    DAMAGED = "damaged"
    FAILED = "failed"


_BY_WEIGHT = (
    Status.OK,
    Status.SPLIT,
    Status.RETRIED,
    Status.DOUBTFUL,
    Status.UNKNOWN,
    Status.DAMAGED,
    Status.FAILED,
)


def worst(*statuses: Status) -> Status:
    """Return the worst of several, none of which is empty or copied."""
    return max(statuses, key=_BY_WEIGHT.index)


@dataclass(frozen=True)
class Candidate:
    """One of the translations that were found for a line."""

    text: str
    """The translation, without line breaks."""
    score: float
    """Log-probability divided by the number of subwords, eos included, to the power of the length penalty. For a line
    in pieces both are sums over them."""
    log_probability: float
    """Natural logarithm of its probability."""
    alignment: Links | None = None
    """(source word, target word), from 0; None if not asked for. A link says what the attention looked at most, which
    is not always what a person would draw."""


@dataclass(frozen=True)
class Translation:
    """The translation of a line."""

    text: str
    """The best translation, without line breaks; what came in for a line that was copied."""
    status: Status
    """How it went; see `Status`."""
    hypotheses: tuple[Candidate, ...] = ()
    """The best translations, best first; none for lines that were empty or copied, or if the search found nothing. Of a
    line in pieces, the n-th is made of the n-th of each piece."""
    alignment: Links | None = None
    """Links of `text`; None if not asked for."""

    def damaged(self, *, cut: bool = False) -> Translation:
        """Return the same for a line that is not all there.

        Args:
            cut: Whether nobody knows what more there was, so that it may be neither empty nor unreadable.
        """
        if self.status in (Status.EMPTY, Status.COPIED):
            return replace(self, status=Status.DAMAGED) if cut else self
        return replace(self, status=worst(self.status, Status.DAMAGED))

    @property
    def score(self) -> float | None:
        """Score of the best candidate; None if there is none."""
        return self.hypotheses[0].score if self.hypotheses else None


@dataclass(frozen=True)
class TranslationSettings:
    """How to translate; None takes what the model's settings say."""

    beam_size: int | None = None
    """Hypotheses per sentence, at least `n_best`; 1 is greedy search."""
    length_penalty: float | None = None
    """Exponent of the length by which log-probabilities are divided."""
    batch_size: int | None = None
    """Sentences searched at once."""
    n_best: int = 1
    """Translations per line; without a `beam_size`, the model's is raised to it."""
    retry: bool | None = None
    """Whether to check translations, and translate once more what looks wrong."""
    alignments: bool = False
    """Whether to link words."""
    sentences: bool | None = None
    """Whether to translate the sentences of a line one by one; True does so whatever the training text was."""
    min_length: int = 0
    """Subwords of a translation at least."""
    max_length: int | None = None
    """And at most, of each sentence that is translated by itself; None for what the model's settings say."""
    no_repeat_ngram: int = 0
    """No so many subwords in a row come twice in a translation; 0: any may."""
    sampling: Sampling | None = None
    """Draw `n_best` translations of each line instead of searching the best. They stand in the order in which they are
    drawn, each by itself: the first is the same however many there are. They are checked only if `retry` is True."""


@dataclass(frozen=True)
class AttentionMap:
    """Where a model looks while it writes a translation."""

    source: tuple[str, ...]
    """Source subwords and eos, [S]."""
    target: tuple[str, ...]
    """Target subwords and eos, [T]."""
    weights: NDArray[np.float32]
    """[T, S]; every row sums to 1."""


@dataclass(frozen=True)
class PairScore:
    """What a model thinks of a translation."""

    log_probability: float
    """Natural logarithm of its probability, eos included."""
    subwords: int
    """Its length in subwords, eos included."""


@dataclass(frozen=True)
class PieceResult:
    """What became of a piece of a line."""

    piece: Piece
    status: Status
    """ok, retried, doubtful, unknown, failed, or copied for a piece that is passed through."""
    candidates: Sequence[Candidate] = ()
    lengths: Sequence[int] = ()
    """Subwords of each candidate, eos included."""


def assemble(
    line: Line, results: Mapping[PieceKey, PieceResult], length_penalty: float, *, aligned: bool
) -> Translation:
    """Make the translation of a line from those of its pieces.

    Args:
        line: The line.
        results: What became of each piece that can be read, by its key.
        length_penalty: The exponent in scores.
        aligned: Whether candidates have links.
    """
    if line.parts:
        pieces = [
            replace(results[piece.key], piece=piece) if ids else PieceResult(piece, Status.COPIED)
            for piece, ids in line.parts
        ]
        return join_pieces(pieces, length_penalty, aligned=aligned, cut=line.cut)
    if is_invisible(line.text):
        return Translation("", Status.EMPTY, (), () if aligned else None)
    return Translation(line.text, Status.COPIED, (), identity(line.text) if aligned else None)


def join_pieces(results: Sequence[PieceResult], length_penalty: float, *, aligned: bool, cut: bool) -> Translation:
    """Put the pieces of a line together.

    Args:
        results: At least one.
        length_penalty: The exponent in scores.
        aligned: Whether candidates have links.
        cut: Whether a sentence was cut, or a line that is no sentences.

    Returns:
        The translation of the line.
    """
    statuses = [_told(result) for result in results]
    status = worst(*statuses, Status.SPLIT if cut else Status.OK)
    count = max(len(result.candidates) for result in results)
    hypotheses = tuple(_join_rank(results, rank, length_penalty, aligned=aligned) for rank in range(count))
    if not hypotheses:
        return Translation("", status, (), () if aligned else None)
    return Translation(hypotheses[0].text, status, hypotheses, hypotheses[0].alignment)


def _told(result: PieceResult) -> Status:
    """What the status of a piece means for its line: text that was passed through is text that is not known."""
    if result.status is not Status.COPIED:
        return result.status
    return Status.UNKNOWN if any(map(str.isalnum, result.piece.text)) else Status.OK


@dataclass
class _Line:
    """A line that grows by its pieces."""

    texts: list[str] = field(default_factory=list)
    links: list[tuple[int, int]] = field(default_factory=list)
    words: list[int] = field(default_factory=lambda: [0, 0])
    """Words of source and target so far; a word that may go on is not yet counted."""

    def add(self, piece: Piece, text: str, links: Links, space: str) -> None:
        """Add the translation of a piece, and the white space before the next one, if any."""
        self.links += [(source + self.words[0], target + self.words[1]) for source, target in links]
        self.texts += [text, space] if text else []  # an empty text between two spaces leaves one of them
        for side, (part, separator) in enumerate(((piece.text, piece.separator), (text, space))):
            count = len(part.split())
            self.words[side] += count - (1 if count and not separator else 0)


def _join_rank(results: Sequence[PieceResult], rank: int, length_penalty: float, *, aligned: bool) -> Candidate:
    """Join the candidates of one rank, or the last of a piece that has fewer."""
    log_probability, length = 0.0, 0
    texts, links = [], []
    for result in results:
        if not result.candidates:
            texts.append(result.piece.text if result.status is Status.COPIED else "")
            links.append(identity(texts[-1]) if aligned else ())
            continue
        place = min(rank, len(result.candidates) - 1)
        candidate = result.candidates[place]
        texts.append(candidate.text)
        links.append(candidate.alignment or ())
        log_probability += candidate.log_probability
        length += result.lengths[place]
    line = _Line()
    for result, text, linked, following in zip(results, texts, links, [*texts[1:], ""], strict=True):
        line.add(result.piece, text, linked, _space_between(result.piece, text, following))
    score = log_probability / float(length) ** length_penalty
    return Candidate(
        "".join(line.texts).strip(), score, log_probability, tuple(sorted(line.links)) if aligned else None
    )


def _space_between(piece: Piece, text: str, following: str) -> str:
    """White space between the translations of a piece and of the next one: the source's, unless the scripts differ.

    Japanese and Chinese put none between sentences, most others do.
    """
    ending = text.rstrip("\"'”’»)]」』）】")
    if not piece.ends or not ending or not following:
        return piece.separator
    if piece.separator:
        return "" if ending[-1] in "。！？" and not ending[-2:-1].isspace() else piece.separator
    return " " if ending[-1] in ".!?…" and following[0] < "\u2e80" else ""


def identity(text: str) -> Links:
    """Links of a text that was copied: each word to itself."""
    return tuple((number, number) for number in range(len(text.split())))
