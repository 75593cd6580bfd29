"""Make the tiny model of `tests/data/model-v1`: run once for a format version, from the repository's root.

    python tests/data/make_model.py tests/data/model-v1

Its language is made up: each word of a phrase has one translation, and the order is turned around.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sys
import tempfile
from pathlib import Path

from nmt.commands.train import run

WORDS = {"red": "ka", "big": "lo", "old": "mi", "dog": "nu", "cat": "pe", "sun": "ra", "sees": "so", "has": "ti"}
SETTINGS = """
folder = "model"
[data]
source_language = "en"
target_language = "tgt"
train = "pairs.tsv"
valid = "pairs.tsv"
test.phrases = "pairs.tsv"
vocabulary_size = 30
normalization = "identity"
[model]
embedding_size = 12
hidden_size = 12
decoder_layers = 1
dropout = 0.0
[training]
epochs = 80
batch_tokens = 120
learning_rate = 0.02
warmup_steps = 20
validate_every = 400
label_smoothing = 0.0
threads = 1
"""
FILES = ("config.json", "model.safetensors", "joint.spm", "README.md", "SHA256SUMS")


def make_phrases() -> list[str]:
    """All phrases of the form adjective, noun, verb, adjective, noun, thinned out."""
    words = list(WORDS)
    forms = itertools.product(words[:3], words[3:6], words[6:], words[:3], words[3:6])
    return [" ".join(form) for form in forms]


def translate(phrase: str) -> str:
    """Translate a phrase by the rules of the language."""
    return " ".join(WORDS[word] for word in reversed(phrase.split()))


def main(output: Path) -> None:
    """Train in a temporary folder, and copy what a model needs."""
    output = output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        rows = [f"{phrase}\t{translate(phrase)}\n" for phrase in make_phrases()]
        Path("pairs.tsv").write_text("".join(rows), encoding="utf-8")
        Path("config.toml").write_text(SETTINGS, encoding="utf-8")
        run(Path("config.toml"), [])
        for name in FILES:
            shutil.copy(Path("model") / name, output / name)
    print(*sorted(f"{path.stat().st_size:>7,} {path.name}" for path in output.iterdir()), sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
