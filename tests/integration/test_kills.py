"""Training that is killed, again and again, at any moment: nothing is lost but the steps since the last checkpoint.

Children are forked from this process, which has imported torch already, so that a start takes milliseconds.
"""

from __future__ import annotations

import mmap
import os
import random
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from synthetic import make_config, make_pairs, write_corpus

import nmt.training.finish
from nmt.config import Config
from nmt.data.batching import ALL, Batch, Share, SubwordRegularization, TrainingBatches, validation_batches
from nmt.data.preparation.prepare import PreparedData, prepare
from nmt.data.subword_regularization import SubwordSampler
from nmt.files import write_text
from nmt.model_folder.scores import ScoresFile
from nmt.training.checkpoint import Checkpoints
from nmt.training.trainer import build_model, train

KILLS, STEPS, CHECKPOINT_EVERY, VALIDATE_EVERY = 30, 270, 4, 10
TIMES = ("time", "seconds", "tokens_per_second")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("kills")
    files = write_corpus(folder / "text", make_pairs(60, seed=2))
    settings = {"validate_every": VALIDATE_EVERY, "checkpoint_every": CHECKPOINT_EVERY, "batch_tokens": 150}
    settings |= {"epochs": 1000, "max_steps": STEPS, "patience": 1000, "schedule": "plateau", "ema_decay": 0.9}
    config = make_config(folder / "prepared", files, **settings)
    shape = {"embedding_size": 8, "hidden_size": 8, "encoder_layers": 2, "word_dropout": 0.1, "attention_dropout": 0.1}
    config = config.model_copy(update={"model": config.model.model_copy(update=shape)})
    prepare(config)
    run(config, at(config, folder / "warm", max_steps=2))  # what torch imports late is then here for the children, too
    return config


def at(config: Config, folder: Path, **training: object) -> Config:
    return config.model_copy(update={"folder": folder, "training": config.training.model_copy(update=training)})


class Counting:
    """Batches that tell another process how many steps have begun."""

    def __init__(self, batches: TrainingBatches, counter: mmap.mmap, done: int) -> None:
        self.inner, self.counter, self.count = batches, counter, done

    def number_of_batches(self, epoch: int) -> int:
        return self.inner.number_of_batches(epoch)

    def batches(self, epoch: int, start: int = 0, share: Share = ALL) -> Iterator[Batch]:
        for batch in self.inner.batches(epoch, start, share):
            self.count += 1
            self.counter[:8] = self.count.to_bytes(8, "little")
            yield batch


def run(prepared: Config, config: Config, counter: mmap.mmap | None = None) -> None:
    data = PreparedData.open(prepared)
    sampler = SubwordSampler(data.source_subwords, "unigram", 0.2)
    batches = TrainingBatches(data.train, config.training.batch_tokens, 3, SubwordRegularization(0.5, sampler, sampler))
    state = Checkpoints(config.folder).latest_state()
    counted = Counting(batches, counter, state.step if state else 0) if counter else batches
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    train(config, model, counted, validation_batches(data.valid, 400)[:2])


def fork(child: Callable[[], None], log: Path) -> int:
    """Run a function in a child process; one that fails leaves its traceback in `log`."""
    process = os.fork()
    if process:
        return process
    try:  # the child must not come back into pytest
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        torch.set_num_threads(1)  # a fork has none of its parent's other threads
        child()
        os._exit(0)
    except BaseException:
        log.write_text(traceback.format_exc())
        os._exit(1)


