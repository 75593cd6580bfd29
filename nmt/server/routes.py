"""What a service tells of itself, by the names and shapes of LibreTranslate's API."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from nmt.documents.formats import FORMATS
from nmt.server.answers import json_answer
from nmt.server.context import context_of
from nmt.server.errors import Refused
from nmt.server.service import AUTO

router = APIRouter()

_TYPING: int = 300  # milliseconds of rest after which a page translates what was typed


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health() -> Response:
    """Tell that the service is there."""
    return json_answer({"status": "ok"})


@router.post("/languages", include_in_schema=False)  # as Argos' client asks
@router.get("/languages")
async def languages(request: Request) -> Response:
    """List the languages, and to which each is translated."""
    return json_answer([each._asdict() for each in context_of(request).service.languages.all])


@router.get("/frontend/settings")
async def settings(request: Request) -> Response:
    """Tell what a page needs to know."""
    context = context_of(request)
    known = context.service.languages.all
    first = next((each for each in known if len(each.targets) > 1), None)
    other = next((code for code in first.targets if code != first.code), "") if first else ""
    return json_answer(
        {
            "charLimit": context.options.limits.characters,
            "frontendTimeout": _TYPING,
            "apiKeys": context.admission.has_keys,
            "keyRequired": context.admission.needs_key,
            "suggestions": False,
            "filesTranslation": True,
            "supportedFilesFormat": [suffix for each in FORMATS for suffix in each.suffixes],
            "language": {
                "source": {"code": AUTO, "name": "Auto Detect"},
                "target": {"code": other, "name": next((each.name for each in known if each.code == other), other)},
            },
        }
    )


@router.post("/suggest")
async def suggest() -> Response:
    """Refuse a better translation: nothing is kept of what users send."""
    raise Refused(403, "Suggestions are disabled on this server.")


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Tell the numbers of the service to Prometheus."""
    context = context_of(request)
    if not context.options.metrics or context.options.metrics_at is not None:
        raise Refused(404, "Not Found")
    return Response(context.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")
