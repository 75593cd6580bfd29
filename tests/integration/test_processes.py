"""Several processes that train one network: the model of one process that accumulates as many batches, bit for bit."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import ANY

import pytest
import torch.distributed
from commands import become_program
from synthetic import make_pairs, write_corpus

import nmt.commands.train
import nmt.data.lexicon
import nmt.decoding.model_network
import nmt.decoding.translator
import nmt.evaluation.scores
import nmt.training.finish
from nmt.cli import main
from nmt.data.batching import Batch
from nmt.files import write_text
from nmt.model_folder.scores import ScoresFile
from nmt.training.checkpoint import Checkpoints
from nmt.training.optimizer import GradientClipper
from nmt.training.progress import StepReport
from nmt.training.trainer import Trainer

Said = list[tuple[int, str]]
"""Of each process, its exit code and its messages."""


@dataclass
class Started:
    """A process, and what it says."""

    pid: int
    errors: Path

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def start(size: int, *arguments: str | Path, before: Callable[[int], object] = lambda rank: None) -> list[Started]:
    """Start `nmt` in processes as `torchrun` does; `before` is called in each, with its rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(size):
        errors = Path(tempfile.mkstemp()[1])
        environment = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}

        def work(rank: int = rank, environment: dict[str, object] = environment) -> None:
            os.environ |= {name: str(value) for name, value in environment.items()}
            sys.argv = ["nmt", *map(str, arguments)]
            before(rank)
            main()

        pid = os.fork()
        if not pid:
            with errors.open("wb") as file:
                os.dup2(file.fileno(), 2)
            become_program(work)
        processes.append(Started(pid, errors))
    return processes


def run(size: int, *arguments: str | Path, before: Callable[[int], object] = lambda rank: None) -> Said:
    """Run `nmt` in so many processes."""
    processes = start(size, *arguments, before=before)
    codes = [process.wait() for process in processes]
    return [(code, process.errors.read_text()) for code, process in zip(codes, processes, strict=True)]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings with 11 batches an epoch, so that the last step of each has fewer than the others."""
    folder = tmp_path_factory.mktemp("processes")
    source, target = write_corpus(folder / "text", make_pairs(60, seed=2))
    path = folder / "config.toml"
    path.write_text(
        f"folder = '{folder}/model'\n"
        f"[data]\ntrain = ['{source}', '{target}']\nvalid = ['{source}', '{target}']\nvocabulary_size = 90\n"
        "[model]\nembedding_size = 12\nhidden_size = 12\ndropout = 0.2\nword_dropout = 0.1\n"
        "[training]\nepochs = 3\nbatch_tokens = 150\nlearning_rate = 0.01\nthreads = 1\nema_decay = 0.9\n"
        "validate_every = 4\nwarmup_steps = 3\nkeep_checkpoints = 9\nsubword_regularization = 0.3\n"
    )
    return path


@pytest.fixture(scope="module", autouse=True)
def _no_drawing() -> Iterator[None]:
    """Drawing takes longer than all the rest here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nmt.training.finish, "draw_curves", lambda rows, path: write_text(path, f"{len(rows)}"))
        yield


@pytest.fixture(scope="module")
def prepared(config: Path) -> Path:
    """A folder with the data prepared."""
    assert run(1, "prepare", config)[0][0] == 0
    return config.parent / "model"


def train(
    config: Path,
    prepared: Path,
    folder: Path,
    size: int,
    accumulate: int = 1,
    before: Callable[[int], object] = lambda rank: None,
    **settings: object,
) -> Said:
    if not folder.exists():
        shutil.copytree(prepared, folder)
    overrides = [f"--set=training.{key}={value}" for key, value in {"accumulate": accumulate, **settings}.items()]
    return run(size, "train", config, f"--set=folder={folder}", *overrides, before=before)


def state_of(folder: Path) -> dict[str, object]:
    """All that a training leaves, but for times."""
    checkpoints = Checkpoints(folder)
    files = {}
    for step in checkpoints.steps():
        for path in checkpoints.path(step).glob("*.safetensors"):
            files[f"{step}/{path.name}"] = path.read_bytes()
    times = {"time", "seconds", "tokens_per_second"}
    rows = [{key: row[key] for key in row.keys() - times} for row in ScoresFile(folder).validations()]
    return {**files, "model": (folder / "model.safetensors").read_bytes(), "scores": rows}


