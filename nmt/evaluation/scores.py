"""Scores that can be compared: sacreBLEU's BLEU and chrF on plain text, each with its signature."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nmt.data.scripts import script_of

_CODES: Final = {
    "zh": "zh", "zho": "zh", "chi": "zh", "cmn": "zh", "ja": "ja", "jpn": "ja", "jp": "ja", "ko": "ko", "kor": "ko",
}  # fmt: skip
"""Languages that have a tokeniser of their own, by their codes."""
_CALLS: Final = 1_000
"""Sentences that are scored before the lines that were seen are forgotten; a reference comes several times in a row."""


class EvaluationError(ValueError):
    """Translations that cannot be scored."""


@dataclass(frozen=True)
class Scores:
    """Corpus-level scores, each with the signature that says how it was computed."""

    bleu: float
    """BLEU, 0 to 100."""
    chrf: float
    """chrF2, 0 to 100."""
    bleu_signature: str
    """sacreBLEU's signature: BLEU scores compare only where it is the same."""
    chrf_signature: str
    """The same for chrF."""

    def as_dict(self) -> dict[str, float | str]:
        """Return the fields by name, ready for JSON."""
        return asdict(self)


def score(hypotheses: Sequence[str], references: Sequence[str], target_language: str | None = None) -> Scores:
    """Score translations against one reference each.

    Args:
        hypotheses: Translations, detokenised.
        references: What they should say, line by line.
        target_language: Language code, for BLEU's tokeniser (see `tokenizer`).

    Returns:
        Scores of the whole set.

    Raises:
        EvaluationError: There is nothing to score, or the numbers of lines differ.

    Source:
        Papineni et al. 2002 (BLEU); Popovic 2015 (chrF); Post 2018 (sacreBLEU).
    """
    if len(hypotheses) != len(references):
        raise EvaluationError(
            f"expected a translation for each reference, got {len(hypotheses)} translations "
            f"and {len(references)} references"
        )
    if not references:
        raise EvaluationError("expected lines to score, got none")
    bleu, chrf = BLEU(tokenize=tokenizer(target_language, references)), CHRF()
    found_bleu = bleu.corpus_score(hypotheses, [references])
    found_chrf = chrf.corpus_score(hypotheses, [references])
    _forget_lines()
    return Scores(
        bleu=float(found_bleu.score),
        chrf=float(found_chrf.score),
        bleu_signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
    )


def _forget_lines() -> None:
    """Let go of what sacreBLEU's tokenisers remember, 65,536 lines each, which a training has after a while."""
    modules = [module for name, module in sys.modules.items() if name.startswith("sacrebleu.tokenizers.")]
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    for member in [member for kind in kinds for member in vars(kind).values()]:
        if hasattr(member, "cache_clear"):
            member.cache_clear()


def sentence_scorer(references: Iterable[str], language: str | None = None) -> Callable[[str, str], float]:
    """Make a function that scores one translation, for choosing among several of one source: no score of a set.

    Args:
        references: Some text of the language, for BLEU's tokeniser (see `tokenizer`).
        language: Language code.

    Returns:
        (translation, reference) -> BLEU of as many words in a row as the translation has, at most four; 0 to 100.
    """
    bleu = BLEU(tokenize=tokenizer(language, references), effective_order=True)
    calls = itertools.count(1)

    def scored(translation: str, reference: str) -> float:
        if next(calls) % _CALLS == 0:
            _forget_lines()
        return float(bleu.sentence_score(translation, [reference]).score)

    return scored


def tokenizer(language: str | None, references: Iterable[str]) -> str:
    """Choose sacreBLEU's tokeniser.

    Chinese, Japanese and Korean have their own; without the dictionary that Japanese or Korean needs, characters are
    counted, as they are in scripts without spaces that have no tokeniser.

    Args:
        language: Language code; one that is unknown, or of a language without a tokeniser of its own, says nothing.
        references: Their script decides then.
    """
    code = (language or "").lower().replace("_", "-").split("-")[0]
    kind = _CODES.get(code) or script_of(references)
    if kind in ("ja", "ko"):
        package = {"ja": "MeCab", "ko": "mecab_ko"}[kind]
        return f"{kind}-mecab" if importlib.util.find_spec(package) else "char"
    return {"zh": "zh", "unspaced": "char"}.get(kind or "", "13a")
