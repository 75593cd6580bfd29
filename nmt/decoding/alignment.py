"""From attention between subwords to links between words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from nmt.data.subwords import Subwords

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPACE_MARK: Final = "\u2581"
"""SentencePiece's mark for a space."""

Links = tuple[tuple[int, int], ...]
"""(source word, target word), both from 0 and separated by white space, sorted."""


def link_words(weights: NDArray[np.float32], source_words: Sequence[int], target_words: Sequence[int]) -> Links:
    """Link every target word to the source word that it looks at most.

    Args:
        weights: Attention [T + 1, S + 1], both with eos at their end.
        source_words: Of each source subword, the number of its word, [S].
        target_words: Of each target subword, the number of its word, [T].

    Returns:
        One link for each target word; none if either side has no words.
    """
    import numpy as np  # noqa: PLC0415  (translating without alignments does without)

    if not source_words or not target_words:
        return ()
    sums = np.zeros((max(target_words) + 1, max(source_words) + 1))
    rows = np.asarray(target_words)[:, None], np.asarray(source_words)[None, :]
    np.add.at(sums, rows, weights[: len(target_words), : len(source_words)])
    present = sorted(set(target_words))
    return tuple(sorted((int(sums[word].argmax()), word) for word in present))


def words_of_source(subwords: Subwords, text: str, ids: Sequence[int]) -> list[int]:
    """Number the word that each subword of a text belongs to.

    Args:
        subwords: The source's vocabulary.
        text: The text; its words are what `str.split` gives.
        ids: Its subwords.

    Returns:
        The numbers, [S].
    """
    words = text.split()
    spelt = subwords.encode_lines(words)
    if [index for part in spelt for index in part] == list(ids):
        return [number for number, part in enumerate(spelt) for _ in part]
    # Normalisation has joined or split words, as it does at invisible characters: count the words of its result.
    return [min(number, len(words) - 1) for number in words_of_pieces([subwords.piece(index) for index in ids])]


def words_of_pieces(pieces: Sequence[str]) -> list[int]:
    """Number the word that each piece belongs to, with words as `str.split` finds them in the joined pieces.

    Args:
        pieces: Pieces with SentencePiece's mark for a space.

    Returns:
        The numbers; a lone space belongs to the word after it, or to the last one.
    """
    numbers: list[int] = []
    begun, inside = 0, False
    for piece in pieces:
        blank = True
        for character in piece.replace(SPACE_MARK, " "):
            if character.isspace():
                inside = False
                continue
            begun += not inside
            inside, blank = True, False
        numbers.append(begun if blank else begun - 1)
    return [max(0, min(number, begun - 1)) for number in numbers]


def format_links(links: Links) -> str:
    """Write links in the Pharaoh format: `0-0 1-2`."""
    return " ".join(f"{source}-{target}" for source, target in links)
