"""Recurrent neural machine translation.

    import nmt

    translator = nmt.Translator.load("my-model")
    translator.translate(["Ein Satz.", "Noch einer."])

Importing the package imports nothing heavy, and translating on the CPU needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmt.decoding.translator import Translator

__version__: str
__all__ = ["Translator", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Translator":
        from nmt.decoding.translator import Translator  # noqa: PLC0415

        return Translator
    if name == "__version__":  # reading package metadata takes longer than the rest of the import
        from nmt.values import version  # noqa: PLC0415

        return version()
    raise AttributeError(f"module 'nmt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