def wait(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def assert_same(folder: Path, other: Path) -> None:
    """The models are the same file, and the validations the same but for their times."""
    assert (folder / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    one, two = (
        [{key: value for key, value in row.items() if key not in TIMES} for row in ScoresFile(path).validations()]
        for path in (folder, other)
    )
    assert one == two
    assert len(one) >= 1
    hidden = [path.name for path in (other / "checkpoints").iterdir() if path.name.startswith(".")]
    assert hidden == []


def last_due(step: int) -> int:
    """The last step up to `step` after which a checkpoint is saved; 0 if there is none yet."""
    return max(step // CHECKPOINT_EVERY * CHECKPOINT_EVERY, step // VALIDATE_EVERY * VALIDATE_EVERY)


def test_thirty_kills_change_nothing(prepared: Config, tmp_path: Path) -> None:
    straight, killed, log = at(prepared, tmp_path / "straight"), at(prepared, tmp_path / "killed"), tmp_path / "log"
    assert wait(fork(lambda: run(prepared, straight), log)) == 0, log.read_text()

    counter = mmap.mmap(-1, 8)
    generator = random.Random(time.time_ns())  # other moments each time that the test runs
    begun = lambda: int.from_bytes(counter[:8], "little")  # noqa: E731
    saving = lambda: any((killed.folder / "checkpoints").glob(".step_*"))  # noqa: E731
    lost, moments = [], []
    for number in range(KILLS):
        process = fork(lambda: run(prepared, killed, counter), log)
        if number % 5 == 4:  # at the start, or a little later
            time.sleep(generator.uniform(0.0, 0.1))
        else:
            goal = (Checkpoints(killed.folder).steps() or [0])[-1] + generator.randint(1, 8)
            deadline = time.monotonic() + 60
            while begun() < goal and time.monotonic() < deadline:
                time.sleep(0.001)
            if number % 2:  # while a checkpoint is written or removed
                while not saving() and time.monotonic() < deadline:
                    pass
                time.sleep(generator.uniform(0.0, 0.02))
            else:
                time.sleep(generator.uniform(0.0, 0.03))
        moments.append("saving" if saving() else "step")
        os.kill(process, signal.SIGKILL)
        assert wait(process) == -signal.SIGKILL, log.read_text() if log.exists() else "the run was too short"
        state = Checkpoints(killed.folder).latest_state()
        there = state.step if state else 0
        assert there >= last_due(begun() - 1)
        lost.append(max(begun() - there, 0))
    assert wait(fork(lambda: run(prepared, killed), log)) == 0, log.read_text()
    print(f"steps lost at each kill: {lost}; {moments.count('saving')} while a checkpoint was written or removed")
    assert max(lost) <= CHECKPOINT_EVERY + 1
    assert_same(straight.folder, killed.folder)


def test_one_seed_is_one_model(prepared: Config, tmp_path: Path) -> None:
    models = []
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        config = at(prepared, tmp_path / name, max_steps=3, seed=seed)
        assert wait(fork(lambda config=config: run(prepared, config), tmp_path / "log")) == 0
        models.append((config.folder / "model.safetensors").read_bytes())
    assert models[0] == models[1] != models[2]


WATCHED = ("fsync", "rename", "replace", "symlink", "unlink", "rmdir", "mkdir")


def kill_at(number: int) -> None:
    """Let this process be killed before its call of that number that changes files."""
    left = [number]

    def watch(name: str) -> None:
        original = getattr(os, name)

        def call(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        setattr(os, name, call)

    for name in WATCHED:
        watch(name)


def test_a_kill_between_any_two_changes_of_files(
    prepared: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Drawing takes longer than all the rest here.
    monkeypatch.setattr(nmt.training.finish, "draw_curves", lambda rows, path: write_text(path, f"{len(rows)}"))
    log = tmp_path / "log"
    # Step 12 is not due for validation, so that its checkpoint is saved twice: before the last validation and after.
    first, straight = at(prepared, tmp_path / "first", max_steps=11), at(prepared, tmp_path / "straight", max_steps=12)
    for config in (first, straight):
        assert wait(fork(lambda config=config: run(prepared, config), log)) == 0, log.read_text()
    number, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        number += 1
        folder = tmp_path / f"killed_{number}"
        shutil.copytree(first.folder, folder, symlinks=True)
        for name in ("model.safetensors", "config.json"):
            (folder / name).unlink()
        config = at(prepared, folder, max_steps=12)
        code = wait(fork(lambda config=config, number=number: (kill_at(number), run(prepared, config)), log))  # type: ignore[func-returns-value]
        assert code in (0, -signal.SIGKILL), log.read_text()
        assert Checkpoints(folder).latest_state().step >= 11
        assert wait(fork(lambda config=config: run(prepared, config), log)) == 0, log.read_text()
        assert (folder / "model.safetensors").read_bytes() == (straight.folder / "model.safetensors").read_bytes()
        shutil.rmtree(folder)
    assert number > 30
