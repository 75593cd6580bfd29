"""Which of the served languages a text is in, by py3langid: byte n-grams and naive Bayes, nothing of it downloaded.

Source:
    Lui and Baldwin 2012, langid.py: An Off-the-shelf Language Identification Tool.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from nmt.extras import MissingError
from nmt.languages import folded
from nmt.process import give_back_memory

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_LOOKED_AT: Final = 2_000  # characters: more hardly change the answer, and each takes a microsecond
_SAYS_NOTHING: Final = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+|[\d_]+")
_OTHER_NAMES: Final = {"nb": "no", "iw": "he", "in": "id", "ji": "yi", "fil": "tl", "cmn": "zh", "arb": "ar"}
"""What py3langid calls languages that others call so."""


class Detector:
    """Tells the language of texts. Any thread may ask.

    Its model (60 MB) is read when it is first needed, in about a second, or by `prepare`.

    Args:
        languages: Codes of those that may be told; of `pt-BR` the `pt` is looked at alone.
    """

    def __init__(self, languages: Iterable[str]) -> None:
        self.languages = tuple(dict.fromkeys(languages))
        """Codes, in the order in which they were given."""
        self._lock = threading.Lock()
        self._identifier: LanguageIdentifier | None = None
        self._codes: dict[str, list[str]] = {}  # of the languages, by py3langid's name

    def detect(self, text: str) -> list[tuple[str, float]]:
        """Tell which language a text is in.

        Args:
            text: Plain text; its first 2,000 characters are looked at.

        Returns:
            The languages and how sure that is, from 0 to 1, in all 1, the surest first; among these are only those that
            were given, so that a text in another one is taken for the nearest. Empty for a text without letters, or if
            none of the languages is known to py3langid. Codes of one language, such as pt and pt-BR, share.

        Raises:
            MissingError: py3langid is not installed.
        """
        said = _SAYS_NOTHING.sub(" ", text[:_LOOKED_AT])
        if not any(map(str.isalpha, said)):
            return []
        if len(self.languages) == 1:
            return [(self.languages[0], 1.0)]
        identifier = self.prepare()
        if not self._codes:
            return []
        found = [
            (code, score / len(codes))
            for name, score in identifier.rank(said)
            for codes in [self._codes[name]]
            for code in codes
        ]
        return sorted(found, key=lambda each: -each[1])

    def prepare(self) -> LanguageIdentifier:
        """Read what detection needs, so that the first answer need not wait for it.

        Raises:
            MissingError: py3langid is not installed.
        """
        with self._lock:
            if self._identifier is None:
                self._identifier = self._load()
            return self._identifier

    def _load(self) -> LanguageIdentifier:
        """Read the model of all languages, and keep those that may be told."""
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415
        except ImportError:
            raise MissingError(
                'language detection needs py3langid, which is not installed: pip install "nmt-rnn[serve]"'
            ) from None
        whole = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        known = Counter(whole.nb_classes)
        for code in self.languages:
            if (name := _name_of(code, known)) is not None:
                self._codes.setdefault(name, []).append(code)
        columns = [number for number, name in enumerate(whole.nb_classes) if name in self._codes]
        identifier = LanguageIdentifier(  # without the columns of others, which are most of its memory
            whole.nb_ptc[:, columns].copy(),
            whole.nb_pc[columns].copy(),
            [whole.nb_classes[number] for number in columns],
            whole.tk_nextmove,
            whole.tk_output,
            norm_probs=True,
            tk_row=whole.tk_row,
        )
        del whole
        give_back_memory()
        return identifier


def _name_of(code: str, known: Counter[str]) -> str | None:
    """Return py3langid's name of a language; None if it does not know it."""
    language = folded(code).partition("-")[0]
    return next((name for name in (language, _OTHER_NAMES.get(language, "")) if name in known), None)
