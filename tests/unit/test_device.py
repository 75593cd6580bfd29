"""training.device and --device: what is chosen, what is refused and how; the machine's part of `nmt info`."""

import ctypes
import gc
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from small import make_config
from typer.testing import CliRunner

from nmt.cli import app
from nmt.config import TrainingConfig
from nmt.model.device import DeviceError, settled_objects, use_device
from nmt.training import TrainingError
from nmt.training.device_memory import CardMemory, HostMemory, memory_of
from nmt.training.optimizer import MOMENTS, make_optimizer, optimizer_tensors, restore_optimizer
from nmt.training.trainer import build_model
from nmt.values import is_device
from rnn_engine import EngineError, cards, native


@pytest.fixture
def two_cards(monkeypatch):
    """A torch with CUDA and two cards that the engine can use."""
    flags = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(native, "cuda_context", lambda index: None)
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = flags


@pytest.mark.parametrize(
    ("setting", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1), ("auto", 0)]
)  # fmt: skip
@pytest.mark.parametrize("tf32", [False, True])
def test_a_card_that_can_be_used(two_cards, setting, index, tf32):
    assert use_device(setting, tf32=tf32) == torch.device("cuda", index)
    assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32 == tf32


def test_the_cpu_leaves_torch_as_it_is(two_cards):
    before = torch.backends.cudnn.allow_tf32
    assert use_device("cpu", tf32=not before) == torch.device("cpu")
    assert torch.backends.cudnn.allow_tf32 == before


def refused(setting):
    with pytest.raises(DeviceError) as caught:
        use_device(setting)
    assert use_device("auto") == torch.device("cpu")
    return str(caught.value)


