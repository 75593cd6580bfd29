"""Faults planted in copies of the CUDA sources: each is compiled for the emulator, and a few cases must catch it."""

import faulthandler
import json
import multiprocessing
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import few_cases
import pytest
from emulated import BUILT
from mixtures import EXHAUSTIVE

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]

pytestmark = pytest.mark.skipif(not BUILT.exists(), reason=f"needs {BUILT}")


@dataclass(frozen=True)
class Fault:
    """`after` in place of `before` in a file of csrc/cuda, and the sources that are compiled anew."""

    what: str
    file: str
    before: str
    after: str
    sources: tuple[str, ...]


FAULTS = (
    Fault(
        "copies not waited for", "gemm_mma.cuh", "wait_copies<kStages - 2>", "wait_copies<kStages - 1>", ("gemm.cu",)
    ),
    Fault("no barrier in a product", "gemm_mma.cuh", "      barrier();", "", ("gemm.cu",)),
    Fault("no barrier between halves", "gemm.cu", "    barrier();", "", ("gemm.cu",)),
    Fault("a stage replaced early", "gemm_mma.cuh", "tile + kStages - 1)", "tile + kStages - 2)", ("gemm.cu",)),
    Fault("fragments of other k", "gemm_mma.cuh", "third = lane / 16 * 8;", "third = lane / 8 * 8;", ("gemm.cu",)),
    Fault("beyond the matrix", "gemm.cu", "if (row0 + row < p.m && column0", "if (column0", ("gemm.cu",)),
    Fault("a slice begins again", "gemm.cu", "if (slice > 0) {", "if (slice > 1) {", ("gemm.cu",)),
    Fault("gates of other units", "step.cu", "* 8 + row % 8", "* 8 + row % 4", ("step.cu",)),
    Fault("h is overwritten", "forward_tile.h", "next[(s + 1) % 2]", "next[s % 2]", ("forward.cpp", "backward.cpp")),
    Fault("a sequence's last h lost", "states.cuh", "b >= end.ended", "b > end.ended", ("cells.cu", "step.cu")),
    Fault("c of another sequence", "cells.cuh", "b < p.known", "b <= p.known", ("cells.cu",)),
    Fault("the other neighbour", "elementwise.cu", "p.direction == 0 ?", "p.direction == 1 ?", ("elementwise.cu",)),
    Fault("another mask", "masks.cuh", "column / 4)", "column / 2)", ("cells.cu", "step.cu")),
    Fault("no barrier in a sum", "vector.h", "  barrier();\n  S all", "  S all", ("whole_rows.cu",)),
    Fault("a tile that does not wait", "streams.cpp", "is_elsewhere(input, tile)", "false", ("streams.cpp",)),
    Fault("nobody waits for the end", "streams.cpp", "event_of_stream(i).hold(caller_);", "", ("streams.cpp",)),
    Fault(
        "streams share workspace",
        "workspace.h",
        "if (i == stream) own = part",
        "if (stream >= 0) own = part",
        ("backward.cpp",),
    ),
    Fault("sums of a row too many", "cells.cuh", "i < kSumRows; ++i", "i <= kSumRows; ++i", ("cells.cu",)),
)


def found(folder, name):
    [path] = folder.rglob(name)
    return path


def outcome(library, folder):
    """The exit status of the cases in a process of their own, as a fault may stop the emulator; and what they said.

    The process is a fork: importing torch would take longer than the cases."""
    said = folder / "said"
    process = multiprocessing.get_context("fork").Process(target=run_cases, args=(library, said))
    process.start()
    process.join()
    return process.exitcode, said.read_text()


def run_cases(library, said):
    faulthandler.disable()  # a process that the emulator stops is no news
    sys.stderr = said.open("w", buffering=1)
    os.dup2(sys.stderr.fileno(), 2)  # the emulator's words, too
    few_cases.main(library)


def compiled(folder, sources):
    """The emulated library with some of its sources taken from `folder`."""
    entries = json.loads((PROJECT / "build/native/compile_commands.json").read_text())
    objects = []
    for entry in (entry for entry in entries if "rnn_engine_cuda_emulated.dir" in entry["command"]):
        words, source = shlex.split(entry["command"]), Path(entry["file"])
        output = Path(entry["directory"]) / words[words.index("-o") + 1]
        if source.name in sources and source.is_relative_to(PROJECT / "csrc/cuda"):  # another room may have the name
            output = folder / f"{source.name}.o"
            words[words.index("-o") + 1] = str(output)
            words[words.index(str(source))] = str(found(folder / "cuda", source.name))
            # The emulator's own headers come first, as they do in the build.
            first = next(i for i, word in enumerate(words) if word.endswith("tests/cpp/emulator"))
            words[first + 1 : first + 1] = [f"-I{folder}"]
            words.append("-O1")  # the cases are few, and more takes longer to compile than it saves
            subprocess.run(words, cwd=entry["directory"], check=True)
        objects.append(str(output))
    library = folder / "library.so"
    subprocess.run(["c++", "-shared", "-Wl,-z,defs", "-o", str(library), *objects, "-pthread", "-ldl"], check=True)
    return library


def test_the_cases_hold_without_a_fault(tmp_path):
    assert outcome(BUILT, tmp_path) == (0, "")


@pytest.mark.parametrize("fault", FAULTS if EXHAUSTIVE else FAULTS[::3], ids=lambda fault: fault.what)
def test_a_fault_is_caught(fault, tmp_path):
    shutil.copytree(PROJECT / "csrc/cuda", tmp_path / "cuda")
    for header in ("runtime.h", "intrinsics.h"):  # the emulator has its own
        (tmp_path / "cuda" / header).unlink()
    path = found(tmp_path / "cuda", fault.file)
    text = path.read_text()
    assert text.count(fault.before) == 1, f"{fault.before!r} is not there once"
    path.write_text(text.replace(fault.before, fault.after))
    status, said = outcome(compiled(tmp_path, fault.sources), tmp_path)
    assert status != 0, "nobody noticed"
    assert "Traceback" not in said, said
