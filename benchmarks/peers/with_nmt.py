"""Ours: a model folder that `nmt train` left, from ids to ids."""

from __future__ import annotations

from serving import LENGTH, System, options, serve

from nmt import Translator
from nmt.decoding.hypotheses import SearchOptions


def load(folder: str, precision: str, threads: int, shortlist: int) -> tuple[System, list[str]]:
    """Read a model; also gives ids of its sources, as text."""
    network = Translator.load(folder, threads=threads, precision=precision, shortlist=shortlist).network

    def translate(lines: list[list[str]], beam: int) -> None:
        # Eos is forced at the last step, and comes at no other.
        search = SearchOptions(beam_size=beam, forbidden=(0, 1, 2, 3))
        sources = [[int(token) for token in line] for line in lines]
        found = network.search(sources, [LENGTH] * len(lines), search, 64, None)
        assert all(len(best[0].tokens) == LENGTH - 1 for best in found)

    return translate, [str(number) for number in range(4, network.vocabulary_sizes[0])]


if __name__ == "__main__":
    asked = options()
    serve(*load(asked.model, asked.precision, asked.workers, asked.shortlist), asked.once)
