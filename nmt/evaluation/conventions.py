"""BLEU as papers report it that do not score plain text: in lower case, and of Moses' tokens; needs sacremoses."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU
from sacremoses import MosesTokenizer

from nmt.evaluation.scores import tokenizer


def in_lower_case(
    hypotheses: Sequence[str], references: Sequence[str], language: str | None = None
) -> list[tuple[float, str]]:
    """Score translations by conventions that lie above the usual score, to compare with papers that use them alone.

    Args:
        hypotheses: Translations, detokenised.
        references: What they should say, line by line.
        language: Language code, for both tokenisers.

    Returns:
        BLEU, 0 to 100, and how it was computed: of text in lower case, then of text in lower case that Moses'
        tokeniser has cut, as `multi-bleu` scored it.

    Source: Koehn et al. 2007 (Moses).
    """
    moses = MosesTokenizer((language or "en").lower().replace("_", "-").split("-")[0])
    cut = [[moses.tokenize(line, return_str=True) for line in lines] for lines in (hypotheses, references)]
    plain = BLEU(lowercase=True, tokenize=tokenizer(language, references))
    tokens = BLEU(lowercase=True, tokenize="none", force=True)
    found = [plain.corpus_score(hypotheses, [references]).score, tokens.corpus_score(cut[0], [cut[1]]).score]
    version = importlib.metadata.version("sacremoses")
    return [
        (float(found[0]), str(plain.get_signature())),
        (float(found[1]), f"{tokens.get_signature()} of sacremoses {version}'s tokens"),
    ]
