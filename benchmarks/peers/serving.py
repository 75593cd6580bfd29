"""How `benchmarks/translation.py` talks to a system: lines of JSON, between processes with environments of their own.

A system's script starts with `serve(load)`. It then answers requests such as {"sentences": 64, "beam": 5, "seconds": 1}
with the seconds of a sentence, and ends with its input. Nothing but Python's own library is needed here.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable

LENGTH = 16
"""Subwords of each source, and steps of the decoder for each translation, whatever a model thinks of it."""

System = Callable[[list[list[str]], int], object]
"""(sources as tokens, beam size) -> anything: translates all of them, to LENGTH tokens each."""


def options() -> argparse.Namespace:
    """Read the command line that all systems have."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="what the system's `make` left, or a model folder")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--threads", type=int, default=1, help="in one product")
    parser.add_argument("--workers", type=int, default=1, help="side by side, each with sentences of its own")
    parser.add_argument("--shortlist", type=int, default=0, help="of ours")
    parser.add_argument("--make", action="store_true", help="make the model, and do nothing else")
    parser.add_argument("--subwords", help="the SentencePiece model to make one of, where text is what is translated")
    parser.add_argument("--once", action="store_true", help="translate one sentence, and do nothing else")
    return parser.parse_args()


def sources(words: list[str], count: int) -> list[list[str]]:
    """Choose sources at random, always the same ones."""
    chosen = random.Random(1)
    return [[chosen.choice(words) for _ in range(LENGTH)] for _ in range(count)]


def serve(system: System, words: list[str], once: bool = False) -> None:
    """Answer the requests of stdin on stdout, which is kept from whatever else the system may print."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if once:
        system(sources(words, 1), 5)
        return
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        lines = sources(words, max(64, request["sentences"]))
        batches = [lines[at : at + request["sentences"]] for at in range(0, len(lines), request["sentences"])]
        system(batches[0], request["beam"])  # whoever ran before has left other things in the caches
        calls, start = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - start < request["seconds"]:
            system(batches[calls % len(batches)], request["beam"])
            calls += 1
        seconds = (time.perf_counter() - start) / (calls * request["sentences"])
        print(json.dumps({"seconds": seconds}), file=answers, flush=True)
