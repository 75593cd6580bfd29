"""Reads digit strings off noisy signals: a bidirectional LSTM under torch's CTC loss.

    python examples/ctc_recogniser.py [--minutes 0.7]

Nobody says where in a signal a digit begins: the loss sums over all ways to place the string. The signals are made
here: each digit is a curve of its own, stretched at random, with pauses and noise around it. They differ in length, so
the layers get a padded batch with `lengths`, and padding costs nothing. Prints how many digits are read wrongly.

Source of the loss: Graves et al. 2006, "Connectionist temporal classification".
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

import rnn_engine

FEATURES, DIGITS, BLANK, BATCH = 8, 10, 10, 32


def make_batch(curves: Tensor, generator: torch.Generator) -> tuple[Tensor, list[int], list[list[int]]]:
    """Random strings of three to seven digits as signals.

    Args:
        curves: What each digit looks like, [10, 6, FEATURES].
        generator: Source of chance.

    Returns:
        Signals [T, B, FEATURES], zero after their ends; their lengths; the strings.
    """

    def number(least: int, most: int) -> int:
        return int(torch.randint(least, most + 1, (), generator=generator))

    signals, strings = [], []
    for _ in range(BATCH):
        strings.append([number(0, 9) for _ in range(number(3, 7))])
        pieces = [torch.zeros(number(1, 4), FEATURES)]
        for digit in strings[-1]:
            curve = curves[digit].T[None]  # [1, FEATURES, 6]
            stretched = nn.functional.interpolate(curve, size=number(4, 10), mode="linear", align_corners=True)
            pieces += [stretched[0].T, torch.zeros(number(1, 4), FEATURES)]
        signal = torch.cat(pieces)
        signals.append(signal + 0.5 * torch.randn(signal.shape, generator=generator))
    return pad_sequence(signals), [len(signal) for signal in signals], strings


class Recogniser(nn.Module):
    """Signals in, scores of the digits and of "nothing here" at every step out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = rnn_engine.LSTM(FEATURES, 64, num_layers=2, bidirectional=True)
        self.output = nn.Linear(2 * 64, DIGITS + 1)

    def forward(self, signals: Tensor, lengths: list[int]) -> Tensor:
        """Log-probabilities [T, B, 11]."""
        hidden, _ = self.layers(signals, lengths=lengths)
        scores: Tensor = self.output(hidden).log_softmax(dim=2)
        return scores


def read(scores: Tensor, length: int) -> list[int]:
    """The string of the likeliest path: repetitions are one digit, blanks are none. `scores` is [T, 11]."""
    path = torch.unique_consecutive(scores[:length].argmax(dim=1)).tolist()
    return [digit for digit in path if digit != BLANK]


def edits(said: list[int], meant: list[int]) -> int:
    """The fewest insertions, deletions and substitutions from one string to the other (Levenshtein 1966)."""
    row = list(range(len(meant) + 1))
    for i, a in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(meant, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


@torch.no_grad()
def error_rate(model: Recogniser, curves: Tensor, generator: torch.Generator) -> float:
    """Edits a digit, over new signals."""
    wrong = total = 0
    for _ in range(8):
        signals, lengths, strings = make_batch(curves, generator)
        scores = model(signals, lengths)
        for row, (length, string) in enumerate(zip(lengths, strings, strict=True)):
            wrong += edits(read(scores[:, row], length), string)
            total += len(string)
    return wrong / total


def main() -> None:
    """Trains for the time given, and tells the error rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.7, help="time to train")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    curves = torch.randn(DIGITS, 6, FEATURES, generator=generator)
    model = Recogniser()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    loss_function = nn.CTCLoss(blank=BLANK)
    end, step = time.monotonic() + 60 * arguments.minutes, 0
    while time.monotonic() < end:
        signals, lengths, strings = make_batch(curves, generator)
        targets = torch.tensor([digit for string in strings for digit in string])
        loss = loss_function(model(signals, lengths), targets, tuple(lengths), tuple(map(len, strings)))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.3f}")
    rate = error_rate(model, curves, torch.Generator().manual_seed(2))
    print(f"{rate:.1%} of the digits are read wrongly, after {step} steps")


if __name__ == "__main__":
    main()
