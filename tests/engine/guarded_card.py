"""The emulated card with red zones: all that a call is to write is NaN before, and nothing beyond it may be touched."""

import torch
from emulated import use_emulated
from library import Guarded

from rnn_engine.nn import devices


class GuardedCard(devices.Cuda):
    """The face of CUDA devices on the emulated library, with tensors of `Guarded`."""

    def __init__(self):
        super().__init__(0, torch.device("cpu"))
        self.guarded = Guarded()

    def new(self, shape, dtype):
        count = 1
        for size in shape:
            count *= size
        return self.guarded.new(count, dtype).view(tuple(shape))


def on_card(monkeypatch, run):
    """What `run()` gives on the emulated card."""
    with monkeypatch.context() as patch:
        use_emulated(patch)
        card = GuardedCard()
        patch.setitem(devices._FACES, "cpu", lambda index: card)
        found = run()
        card.guarded.check()
    return found
