"""`nmt tune`: what it tells is what it does, and the model stays one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import error_of, forked
from tiny import train_tiny

from nmt.commands.tune import PENALTIES
from nmt.model_folder import settings
from nmt.model_folder.digests import DIGEST_FILE, check_digests
from nmt.model_folder.files import CONFIG_FILE, read_settings
from nmt.model_folder.settings import change_settings


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("tune"))


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


def test_the_best_is_written(model):
    other = read_settings(model).decoding.model_copy(update={"length_penalty": 4.5})  # worse than all that are tried
    change_settings(model, read_settings(model).model_copy(update={"decoding": other}))
    before = (model / CONFIG_FILE).read_text()
    kept = forked("tune", model, "--keep")
    assert kept.returncode == 0, kept.stderr
    assert (model / CONFIG_FILE).read_text() == before
    done = forked("tune", model)
    assert done.stdout == kept.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    scores = {float(row[0]): float(row[2]) for row in rows}
    assert sorted(scores) == sorted({*PENALTIES, 4.5})
    chosen = json.loads((model / CONFIG_FILE).read_text())["decoding"]["length_penalty"]
    assert scores[chosen] == max(scores.values())
    assert f"decoding.length_penalty is {chosen:.2f} now" in done.stderr
    assert check_digests(model)
    assert f"{chosen:.2f} is best, and the model has it" in forked("tune", model).stderr
    evaluated = forked(
        "evaluate",
        model,
        "--source",
        *read_settings(model).data.valid[:1],
        "--reference",
        *read_settings(model).data.valid[1:],
    )
    assert f"BLEU {scores[chosen]:.2f}" in evaluated.stdout


def test_a_set_that_is_not_there(model):
    config = read_settings(model)
    gone = config.data.model_copy(update={"valid": (Path("gone.src"), Path("gone.tgt"))})
    change_settings(model, config.model_copy(update={"data": gone}))
    assert "data.valid: gone.src: no such file; give --source" in error_of(forked("tune", model))
    assert forked("tune", model, "--source", "a").returncode == 2


@pytest.mark.parametrize("stopped_at", ["write_text", "write_lines"])
def test_the_model_can_be_used_whenever_it_is_stopped(model, stopped_at, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    config = read_settings(model)
    changed = config.model_copy(update={"license": "CC0"})
    monkeypatch.setattr(settings, stopped_at, stop)
    with pytest.raises(KeyboardInterrupt):
        change_settings(model, changed)
    assert read_settings(model) in (config, changed)
    assert check_digests(model) is False
    assert forked("translate", model, stdin=b"The dog sees the cat.\n").returncode == 0


def test_a_folder_without_digests_gets_none(model):
    (model / DIGEST_FILE).unlink()
    change_settings(model, read_settings(model))
    assert not (model / DIGEST_FILE).exists()
