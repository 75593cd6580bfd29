"""How a service answers: JSON, and errors as clients of LibreTranslate's API expect them."""

from __future__ import annotations

import math
from typing import Any, Final

from pydantic_core import to_json
from starlette.responses import Response

from nmt.server.errors import Refused

_JSON: Final = "application/json"
_UNREAD: Final = (408, 413)  # the rest of the request is not waited for


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON in UTF-8."""
    return Response(to_json(content), status, headers, _JSON)


def error_answer(error: Refused) -> Response:
    """Answer that something is not done: `{"error": "..."}`."""
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    if error.status in _UNREAD:
        headers["connection"] = "close"
    return json_answer({"error": error.message}, error.status, headers)
