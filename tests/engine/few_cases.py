"""A few cases through the library that is named; what they find ends the process."""

import sys

import numpy as np
import torch
from cases import Case, make
from library import Library, run_library
from running import rounded, run_reference

NOISE = {"dropout": 0.3, "recurrent_dropout": 0.3, "zoneout": (0.3, 0.2)}
RAGGED = {"T": 4, "B": 5, "I": 5, "L": 2, "bidirectional": True, "lengths": (4, 1, 3, 2, 4)}
CASES = (
    Case(cell="lstm", T=3, B=6, I=80, H=68),
    Case(cell="lstm", T=2, B=70, I=300, H=40),
    Case(cell="lstm", H=37, **RAGGED),
    Case(cell="lstm", H=9, **RAGGED, **NOISE),
    Case(cell="lstm", T=23, B=3, I=5, H=6, L=4),
    Case(cell="layer_norm_lstm", T=2, B=3, I=4, H=70),
)


def main(path):
    library = Library(path)
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.bfloat16, 0.1)):
        for case in CASES:
            arrays = rounded(make(case), dtype)
            found = run_library(library, case, arrays, dtype)
            for name, exact in run_reference(case, arrays).items():
                error = np.abs(found[name].double().numpy() - exact).max()
                if not error <= tolerance * max(1.0, np.abs(exact).max()):
                    sys.exit(f"{case.id} {dtype} {name}: {error}")
