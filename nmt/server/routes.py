"""What is asked of a service, by the names and shapes of LibreTranslate's API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from nmt.server.answers import json_answer
from nmt.server.bodies import count_of, read_fields, text_of, texts_of
from nmt.server.errors import Refused
from nmt.server.protocol import GONE
from nmt.server.service import Asked, Gone, Service

_FORMATS: Final = ("text", "html")


def routes(service: Callable[[], Service]) -> APIRouter:
    """Make the routes of a service, which is there when the first request comes."""
    router = APIRouter()

    @router.get("/health")
    async def health() -> Response:
        """Tell that the service is there."""
        return json_answer({"status": "ok"})

    @router.get("/languages")
    async def languages() -> Response:
        """List the languages, and to which each is translated."""
        return json_answer([each._asdict() for each in service().languages.all])

    @router.api_route("/translate", methods=["GET", "POST"])
    async def translate(request: Request) -> Response:
        """Translate a text or a list of texts."""
        here = service()
        limits = here.options.limits
        fields = await read_fields(request, limits.body, limits.slow)
        texts, is_list = texts_of(fields, "q")
        source, target = text_of(fields, "source"), text_of(fields, "target")
        form = text_of(fields, "format", "text")
        if form not in _FORMATS:
            raise Refused(400, f"{form[:40]} format is not supported")
        check_size(texts, is_list, limits.texts, limits.characters)
        alternatives = min(count_of(fields, "alternatives"), limits.alternatives)
        asked = Asked(texts, source, target, form, alternatives)
        found = await here.translate(asked, gone_of(request))
        answer: dict[str, Any] = {"translatedText": [each.text for each in found] if is_list else found[0].text}
        if alternatives:
            others = [each.alternatives[:alternatives] for each in found]
            answer["alternatives"] = others if is_list else others[0]
        return json_answer(answer)

    return router


def check_size(texts: list[str], is_list: bool, most_texts: int, most_characters: int) -> None:
    """Raise Refused if there are too many texts, or characters."""
    for size, limit in ((len(texts) if is_list else 1, most_texts), (sum(map(len, texts)), most_characters)):
        if size > limit:
            raise Refused(400, f"Invalid request: request ({size}) exceeds text limit ({limit})")


def gone_of(request: Request) -> Gone:
    """Return what sets the function that is called when the client of a request has left."""

    def set_gone(function: Callable[[], object]) -> None:
        request.scope[GONE] = function

    return set_gone
