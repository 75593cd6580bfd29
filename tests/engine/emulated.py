"""The library for CUDA devices, emulated on the CPU, behind the torch face: tensors of the CPU then take the way that
tensors on a card take."""

import os
from pathlib import Path

import pytest
import torch

from rnn_engine.nn import devices

BUILT = Path(__file__).parents[2] / "build/native/tests/cpp/emulator/librnn_engine_cuda_emulated.so"
LIBRARY = Path(os.environ.get("RNN_ENGINE_CUDA_EMULATED") or BUILT)


def need_emulated():
    """Skips the test where nobody has built the library; fails it where one was promised."""
    if not LIBRARY.is_file():
        if os.environ.get("RNN_ENGINE_CUDA_EMULATED"):
            pytest.fail(f"RNN_ENGINE_CUDA_EMULATED: there is no {LIBRARY}")
        pytest.skip(f"there is no {LIBRARY}: tests/run.sh builds it")


def use_emulated(monkeypatch):
    """Until the test ends. TF32 is off, as its products would round; cuBLAS, too."""
    need_emulated()
    monkeypatch.setenv("RNN_ENGINE_CUDA_LIBRARY", str(LIBRARY))
    monkeypatch.setenv("RNN_ENGINE_CUBLAS", "off")
    monkeypatch.setitem(devices._FACES, "cpu", lambda index: devices.Cuda(0, torch.device("cpu")))
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
