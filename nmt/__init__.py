"""Recurrent neural machine translation.

Importing the package imports nothing heavy: take what you need from its modules, for example
`from nmt.decoding.translator import Translator`.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":  # reading package metadata takes longer than the rest of the import
        from importlib import metadata  # noqa: PLC0415

        try:
            return metadata.version("nmt-rnn")
        except metadata.PackageNotFoundError:  # run from a source tree
            return "0+source"
    raise AttributeError(f"module 'nmt' has no attribute {name!r}")
