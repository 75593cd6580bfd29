"""Translating texts and telling their languages, by the names and shapes of LibreTranslate's API."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from nmt.server.answers import json_answer
from nmt.server.bodies import count_of, flag_of, text_of, texts_of
from nmt.server.context import context_of, gone_of, tell
from nmt.server.errors import Refused
from nmt.server.glossaries import glossary_of
from nmt.server.schema import DETECT, TRANSLATE
from nmt.server.service import Asked
from nmt.text.results import TextResult

router = APIRouter()

_FORMATS: Final = ("text", "html")


@router.get("/translate", include_in_schema=False)
@router.post("/translate", openapi_extra=TRANSLATE)
async def translate(request: Request) -> Response:
    """Translate a text or a list of texts."""
    context = context_of(request)
    limits = context.options.limits
    fields = await context.fields(request)
    texts, is_list = texts_of(fields, "q")
    source, target = text_of(fields, "source"), text_of(fields, "target")
    form = text_of(fields, "format", "text")
    if form not in _FORMATS:
        raise Refused(400, f"{form[:40]} format is not supported")
    _check_size(texts, is_list, limits.texts, limits.characters)
    alternatives, details = min(count_of(fields, "alternatives"), limits.alternatives), flag_of(fields, "details")
    glossary = await glossary_of(fields, source, target)
    asked = Asked(texts, source, target, form, alternatives, details, glossary)
    found = await context.service.translate(asked, gone_of(request))
    answer: dict[str, Any] = {"translatedText": [each.text for each in found.results]}
    if found.detected is not None:
        answer["detectedLanguage"] = [each._asdict() for each in found.detected]
    if alternatives:
        answer["alternatives"] = [each.alternatives[:alternatives] for each in found.results]
    if details:
        answer["details"] = [_details(each) for each in found.results]
    tell(request, texts=len(texts), characters=sum(map(len, texts)))
    return json_answer(answer if is_list else {name: each[0] for name, each in answer.items()})


@router.get("/detect", include_in_schema=False)
@router.post("/detect", openapi_extra=DETECT)
async def detect(request: Request) -> Response:
    """Tell which languages a text may be in, the surest first."""
    context = context_of(request)
    fields = await context.fields(request)
    texts, _ = texts_of(fields, "q")
    _check_size(texts, True, context.options.limits.texts, context.options.limits.characters)
    return json_answer([each._asdict() for each in await context.service.detect("\n".join(texts))])


def _check_size(texts: list[str], is_list: bool, most_texts: int, most_characters: int) -> None:
    for size, limit in ((len(texts) if is_list else 1, most_texts), (sum(map(len, texts)), most_characters)):
        if size > limit:
            raise Refused(400, f"Invalid request: request ({size}) exceeds text limit ({limit})")


def _details(result: TextResult) -> list[dict[str, Any]]:
    """Tell of the lines of a text what a page shows."""
    return [
        {
            "source": line.source,
            "text": line.text,
            "status": line.status,
            "alignment": line.alignment,
            "missing": line.missing,
        }
        for line in result.lines
    ]
