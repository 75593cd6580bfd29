"""Recurrent neural machine translation.

    import nmt

    translator = nmt.Translator.load("my-model")
    translator.translate(["Ein Satz.", "Noch einer."])
    nmt.TextTranslator.for_model(translator).translate(translator, ["<p>Ein <b>Satz</b>.</p>"], "html")

Importing the package imports nothing heavy, and translating on the CPU needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmt.decoding.translator import Translator
    from nmt.text.glossary import Glossary
    from nmt.text.translating import TextTranslator

__version__: str
__all__ = ["Glossary", "TextTranslator", "Translator", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Translator":
        from nmt.decoding.translator import Translator  # noqa: PLC0415

        return Translator
    if name == "TextTranslator":
        from nmt.text.translating import TextTranslator  # noqa: PLC0415

        return TextTranslator
    if name == "Glossary":
        from nmt.text.glossary import Glossary  # noqa: PLC0415

        return Glossary
    if name == "__version__":  # reading package metadata takes longer than the rest of the import
        from nmt.values import version  # noqa: PLC0415

        return version()
    raise AttributeError(f"module 'nmt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
