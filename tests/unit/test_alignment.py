"""From attention between subwords to links between words."""

import numpy as np
import pytest

from nmt.decoding.alignment import format_links, link_words, words_of_pieces, words_of_source


@pytest.mark.parametrize(
    ("pieces", "numbers"),
    [
        ([], []),
        (["▁the", "▁do", "g", "."], [0, 1, 1, 1]),
        (["▁", "漢", "字"], [0, 0, 0]),
        (["▁a", "▁", "b", "▁"], [0, 1, 1, 1]),
        (["▁"], [0]),
        (["a", "▁b▁c", "d"], [0, 2, 2]),
        (["▁a\u2028", "b"], [0, 1]),
    ],
)
def test_words_of_pieces(pieces, numbers):
    assert words_of_pieces(pieces) == numbers


class Letters:
    """A vocabulary whose subwords are characters, after a mark for the space before a word; it drops tildes."""

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in "".join(f"▁{word}" for word in text.replace("~", " ").split())]

    def encode_lines(self, lines):
        return [self.encode(line) for line in lines]

    def piece(self, index: int) -> str:
        return chr(index)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("ab c", [0, 0, 0, 1, 1]),
        (" ab \t c ", [0, 0, 0, 1, 1]),
        ("a ~ b", [0, 0, 2, 2]),  # a word of its own that has no subword
        ("", []),
    ],
)
def test_words_of_source(text, numbers):
    subwords = Letters()
    assert words_of_source(subwords, text, subwords.encode(text)) == numbers  # type: ignore[arg-type]


def test_words_of_source_whose_words_normalisation_has_changed():
    subwords = Letters()
    ids = subwords.encode("a b c d")
    assert words_of_source(subwords, "ab cd", ids) == [0, 0, 1, 1, 1, 1, 1, 1]  # type: ignore[arg-type]


def test_links_follow_the_sum_over_a_word():
    weights = np.array(
        [
            [0.4, 0.3, 0.3, 0.0],  # "Hau-": the two parts of the second word together
            [0.1, 0.2, 0.7, 0.0],  # "-s"
            [0.2, 0.1, 0.0, 0.7],  # end of sentence is no word
            [0.0, 0.0, 0.0, 1.0],
        ],
        np.float32,
    )
    links = link_words(weights, [0, 1, 1], [0, 0, 1])
    assert links == ((0, 1), (1, 0))
    assert format_links(links) == "0-1 1-0"
    assert link_words(weights, [], [0]) == ()
    assert link_words(weights, [0], []) == ()
