"""Training steps of ours: all that `nmt train` does in a step."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
from training_rounds import Pairs, options, serve

from nmt.config_file import load_config
from nmt.data.batching import Batch, TrainingBatches, validation_batches
from nmt.data.preparation.prepare import PreparedData
from nmt.model import device
from nmt.training.trainer import Trainer, build_model


def batch_of(pairs: Pairs) -> Batch:
    """The same batch as ours."""
    target, lengths = pairs.target, pairs.target_lengths
    target_input = target[:-1].copy()
    for column, length in enumerate(lengths):
        target_input[length:, column] = 0  # eos is answered, not read
    return Batch(
        source=pairs.source,
        source_lengths=pairs.source_lengths,
        target_input=target_input,
        target_output=target[1:].copy(),
        target_lengths=lengths,
        source_tokens=int(pairs.source_lengths.sum()),
        target_tokens=int(lengths.sum()),
        indices=np.arange(len(lengths)),
    )


if __name__ == "__main__":
    asked = options()
    settings = load_config(Path(asked.config), asked.set)
    device.use_threads(asked.threads)
    data = PreparedData.open(settings)
    model = build_model(settings, data.source_subwords.size, data.target_subwords.size)
    batches = TrainingBatches(data.train, settings.training.batch_tokens, settings.training.seed)
    valid = validation_batches(data.valid, settings.training.batch_tokens)
    trainer = Trainer(settings, model, batches, valid, None, {})
    with getattr(device, "settled_objects", nullcontext)():  # not in earlier versions
        serve(asked.batches, lambda pairs: trainer.step(batch_of(pairs)))
