"""A network that trains in seconds and translates badly: enough for what is not about quality."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from synthetic import make_pairs, write_corpus

from nmt.commands.train import run


def train_tiny(folder: Path, *settings: str) -> Path:
    """Train on 300 pairs for a few seconds, or by other settings; returns the model folder."""
    source, target = write_corpus(folder / "text", make_pairs(300, seed=1))
    files = f"['{source}', '{target}']"
    config = folder / "config.toml"
    config.write_text(
        f"folder = '{folder}/model'\n"
        f"[data]\ntrain = {files}\nvalid = {files}\nvocabulary_size = 90\n"
        "[model]\nembedding_size = 16\nhidden_size = 16\ndropout = 0.1\n"
        "[training]\nepochs = 10\nbatch_tokens = 400\nlearning_rate = 0.01\nwarmup_steps = 20\nthreads = 1\n"
        "[decoding]\nbeam_size = 2\nmax_length_factor = 1.0\nmax_length_extra = 5\n"
    )
    assert run(config, settings)
    return folder / "model"


def nmt(*arguments: str | Path, stdin: bytes = b"", timeout: float = 300) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "nmt", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, check=False)
