"""Pictures of attention: scripts that no font here has."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager

from nmt.decoding import plot
from nmt.decoding.plot import draw_attention
from nmt.decoding.translation import AttentionMap

HERE, NOWHERE = "\u00e9", "\U000f1234"  # the second is nobody's


def attention(source: str, target: str) -> AttentionMap:
    return AttentionMap(source=(source,), target=(target,), weights=np.ones((1, 1), np.float32))


@pytest.mark.parametrize(("text", "missing"), [(HERE, ""), (f"a{NOWHERE}", NOWHERE)])
def test_what_no_font_has_is_told_and_drawn_as_its_number(text: str, missing: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw_attention(attention(text, "b"), tmp_path / "a.png") == missing
    draw_attention(attention(text.replace(NOWHERE, "U+F1234"), "b"), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_text_of_svg_is_for_the_fonts_of_the_viewer(tmp_path: Path) -> None:
    assert draw_attention(attention(NOWHERE, "b"), tmp_path / "a.svg") == ""
    assert NOWHERE in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_fonts_are_taken_for_what_the_usual_one_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [font_manager.FontEntry(fname=f"{name}.ttf", name=name) for name in ("Kanji", "Kana", "Other")]
    has = {"Kanji.ttf": "\u72ac", "Kana.ttf": "\u306e\u72ac", "Other.ttf": "x"}
    monkeypatch.setattr(font_manager.fontManager, "ttflist", made)
    monkeypatch.setattr(plot, "_characters", lambda path: frozenset(has.get(path, "ab")))
    assert plot._fonts(set("a\u72ac\u306e")) == (["Kana"], set())
    assert plot._fonts(set("a\u72acz")) == (["Kana"], {"z"})
    assert plot._fonts(set("ab")) == ([], set())


def test_a_file_that_is_no_font_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.ttf").write_bytes(b"no font")
    assert plot._characters(str(tmp_path / "x.ttf")) == frozenset()
