"""One pair that is far too long must not take training down."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from synthetic import make_config, make_pairs, write_corpus

from nmt.data.batching import TrainingBatches, collate
from nmt.data.preparation.prepare import PreparedData, prepare
from nmt.training.device_memory import HostMemory, available_memory
from nmt.training.footprint import Footprint
from nmt.training.loss import batch_loss
from nmt.training.microbatching import MicroBatching, memory_limit
from nmt.training.trainer import build_model
from nmt.values import parse_bytes, shown_bytes

LIMITED = """
import resource, sys
from pathlib import Path
import torch
from nmt.commands import train
from nmt.training.device_memory import _fields
torch.set_num_threads(1)
used = _fields(Path("/proc/self/status"))["VmSize"]
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]), used + int(sys.argv[2])))
sys.argv[2:3] = []
assert train.run(Path(sys.argv[1]), sys.argv[2:])
"""


@pytest.fixture
def trained(tmp_path):
    files = write_corpus(tmp_path / "text", make_pairs(60, seed=2))
    config = make_config(tmp_path / "model", files)
    prepare(config)
    data = PreparedData.open(config)
    return config, data, build_model(config, data.source_subwords.size, data.target_subwords.size)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit that is kept")
def test_a_line_of_ten_thousand_words(tmp_path):
    long = " ".join(["a"] * 9_990)
    train = write_corpus(tmp_path / "train", [*make_pairs(200, seed=2), (long, long), *[("a a a a", "a a a a")] * 9])
    valid = write_corpus(tmp_path / "valid", make_pairs(10, seed=3))
    config = make_config(tmp_path / "model", train, max_steps=60, epochs=1).model_dump(mode="json")
    path = tmp_path / "config.toml"
    path.write_text(
        f"folder = '{tmp_path}/model'\n[data]\ntrain = {list(map(str, train))}\nvalid = {list(map(str, valid))}\n"
        "vocabulary_size = 90\nmax_length = 10000\n[model]\nembedding_size = 256\nhidden_size = 320\n"
        f"[training]\nepochs = 1\nthreads = 1\nbatch_tokens = {config['training']['batch_tokens']}\n"
    )

    def run(*settings: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LIMITED, str(path), str(500 * 2**20), *settings]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    done = run()
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "left out: training pair" in line]
    assert len(warnings) == 1
    assert "9,991 source and 9,991 target subwords" in warnings[0]
    assert "training.batch_memory" in warnings[0]
    assert (tmp_path / "model" / "model.safetensors").is_file()

    failed = run(f"folder={tmp_path}/other", "training.batch_memory=100GiB")
    assert failed.returncode
    assert "memory" in failed.stderr.splitlines()[-1].lower()


def test_pieces_have_the_gradient_of_the_whole(trained):
    _, data, model = trained
    batch = next(TrainingBatches(data.train, 400, 3).batches(0))
    model.eval()  # dropout would draw other masks
    footprint = Footprint(model, trained[0].model)
    whole = footprint.need(batch.source_lengths.tolist(), batch.target_lengths.tolist()).total
    gradients = []
    for limit in (whole, whole * 3 // 4, None):
        pieces = MicroBatching(footprint, limit, pytest.fail).pieces(batch)
        assert (len(pieces) > 1) == (limit == whole * 3 // 4)
        assert np.concatenate([piece.indices for piece in pieces]).tolist() == batch.indices.tolist()
        model.zero_grad()
        for piece in pieces:
            expected = collate(data.train, piece.indices)
            for name in ("source", "source_lengths", "target_input", "target_output", "target_lengths"):
                assert np.array_equal(getattr(piece, name), getattr(expected, name))
            (batch_loss(model, piece, 0.1)[0] / batch.target_tokens).backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    assert torch.equal(gradients[0], gradients[2])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_pair_that_does_not_fit_is_told_once(trained):
    config, data, model = trained
    batch = collate(data.train, [3, 4])
    told: list[str] = []
    microbatching = MicroBatching(Footprint(model, config.model), 1000, told.append)
    assert microbatching.pieces(batch) == microbatching.pieces(batch) == []
    assert len(told) == 2


@pytest.mark.parametrize("cell", ["lstm", "mi_lstm"])
@pytest.mark.parametrize("memory", ["store", "recompute", "checkpoint", "30MiB"])
def test_the_fast_bound_is_one(trained, cell, memory):
    config, _data, _ = trained
    random = np.random.default_rng(1)
    for hidden, layers in ((8, 1), (64, 3), (320, 2)):
        shape = config.model.model_copy(update={"hidden_size": hidden, "encoder_layers": layers, "memory": memory})
        shape = shape.model_copy(update={"cell": cell, "decoder_layers": layers})
        model = build_model(config.model_copy(update={"model": shape}), 90, 90)
        footprint = Footprint(model, shape)
        for _ in range(12):
            batch, longest = int(random.integers(1, 90)), int(random.integers(1, 300))
            source, target = (sorted(random.integers(1, longest + 1, batch).tolist())[::-1] for _ in range(2))
            assert footprint.need(source, target).total <= footprint.bound(source[0], target[0], batch)


def test_limit(trained, tmp_path):
    settings = trained[0].training
    assert memory_limit(settings.model_copy(update={"batch_memory": "2GiB"}), HostMemory(), 5) == 2**31
    assert memory_limit(settings, HostMemory(), 1000) == 1000, "going on keeps what was found at first"
    assert memory_limit(settings, HostMemory(), 2**60) < 2**60, "unless that is no longer there"


def test_available_memory(tmp_path):
    files = {
        "proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n",
        "proc/self/cgroup": "0::/outer/inner\n",
        "sys/fs/cgroup/outer/memory.max": "5000000\n",
        "sys/fs/cgroup/outer/memory.current": "2000000\n",
        "sys/fs/cgroup/outer/memory.stat": "anon 7\ninactive_file 500000\n",
        "sys/fs/cgroup/outer/inner/memory.max": "max\n",
        "sys/fs/cgroup/outer/inner/memory.current": "1\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert available_memory(tmp_path) == 3_500_000
    (tmp_path / "sys/fs/cgroup/outer/memory.max").write_text("max\n")
    assert available_memory(tmp_path) == 8_192_000
    assert available_memory(tmp_path / "nothing") is None


def test_bytes():
    assert [parse_bytes(text) for text in ("1.5KiB", "2 GB", 7, "x", 0, True, "3kb")] == [1536, 2 * 10**9, 7] + [
        None
    ] * 4
    assert [shown_bytes(size) for size in (5, 1536, 3 * 2**20, 5 * 2**30)] == ["5 B", "1.5 KiB", "3.0 MiB", "5.00 GiB"]