def test_a_torch_without_cuda(two_cards, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "cuda:0: torch" in (message := refused("cuda"))
    assert "is built without CUDA" in message


def test_no_driver(two_cards, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no NVIDIA driver or no card" in refused("cuda:1")


def test_no_such_card(two_cards):
    with pytest.raises(DeviceError, match="cuda:2: there are 2 CUDA devices, counted from 0"):
        use_device("cuda:2")


def test_no_library_of_the_engine(two_cards, monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("RNN_ENGINE_CUDA_LIBRARY", str(tmp_path / "nowhere.so"))
    message = refused("cuda")
    for part in ("cuda:0", "nowhere.so", "RNN_ENGINE_CUDA=ON", "RNN_ENGINE_CUDA_LIBRARY"):
        assert part in message


def test_a_file_that_is_no_library(monkeypatch, tmp_path):
    path = tmp_path / "broken.so"
    path.write_text("not a library")
    monkeypatch.setenv("RNN_ENGINE_CUDA_LIBRARY", str(path))
    with pytest.raises(EngineError, match=r"cuda:3: .*broken\.so.*nvidia-smi"):
        native.cuda_context(3)


def test_a_library_of_another_version(monkeypatch):
    monkeypatch.setenv("RNN_ENGINE_CUDA_LIBRARY", _path_of("libm.so.6"))
    with pytest.raises(
        EngineError, match=r"it has no function rnn_engine_functions; this package needs version \d+ of"
    ):
        native.cuda_context(0)


def _path_of(name):
    ctypes.CDLL(name)
    maps = Path("/proc/self/maps").read_text().splitlines()
    return next(line.split()[-1] for line in maps if line.endswith(name))


@pytest.mark.parametrize("text", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_names_of_devices(text):
    assert is_device(text)
    assert TrainingConfig(device=text).device == text


@pytest.mark.parametrize("text", ["gpu", "cuda:", "cuda:-1", "CUDA", "cpu:0", "cuda:0 ", "", "cuda:٣"])
def test_other_names_are_refused(text):
    assert not is_device(text)
    with pytest.raises(ValueError, match="expected auto, cpu, cuda or cuda:N"):
        TrainingConfig(device=text)


@pytest.mark.parametrize("command", ["train", "plan", "translate", "evaluate", "score", "compare"])
def test_the_commands_refuse_them_too(command):
    result = CliRunner().invoke(app, [command, "--device", "gpu", *["x"] * (1 + (command in ("score", "compare")))])
    assert result.exit_code == 2
    assert "expected auto, cpu, cuda or cuda:N, got gpu" in " ".join(result.output.replace("│", "").split())


def test_a_command_says_why_there_is_no_card():
    code = "import sys, torch; torch.version.cuda = None; from nmt.cli import main; main()"
    arguments = ["translate", "tests/data/model-v1", "--device", "cuda"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], input="", capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("nmt: error: device cuda:0: torch")
    assert len(done.stderr.splitlines()) == 1


def test_float16_is_for_cards(tmp_path):
    config = make_config()
    config = config.model_copy(update={"training": config.training.model_copy(update={"precision": "float16"})})
    with pytest.raises(TrainingError, match=r"float16 needs training\.device = 'cuda', got cpu; the CPU has bfloat16"):
        build_model(config, 20, 20)


def test_the_optimiser_goes_where_its_parameters_are():
    config = make_config()
    model = build_model(config, 20, 20)
    optimizer = make_optimizer(model, config.training)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    saved = optimizer_tensors(optimizer, model)
    elsewhere = build_model(config, 20, 20).to("meta")
    other = torch.optim.Adam(elsewhere.parameters())
    restore_optimizer(other, elsewhere, saved)
    for parameter in elsewhere.parameters():
        assert {other.state[parameter][moment].device.type for moment in MOMENTS} == {"meta"}


def test_the_memory_is_that_of_the_device():
    assert isinstance(memory_of(torch.device("cpu")), HostMemory)
    assert isinstance(memory_of(torch.device("cuda", 0)), CardMemory)


class FakeDriver:
    """libcuda with one card."""

    def __init__(self, cards=1, code=0):
        self.cards, self.code = cards, code

    def cuInit(self, flags):
        return self.code

    def cuDriverGetVersion(self, version):
        version._obj.value = 13000

    def cuDeviceGetCount(self, count):
        count._obj.value = self.cards
        return 0

    def cuDeviceGet(self, device, index):
        device._obj.value = index

    def cuDeviceGetName(self, name, size, device):
        name.value = b"NVIDIA H200"

    def cuDeviceTotalMem_v2(self, memory, device):
        memory._obj.value = 141 * 2**30

    def cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = {75: 9, 76: 0}[attribute]


@pytest.fixture
def no_library(monkeypatch, tmp_path):
    monkeypatch.setenv("RNN_ENGINE_CUDA_LIBRARY", str(tmp_path / "nowhere.so"))


def test_the_machine_with_a_card(monkeypatch, no_library):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver())
    found = cards.report()
    assert (found.driver, found.problem, found.built) == ("13.0", None, False)
    [card] = found.cards
    assert (card.name, card.memory, card.capability) == ("NVIDIA H200", 141 * 2**30, "9.0")
    assert "nowhere.so" in card.problem
    text = CliRunner().invoke(app, ["info"]).output
    assert "cuda:0              NVIDIA H200, 141.00 GiB, compute capability 9.0\n" in text
    assert "not usable: cuda:0: there is no" in text
    monkeypatch.setattr(native, "cuda_context", lambda index: types.SimpleNamespace(products="cuBLAS 13.0.2"))
    assert f"\n{'':20}large products: cuBLAS 13.0.2\n" in CliRunner().invoke(app, ["info"]).output


@pytest.mark.parametrize(
    ("driver", "problem"), [(FakeDriver(cards=0), "finds no card"), (FakeDriver(code=100), "error 100")]
)  # fmt: skip
def test_the_machine_without_one(monkeypatch, no_library, driver, problem):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert problem in cards.report().problem


def test_the_machine_without_a_driver(no_library):
    found = cards.report("libcuda-that-is-nowhere.so")
    assert found.driver is None
    assert "no NVIDIA driver" in found.problem


def test_the_machine_is_told_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['nmt', 'info', '--json']\n"
        "from nmt.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["cuda"].keys() == {"library", "built", "driver", "problem", "cards"}


def test_objects_that_were_there_are_settled_for_as_long_as_the_context_lasts():
    before = gc.get_freeze_count()

    def fails() -> None:
        with settled_objects():
            assert gc.get_freeze_count() > before + 10_000
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert gc.get_freeze_count() == 0
