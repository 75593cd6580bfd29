"""What the second search and the statuses are worth: scores with and without, and how well each status tells bad lines.

    python benchmarks/quality_checks.py MODEL SOURCE REFERENCE [--bad CHRF] [--beam-size K] [--pairs]

Use validation text: what was chosen on a text is not measured on it. A line is bad if the chrF of its translation is
below `--bad`; 100 makes all bad that are not exactly the reference. `--pairs` puts each two lines on one.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sacrebleu.metrics.chrf import CHRF

from nmt.data.text import read_pairs
from nmt.decoding.translation import Status, Translation, TranslationSettings
from nmt.decoding.translator import Translator
from nmt.evaluation import score


def main() -> None:
    """Translate with and without, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--bad", type=float, default=100.0)
    parser.add_argument("--beam-size", type=int)
    parser.add_argument("--lines", type=int)
    parser.add_argument("--pairs", action="store_true")
    chosen = parser.parse_args()
    sources, references = zip(*list(read_pairs(chosen.source, chosen.reference))[: chosen.lines], strict=True)
    translator = Translator.load(chosen.model, threads=1)
    settings = TranslationSettings(beam_size=chosen.beam_size)
    if chosen.pairs:
        _two_a_line(translator, settings, sources, references)
        return
    translator.translate(sources[:20])  # what is done once is not measured
    found, texts = [], []
    for retry in (False, True):
        started = time.process_time()
        found = translator.translate_detailed(sources, replace(settings, retry=retry))
        seconds = time.process_time() - started
        texts.append([each.text for each in found])
        bleu = score(texts[-1], references, translator.config.data.target_language).bleu
        exact = sum(text == reference for text, reference in zip(texts[-1], references, strict=True))
        print(f"retry {retry!s:<6}exact {exact:>5} of {len(found):,}  BLEU {bleu:6.2f}  CPU {seconds:6.1f} s")
    _tell_statuses(found, references, chosen.bad)
    for source, reference, before, each in zip(sources, references, texts[0], found, strict=True):
        if each.status in (Status.RETRIED, Status.FAILED):
            print(f"{each.status}: {source}\n    {before}\n    {each.text}\n    {reference}")


def _tell_statuses(found: Sequence[Translation], references: Sequence[str], bad: float) -> None:
    metric = CHRF()
    is_bad = [
        each.text != reference and (bad >= 100 or metric.sentence_score(each.text, [reference]).score < bad)
        for each, reference in zip(found, references, strict=True)
    ]
    lines, wrong = (Counter[Status]() for _ in range(2))
    for each, here in zip(found, is_bad, strict=True):
        lines[each.status] += 1
        wrong[each.status] += here
    total = max(1, sum(is_bad))
    for status, count in lines.most_common():
        share, of_bad = wrong[status] / count, wrong[status] / total
        print(f"{status:<10}{count:>6} lines, {wrong[status]:>5} bad: {share:6.1%} of these, {of_bad:6.1%} of all bad")


def _two_a_line(
    translator: Translator, settings: TranslationSettings, sources: Sequence[str], references: Sequence[str]
) -> None:
    """Compare lines of two sentences, whole and one by one, with the sentences by themselves."""
    doubled = [" ".join(sources[at : at + 2]) for at in range(0, len(sources) - 1, 2)]
    expected = [" ".join(references[at : at + 2]) for at in range(0, len(references) - 1, 2)]
    alone = [each.text for each in translator.translate_detailed(sources, settings)]
    joined = [" ".join(alone[at : at + 2]) for at in range(0, len(alone) - 1, 2)]
    language = translator.config.data.target_language
    print(f"{'by themselves':<16}{'':<24}BLEU {score(joined, expected, language).bleu:6.2f}")
    for name, sentences in (("whole", False), ("one by one", True)):
        found = translator.translate_detailed(doubled, replace(settings, sentences=sentences))
        short = sum(len(each.text) < 0.65 * len(text) for each, text in zip(found, joined, strict=True))
        statuses = dict(Counter(each.status.value for each in found))
        bleu = score([each.text for each in found], expected, language).bleu
        length = sum(len(each.text) for each in found) / sum(map(len, joined))
        print(f"{name:<16}length {length:6.3f}, short {short:>4}  BLEU {bleu:6.2f}  {statuses}")


if __name__ == "__main__":
    main()