@pytest.fixture(scope="module")
def reference(config: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What one process leaves that accumulates four batches."""
    folder = tmp_path_factory.mktemp("reference") / "model"
    assert train(config, prepared, folder, 1, 4) == [(0, ANY)]
    return state_of(folder)


@pytest.mark.parametrize(("size", "accumulate"), [(2, 2), (4, 1)])
def test_processes_are_batches_of_a_step(config, prepared, reference, tmp_path, size, accumulate):
    done = train(config, prepared, tmp_path / "model", size, accumulate)
    assert [code for code, _ in done] == [0] * size
    assert [said for _, said in done[1:]] == [""] * (size - 1)
    assert "finished after 9 steps" in done[0][1]
    assert state_of(tmp_path / "model") == reference


def test_going_on_with_other_processes(config, prepared, reference, tmp_path):
    folder = tmp_path / "model"
    for steps, size, accumulate in ((2, 2, 2), (5, 1, 4), (99, 4, 1)):
        done = train(config, prepared, folder, size, accumulate, before=kill(steps, size - 1, signal.SIGTERM))
        assert [code for code, _ in done] == [130 if steps < 9 else 0] * size
    assert state_of(folder)["model"] == reference["model"]
    done = train(config, prepared, folder, 2, 2)
    assert [code for code, _ in done] == [0, 0]
    assert "already finished after 9 steps" in done[0][1]


def kill(step: int, rank: int, number: int) -> Callable[[int], None]:
    """Let a process send itself a signal in a step."""

    def arrange(here: int) -> None:
        original = Trainer.step

        def watched(self: Trainer, *batches: Batch) -> StepReport:
            if self.state.step == step and here == rank:
                os.kill(os.getpid(), number)
            return original(self, *batches)

        Trainer.step = watched  # type: ignore[method-assign]

    return arrange


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_dies(config, prepared, reference, tmp_path, rank):
    folder = tmp_path / "model"
    done = train(config, prepared, folder, 2, 2, before=kill(6, rank, signal.SIGKILL))
    assert done[rank][0] == -signal.SIGKILL
    assert done[1 - rank][0] == 1
    assert f"error: process {1 - rank} of 2 lost the others" in done[1 - rank][1]
    assert "Traceback" not in done[1 - rank][1]
    assert Checkpoints(folder).steps()[-1] == 4
    assert [code for code, _ in train(config, prepared, folder, 2, 2)] == [0, 0]
    assert state_of(folder) == reference


def test_one_is_asked_to_stop(config, prepared, reference, tmp_path):
    folder = tmp_path / "model"
    done = train(config, prepared, folder, 2, 2, before=kill(4, 1, signal.SIGTERM))
    assert [code for code, _ in done] == [130, 130]
    assert "interrupted after 5 steps" in done[0][1]
    assert "to go on: nmt train" in done[0][1]
    assert done[1][1] == ""
    assert train(config, prepared, folder, 2, 2)[0][0] == 0
    assert state_of(folder)["model"] == reference["model"]


def test_bfloat16_gradients_are_near(config, prepared, reference, tmp_path):
    assert train(config, prepared, tmp_path / "model", 2, 2, gradient_precision="bfloat16")[0][0] == 0
    rows = state_of(tmp_path / "model")["scores"]
    for row, expected in zip(rows, reference["scores"], strict=True):
        assert row["loss"] != expected["loss"]
        assert row["loss"] == pytest.approx(expected["loss"], rel=2e-3)


def test_other_data_in_another_folder(config, prepared, tmp_path):
    def elsewhere(rank: int) -> None:
        if rank:
            sys.argv[3] = f"--set=folder={tmp_path / 'other'}"
            sys.argv.append("--set=data.vocabulary_size=80")

    assert run(1, "prepare", config, f"--set=folder={tmp_path / 'other'}", "--set=data.vocabulary_size=80")[0][0] == 0
    done = train(config, prepared, tmp_path / "model", 2, before=elsewhere)
    assert [code for code, _ in done] == [1, 1]
    assert "other/data: process 1 has other prepared data here than process 0" in done[1][1]


def test_processes_that_drift_apart(config, prepared, tmp_path):
    def other_threads(rank: int) -> None:
        original = GradientClipper.clip

        def clip(self: GradientClipper, *, forgive: bool = False) -> float | None:
            norm = original(self, forgive=forgive)
            self.parameters[0].grad[0] += rank * 1e-3
            return norm

        GradientClipper.clip = clip  # type: ignore[method-assign]

    done = train(config, prepared, tmp_path / "model", 2, 2, before=other_threads)
    assert [code for code, _ in done] == [1, 1]
    assert "process 1 has other parameters than process 0" in done[0][1]
    assert Checkpoints(tmp_path / "model").steps() == []


OUTER = {"outer_every": 4, "validate_every": 8, "checkpoint_every": 3}
"""Rounds of 4 steps, of 6 steps an epoch, the last of which has a batch for the first process alone."""


@pytest.fixture(scope="module")
def outer(config: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What two processes leave that take outer steps."""
    folder = tmp_path_factory.mktemp("outer") / "model"
    done = train(config, prepared, folder, 2, **OUTER)
    assert [code for code, _ in done] == [0, 0], done
    assert "finished after 18 steps" in done[0][1]
    return state_of(folder)


@pytest.mark.parametrize(("step", "rank", "number"), [(7, 0, signal.SIGKILL), (10, 1, signal.SIGTERM)])
def test_rounds_go_on(config, prepared, outer, tmp_path, step, rank, number):
    folder = tmp_path / "model"
    done = train(config, prepared, folder, 2, before=kill(step, rank, number), **OUTER)
    codes = [1, -signal.SIGKILL] if number == signal.SIGKILL else [130, 130]
    assert sorted(code for code, _ in done) == sorted(codes)
    assert Checkpoints(folder).steps()[-1] == (6 if number == signal.SIGKILL else 12)
    assert [code for code, _ in train(config, prepared, folder, 2, **OUTER)] == [0, 0]
    found = state_of(folder)
    assert {name: found[name] for name in outer} == outer


def test_processes_differ_within_a_round(config, prepared, tmp_path):
    folder = tmp_path / "model"
    assert train(config, prepared, folder, 2, **OUTER, ema_decay=0.0, max_steps=9)[0][0] == 0
    checkpoints = Checkpoints(folder)
    same = {}
    for step in (3, 8, 9):
        [(first, _), (second, _)] = checkpoints.tensors(step, "model.safetensors", "process_1.safetensors")
        same[step] = all(torch.equal(first[name], second[f"parameter.{name}"]) for name in first)
        moments, _ = checkpoints.tensors(step, "optimizer.safetensors")[0]
        assert not torch.equal(moments["exp_avg.output_bias"], second["exp_avg.output_bias"])
    assert same == {3: False, 8: True, 9: True}  # the end ends a round, too
    [row, last] = ScoresFile(folder).validations()
    assert (row["step"], last["step"]) == (8, 9)
    assert row["loss"] < 4.3  # below that of a guess among 90 subwords


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (1, {}, "training.outer_every = 4: expected several processes, started by `torchrun`, got one"),
        (2, {"validate_every": 6}, "training.validate_every: expected a multiple of training.outer_every = 4"),
        (2, {"precision": "float16"}, "training.outer_every: expected training.precision float32 or bfloat16"),
    ],
)
def test_rounds_that_make_no_sense(config, prepared, tmp_path, size, settings, message):
    done = train(config, prepared, tmp_path / "model", size, **{**OUTER, **settings})
    assert 0 not in [code for code, _ in done]
    assert message in done[0][1]
    assert "Traceback" not in done[0][1]


