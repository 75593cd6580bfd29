"""Large blocks of the C library's heap."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
import numpy as np
from nmt.process import map_large_blocks

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena b c d mapped f g used i j".split()]

{call}
np.ones(2**21)  # 16 MiB that are freed at once, whereupon glibc takes such blocks from its heap
block = np.ones(2**20)
tell = ctypes.CDLL(None).mallinfo2
tell.restype = Info
print(tell().mapped >= block.nbytes)
"""


@pytest.mark.parametrize(("call", "mapped"), [("map_large_blocks()", "True"), ("", "False")])
def test_large_blocks_are_mapped(call: str, mapped: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(call=call)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == mapped
