"""The Transformer that recipes are compared with: it trains, validates and scores by what the toolkit has now."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import make_pairs, write_corpus

PEER = Path(__file__).resolve().parents[2] / "recipes" / "peers" / "transformer" / "train.py"


@pytest.mark.parametrize("joint", [True, False])
def test_the_transformer_trains_beside_a_recipe(tmp_path, joint):
    train = write_corpus(tmp_path / "train", make_pairs(200, seed=1))
    valid = write_corpus(tmp_path / "valid", make_pairs(10, seed=2))
    config, result = tmp_path / "config.toml", tmp_path / "result.json"
    config.write_text(
        f"folder = '{tmp_path}/model'\n[data]\ntrain = {list(map(str, train))}\nvalid = {list(map(str, valid))}\n"
        f"vocabulary_size = 50\njoint_vocabulary = {str(joint).lower()}\n"
        f"[data.test]\nheld_out = {list(map(str, valid))}\n[training]\nbatch_tokens = 400\n"
    )
    sizes = ["--layers", "1", "--size", "16", "--heads", "2", "--inner", "32"]
    limits = ["--minutes", "0.05", "--validate-every", "0.02", "--set", "training.threads=1"]
    command = [sys.executable, PEER, config, *sizes, *limits, "--json", result]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}  # or no neighbours
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    told = json.dumps(json.loads(result.read_text()))
    assert "held_out" in told
    assert "bleu" in told.lower()
