"""A character language model, trained by truncated backpropagation through time, that writes a few lines in the end.

    python examples/character_model.py [--minutes 0.5] [--memory store]

The text is made here: who gives what to whom. Windows of 64 characters go through the layers one after the other; the
state is carried from window to window, its history is not (`layer.windows`). Writing uses a stepper, which keeps the
weights packed. The grammar itself chooses among 4 verbs, 5 things and 30 pairs of people: about 0.25 bits a character.
"""

from __future__ import annotations

import argparse
import math
import random
import time

import torch
from torch import Tensor, nn

import rnn_engine

PEOPLE = ("anna", "boris", "the old captain", "a tired waiter", "my sister", "the judge")
VERBS = ("gives", "sells", "shows", "brings")
THINGS = ("a letter", "three apples", "the red key", "an empty box", "some bread")
BATCH, WINDOW, HIDDEN = 16, 64, 192


def make_text(sentences: int) -> str:
    """That many random sentences, one a line."""
    rng = random.Random(1)
    lines = []
    for _ in range(sentences):
        giver, taker = rng.sample(PEOPLE, 2)
        lines.append(f"{giver} {rng.choice(VERBS)} {rng.choice(THINGS)} to {taker}.\n")
    return "".join(lines)


class CharacterModel(nn.Module):
    """Characters, one-hot, in; scores of the next character out."""

    def __init__(self, alphabet: str, memory: str) -> None:
        super().__init__()
        self.alphabet = alphabet
        self.layers = rnn_engine.LSTM(len(alphabet), HIDDEN, num_layers=2, memory=memory)
        self.output = nn.Linear(HIDDEN, len(alphabet))

    def one_hot(self, ids: Tensor) -> Tensor:
        """Ids [...] as vectors [..., V]."""
        return nn.functional.one_hot(ids, len(self.alphabet)).float()


def train(model: CharacterModel, ids: Tensor, minutes: float) -> float:
    """Passes over the text [T, B] until the time is over; returns the last windows' bits a character."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    inputs, targets = model.one_hot(ids[:-1]), torch.split(ids[1:], WINDOW)
    end, window, bits = time.monotonic() + 60 * minutes, 0, math.log2(len(model.alphabet))
    while time.monotonic() < end:
        for (hidden, _), target in zip(model.layers.windows(inputs, WINDOW), targets, strict=True):
            loss = nn.functional.cross_entropy(model.output(hidden).flatten(0, 1), target.flatten())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            window += 1
            bits = 0.95 * bits + 0.05 * loss.item() / math.log(2)
            if window % 50 == 0:
                print(f"window {window}: {bits:.2f} bits a character")
            if time.monotonic() > end:
                break
    return bits


@torch.no_grad()
def write(model: CharacterModel, characters: int) -> str:
    """Text that the model makes up, beginning after a line's end."""
    stepper, state, text = model.layers.stepper(), None, "\n"
    for _ in range(characters):
        last = torch.tensor([model.alphabet.index(text[-1])])
        hidden, state = stepper(model.one_hot(last), state)
        text += model.alphabet[int(torch.multinomial(model.output(hidden)[0].softmax(0), 1))]
    return text.strip()


def main() -> None:
    """Makes the text, trains, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.5, help="time to train")
    parser.add_argument("--memory", default="store", help="kept for backward: store, recompute, 8MiB, ...")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    text = make_text(4000)
    alphabet = "".join(sorted(set(text)))
    ids = torch.tensor([alphabet.index(character) for character in text])
    ids = ids[: len(ids) // BATCH * BATCH].view(BATCH, -1).T.contiguous()  # [T, B]: each column goes on reading
    model = CharacterModel(alphabet, arguments.memory)
    bits = train(model, ids, arguments.minutes)
    print(f"\n{bits:.2f} bits a character; the model writes:\n\n{write(model, 300)}")


if __name__ == "__main__":
    main()
