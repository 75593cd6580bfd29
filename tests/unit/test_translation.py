"""How the translations of the pieces of a line are joined."""

from __future__ import annotations

import pytest

from nmt.decoding.splitting import Piece
from nmt.decoding.translation import Candidate, PieceResult, Status, join_pieces


def result(piece: Piece, text: str, status: Status = Status.OK) -> PieceResult:
    links = tuple((0, word) for word in range(len(text.split())))
    return PieceResult(piece, status, [Candidate(text, -1.0, -2.0, links)], [2])


@pytest.mark.parametrize(
    ("source", "space", "target", "joined"),
    [
        (("One.", "Two."), "  ", ("Eins.", "Zwei."), "Eins.  Zwei."),
        (("一。", "二。"), "", ("一つ。", "二つ。"), "一つ。二つ。"),
        (("一。", "二。"), "", ("One.", "Two."), "One. Two."),
        (("一。", "二。"), "", ("“One!”", "“Two”."), "“One!” “Two”."),
        (("One.", "Two."), " ", ("一。", "二。"), "一。二。"),
        (("one .", "two ."), " ", ("一 。", "二 。"), "一 。 二 。"),  # tokenised text
        (("One.", "Two."), " ", ("", "Zwei."), "Zwei."),
    ],
)
def test_sentences_are_joined_as_their_scripts_are(source, space, target, joined):
    pieces = Piece(source[0], space, ends=True), Piece(source[1], "")
    found = join_pieces(list(map(result, pieces, target)), 1.0, aligned=True, cut=False)
    assert (found.text, found.status) == (joined, Status.OK)
    assert sorted({word for _, word in found.alignment or ()}) == list(range(len(joined.split())))


def test_parts_of_a_sentence_keep_their_space():
    pieces = Piece("abc.", ""), Piece("def.", "")
    assert join_pieces(list(map(result, pieces, ("x.", "y."))), 1.0, aligned=False, cut=True).text == "x.y."


def test_the_worst_piece_is_told():
    pieces = Piece("A.", " ", ends=True), Piece("B.", "")
    for status in (Status.OK, Status.RETRIED, Status.DOUBTFUL, Status.UNKNOWN, Status.FAILED):
        found = join_pieces([result(pieces[0], "a."), result(pieces[1], "b.", status)], 1.0, aligned=False, cut=False)
        assert found.status is status


def test_text_that_was_passed_through_is_told():
    known = result(Piece("A.", " ", ends=True), "a.")
    for text, status in (("日本語。", Status.UNKNOWN), ("☃!", Status.OK)):
        found = join_pieces([known, PieceResult(Piece(text, ""), Status.COPIED)], 1.0, aligned=False, cut=False)
        assert (found.text, found.status) == (f"a. {text}", status)