@pytest.mark.parametrize(("size", "settings"), [(3, {}), (2, {"outer_every": 0}), (1, {"outer_every": 0})])
def test_rounds_do_not_go_on_otherwise(config, prepared, tmp_path, size, settings):
    folder = tmp_path / "model"
    assert train(config, prepared, folder, 2, **OUTER, max_steps=3)[0][0] == 0
    done = train(config, prepared, folder, size, **{**OUTER, **settings})
    assert [code for code, _ in done] == [1] * size
    assert "has parameters and moments of each of 2 processes (training.outer_every = 4)" in done[0][1]


def test_rounds_may_follow_steps_together(config, prepared, tmp_path):
    folder = tmp_path / "model"
    assert train(config, prepared, folder, 1, 2, max_steps=5)[0][0] == 0
    done = train(config, prepared, folder, 2, **OUTER)
    assert [code for code, _ in done] == [0, 0], done
    assert "continuing at step 5" in done[0][1]


@pytest.mark.parametrize("every", [0, 4])
@pytest.mark.parametrize(
    ("settings", "end"),
    [
        ({"rdrop": 1.0, "max_steps": 5}, "finished after 5 steps"),
        ({"patience": 1, "learning_rate": 1e-9, "epochs": 99, "schedule": "plateau"}, "stopped early after"),
        ({"max_minutes": 0.01, "epochs": 1_000_000}, "finished after"),
    ],
    ids=["rdrop", "early stopping", "max_minutes"],
)
def test_what_ends_a_training(config, prepared, tmp_path, every, settings, end):
    settings = {"validate_every": 4, **settings, "outer_every": every}
    done = train(config, prepared, tmp_path / "model", 2, **settings)
    assert [code for code, _ in done] == [0, 0], done
    assert end in done[0][1]
    assert (tmp_path / "model" / "model.safetensors").exists()
