"""Training steps of OpenNMT-py: the network of with_opennmt.py with the dropout, loss and optimiser of ours."""

from __future__ import annotations

import onmt.model_builder
import torch
from onmt.opts import train_opts
from onmt.utils.parse import ArgumentParser
from torch.nn import functional
from training_rounds import Pairs, options, read, serve
from with_opennmt import SHAPE

DROPOUT, SMOOTHING, RATE, NORM = 0.4, 0.1, 2e-3, 1.0


class Vocabulary(list):  # type: ignore[type-arg]
    """As many words as there are ids; OpenNMT-py asks for the place of the padding alone."""

    def __getitem__(self, word: object) -> int:
        return 0


def make(size: int) -> torch.nn.Module:
    """The network; its output layer makes log-probabilities, as its trainer has it."""
    parser = ArgumentParser()
    train_opts(parser)
    shape = SHAPE.replace("--dropout 0", f"--dropout {DROPOUT}").split()
    asked, _ = parser.parse_known_args(["-data", "{}", "-src_vocab", "none", *shape])
    ArgumentParser.update_model_opts(asked)
    words = Vocabulary(range(size))
    vocabularies = {"src": words, "tgt": words, "data_task": "seq2seq", "decoder_start_token": "<s>"}
    return onmt.model_builder.build_base_model(asked, vocabularies)


if __name__ == "__main__":
    asked = options()
    torch.set_num_threads(asked.threads)
    model = make(1 + max(int(max(pairs.source.max(), pairs.target.max())) for pairs in read(asked.batches))).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, betas=(0.9, 0.98), fused=True)

    def step(pairs: Pairs) -> None:
        """Forward, backward, clipping, update."""
        source, target = torch.from_numpy(pairs.source.T[..., None]), torch.from_numpy(pairs.target.T[..., None])
        optimizer.zero_grad(set_to_none=True)
        output, _ = model(source, target, torch.from_numpy(pairs.source_lengths))  # [B, T, H]
        scores = model.generator(output).flatten(0, 1)
        expected = target[:, 1:, 0].flatten()
        loss = functional.cross_entropy(scores, expected, ignore_index=0, label_smoothing=SMOOTHING, reduction="sum")
        (loss / pairs.target_lengths.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), NORM)
        optimizer.step()

    serve(asked.batches, step)
