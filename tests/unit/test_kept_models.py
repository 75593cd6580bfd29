"""Models of earlier versions keep loading, and keep saying what they said."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt.decoding.translator import Translator
from nmt.model_folder.digests import check_digests

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("name", ["model-v1"])
def test_a_kept_model_translates(name: str) -> None:
    assert check_digests(DATA / name)
    translator = Translator.load(DATA / name, threads=1)
    lines = ["red dog sees old cat", "", "big sun has red dog"]
    assert translator.translate(lines) == ["pe mi so nu ka", "", "nu ka ti ra lo"]
