"""Whether the search in native code finds what the search that can be read finds, on as many sentences as one likes.

    python benchmarks/native_search.py MODEL SOURCE [--lines N] [--beam-size K ...] [--options JSON]

Both search in float32 by sums of another order, so that of two translations as good as equal either may find the other
one: within 1e-5 of the score, as the network thinks of both in float64. Any other difference is a defect, is printed,
and makes the exit code 1. The search that can be read needs torch, and its time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from nmt.data.text import read_lines
from nmt.decoding.hypotheses import Hypothesis, SearchOptions
from nmt.decoding.model_network import ModelNetwork
from nmt.decoding.network import Ids
from nmt.decoding.scoring import log_probabilities
from nmt.decoding.searching import Searcher
from nmt.decoding.translator import Translator
from nmt.model.seq2seq import Seq2Seq

TIE: Final = 1e-5  # of scores: log-probabilities after length normalisation


def main() -> None:
    """Search by both, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--beam-size", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--options", type=json.loads, default={}, help="More of SearchOptions, as a JSON object.")
    chosen = parser.parse_args()
    translator = Translator.load(chosen.model, threads=1)
    config, network = ModelNetwork.load(chosen.model, torch.device("cpu"), 1, reference=True)
    lines = [line for line, _ in zip(read_lines(chosen.source), range(chosen.lines), strict=False)]
    sources = [ids for ids in translator.source_subwords.encode_lines(lines) if ids]
    wrong = 0
    for size in chosen.beam_size:
        options = SearchOptions(beam_size=size, **chosen.options)
        found, seconds = [], []
        for each in (translator.network, network):
            started = time.process_time()
            found.append(Searcher(each, config.decoding).search(sources, options, config.decoding.batch_size))
            seconds.append(time.process_time() - started)
        wrong += _tell(network.model, sources, found[0], found[1], options)
        print(f"beam {size}: CPU {seconds[0]:.1f} s, of the search that can be read {seconds[1]:.1f} s")
    if wrong:
        raise SystemExit(1)


def _tell(
    model: Seq2Seq,
    sources: Sequence[Ids],
    ours: Sequence[Sequence[Hypothesis]],
    theirs: Sequence[Sequence[Hypothesis]],
    options: SearchOptions,
) -> int:
    """Print how many hypotheses are the same, and return how many differ without being as good."""
    others, count, largest = [], 0, 0.0
    for source, mine, its in zip(sources, ours, theirs, strict=True):
        count += max(len(mine), len(its))
        if len(mine) != len(its):
            raise SystemExit(f"{list(source)}: found {len(mine)} translations, expected {len(its)}")
        for our, its_own in zip(mine, its, strict=True):
            if our.tokens == its_own.tokens:
                largest = max(largest, abs(our.score - its_own.score))
            else:
                others.append((source, our.tokens, its_own.tokens))
    exact = model.double()
    scores = [
        [
            value / float(len(tokens) + 1) ** options.length_penalty
            for value, tokens in zip(
                log_probabilities(exact, [source for source, *_ in others], tokens), tokens, strict=True
            )
        ]
        for tokens in ([here for _, here, _ in others], [there for _, _, there in others])
    ]
    model.float()
    apart = [here - there for here, there in zip(*scores, strict=True)]
    wrong = [(pair, by) for pair, by in zip(others, apart, strict=True) if abs(by) > TIE]
    print(
        f"beam {options.beam_size}: {len(sources):,} sentences, {count:,} hypotheses: {count - len(others):,} the same "
        f"(scores within {largest:.1e}), {len(others) - len(wrong):,} as good, {len(wrong):,} others"
    )
    for (source, here, there), by in wrong:
        print(f"  {list(source)}: score {by:+.2e}\n    {list(here)}\n    {list(there)}")
    return len(wrong)


if __name__ == "__main__":
    main()
