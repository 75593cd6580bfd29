"""Glossaries that come with requests."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Final

from nmt.server.bodies import Fields, text_of
from nmt.server.errors import Refused
from nmt.text.glossary import Glossary, GlossaryError

_AT_ONCE: Final = 2_000  # characters that are read without another thread


async def glossary_of(fields: Fields, source: str, target: str) -> Glossary | None:
    """Return the glossary of a request, of lines or in TBX; None if it has none.

    Args:
        fields: What it says.
        source: From what it asks to translate.
        target: And to what.

    Raises:
        Refused: It is no glossary.
    """
    text = text_of(fields, "glossary", "")
    if not text:
        return None
    try:
        if len(text) <= _AT_ONCE:
            return _parsed(text, source, target)
        return await asyncio.to_thread(_parsed, text, source, target)
    except GlossaryError as error:
        raise Refused(400, f"Invalid request: glossary: {error}") from None


@lru_cache(maxsize=16)  # a page sends its own with every request
def _parsed(text: str, source: str, target: str) -> Glossary:
    return Glossary.parse(text.encode(), (source, target))
