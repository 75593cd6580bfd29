"""What a line is before it is translated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.decoding.lines import LineCutter, is_invisible, one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("  a b\t", "a b"),
        ("a\nb\rc\r\nd\ve\ff\x1cg\x1dh\x1ei\x85j\u2028k\u2029l", "a b c d e f g h i j k l"),
        ("a\ud800b", "a\ufffdb"),
        ("\udcff", "\ufffd"),
        ("a\0b", "a\0b"),
    ],
)
def test_one_line(text, expected):
    assert one_line(text) == expected


@given(st.text(st.characters(), max_size=30))
def test_one_line_is_one_line_of_valid_unicode(text):
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    line.encode("utf-8")
    assert one_line(line) == line


@pytest.mark.parametrize(
    ("text", "invisible"),
    [
        ("", True),
        (" \t\u3000\xa0", True),
        ("\0\u200b\u202e\ufeff\u3164\ufe0f\U000e0101", True),
        (".", False),
        ("\u200b☃", False),
        ("\ufffd", False),
        ("\u0301", False),
    ],
)
def test_is_invisible(text, invisible):
    assert is_invisible(text) == invisible


class Vocabulary:
    """A vocabulary of seven pieces."""

    pieces = ("<pad>", "<unk>", "<s>", "</s>", "\u2581", "\u2581.", "a", "7", "\u2581é")
    size = len(pieces)

    def piece(self, index: int) -> str:
        return self.pieces[index]

    def encode_lines(self, lines: list[str]) -> list[list[int]]:
        return [[self.pieces.index(piece) for piece in line.split()] for line in lines]


def test_what_can_be_read_has_a_letter_or_a_digit():
    lines = LineCutter(Vocabulary(), 9).cut(["", "<unk> \u2581 \u2581. </s>", "<unk> a", "<unk> 7", "<unk> \u2581é"])  # type: ignore[arg-type]
    assert [bool(line.parts) for line in lines] == [False, False, True, True, True]


class Letters(Vocabulary):
    """A vocabulary of one piece that spells every character, and notes how much it is given at once."""

    most = 0

    def encode_lines(self, lines: list[str]) -> list[list[int]]:
        self.most = max([self.most, *map(len, lines)])
        return [[6] * len(line) for line in lines]


def test_lines_are_cut_before_they_are_spelt():
    letters = Letters()
    [line] = LineCutter(letters, 10).cut(["a" * 1_000_000])  # type: ignore[arg-type]
    assert letters.most <= 1_000
    assert sum(len(ids) for _, ids in line.parts) == 1_000_000
    assert max(len(ids) for _, ids in line.parts) <= 10
    assert line.cut


@pytest.mark.parametrize("sentences", [True, False])
def test_long_lines_are_cut_between_sentences(sentences):
    one = "He goes home."
    [line] = LineCutter(Letters(), 20).cut([" ".join([one] * 500)], sentences=sentences)  # type: ignore[arg-type]
    assert [piece.text for piece, _ in line.parts] == [one] * 500


def test_sentences_are_pieces_where_they_should_be():
    cutter = LineCutter(Letters(), 12)  # type: ignore[arg-type]
    texts = ["Go now. He left.", "Go now.", "Go now. He left me here."]
    found = [(len(line.parts), line.cut) for line in cutter.cut(texts, sentences=True)]
    assert found == [(2, False), (1, False), (3, True)]
    assert [(len(line.parts), line.cut) for line in cutter.cut(texts)] == [(2, True), (1, False), (3, True)]


class Syllables(Vocabulary):
    """A vocabulary that has words, and letters."""

    pieces = (
        "<pad>",
        "<unk>",
        "<s>",
        "</s>",
        *"abcdefg",
        "\u2581word",
        "\u2581another",
        "\u2581something",
        "\u2581日本語",
    )
    size = len(pieces)


def test_what_is_spelt_letter_by_letter_is_strange():
    cutter = LineCutter(Syllables(), 99)  # type: ignore[arg-type]
    word, letters = 11, list(range(4, 9))
    assert cutter.is_strange(letters)
    assert not cutter.is_strange(letters[:3])  # a name, an abbreviation
    assert not cutter.is_strange([word, word + 1, *letters[:4]])
    assert not cutter.is_strange([14] * 9)
    assert not LineCutter(Vocabulary(), 9).is_strange([6] * 9)  # type: ignore[arg-type]


def test_unknown_subwords_are_seen():
    cutter = LineCutter(Syllables(), 99)  # type: ignore[arg-type]
    assert cutter.has_unknown([11, 1, 12])
    assert not cutter.has_unknown([11, 12])
