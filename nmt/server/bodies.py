"""What requests say: JSON, forms and queries, read with bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from nmt.server.errors import Refused

_MOST_FIELDS: Final = 100

Fields = Mapping[str, Any]
"""What a request says, by name: texts of forms and queries, anything of JSON, `UploadFile` of forms with files."""


async def read_fields(request: Request, most: int, seconds: float) -> Fields:
    """Read what a request says.

    Args:
        request: The request.
        most: Bytes that its body may have.
        seconds: In which it is to come.

    Raises:
        Refused: It says nothing that can be read, or too much, or says it too slowly.
    """
    if request.method == "GET":
        return _of_query(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or len(length) > 18 or int(length) > most:
        raise too_large(most)
    try:
        async with asyncio.timeout(seconds):
            if kind == "multipart/form-data":
                return {**_of_query(request), **await _form(request, most)}
            body = await _read(request, most)
    except TimeoutError:
        raise Refused(408, f"Invalid request: expected all of it within {seconds:g} seconds") from None
    except ClientDisconnect:
        raise Refused(400, "Invalid request: its end is missing") from None
    if kind == "application/json" or kind.endswith("+json"):
        return _of_json(body)
    if kind in ("", "application/x-www-form-urlencoded"):
        return {**_of_query(request), **_pairs(body)}
    raise Refused(415, "Invalid request: expected application/json, application/x-www-form-urlencoded or a form")


def too_large(most: int) -> Refused:
    """A body has more bytes than it may have."""
    return Refused(413, f"Invalid request: expected at most {most:,} bytes")


async def _read(request: Request, most: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise too_large(most)
    return b"".join(chunks)


async def _form(request: Request, most: int) -> Fields:
    left = most
    receive = request.receive

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise too_large(most)
        return message

    bounded_request = Request(request.scope, bounded)
    try:
        form: FormData = await bounded_request.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=most)
    except HTTPException as error:
        raise Refused(400, f"Invalid request: not a form: {error.detail}") from None
    except (UnicodeError, ValueError, KeyError):
        raise Refused(400, "Invalid request: not a form in UTF-8") from None
    return {name: form[name] for name in form}


def _of_json(body: bytes) -> Fields:
    try:
        found = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except (ValueError, RecursionError):
        raise Refused(400, "Invalid JSON format: expected an object in UTF-8, not nested deeply") from None
    if not isinstance(found, dict):
        raise Refused(400, f"Invalid JSON format: expected an object, got {_kind(found)}")
    return found


def _of_query(request: Request) -> Fields:
    return _pairs(request.scope["query_string"])


def _pairs(text: bytes) -> Fields:
    try:
        pairs = parse_qsl(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Refused(400, f"Invalid request: expected at most {_MOST_FIELDS} fields in UTF-8, URL-encoded") from None
    return dict(reversed(pairs))  # of several of a name the first


def text_of(fields: Fields, name: str, default: str | None = None) -> str:
    """Return a parameter that is a text.

    Raises:
        Refused: It is missing, or no text.
    """
    value = fields.get(name)
    if value is None or value == "":
        if default is None:
            raise Refused.missing(name)
        return default
    if not isinstance(value, str):
        raise Refused(400, f"Invalid request: expected a text as {name}, got {_kind(value)}")
    return value


def texts_of(fields: Fields, name: str) -> tuple[list[str], bool]:
    """Return a parameter that is a text or a list of texts, and whether it is a list.

    Raises:
        Refused: It is missing, or neither.
    """
    value = fields.get(name)
    if value is None or value in ("", []):
        raise Refused.missing(name)
    if isinstance(value, str):
        return [value], False
    if not isinstance(value, list):
        raise Refused(400, f"Invalid request: expected a text or a list of texts as {name}, got {_kind(value)}")
    for each in value:
        if not isinstance(each, str):
            raise Refused(400, f"Invalid request: expected a list of texts as {name}, got {_kind(each)} in it")
    return value, True


def count_of(fields: Fields, name: str) -> int:
    """Return a parameter that is a whole number from 0; 0 if it is missing.

    Raises:
        Refused: It is something else.
    """
    value = fields.get(name)
    if value is None or value == "":
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise Refused(400, f"Invalid request: expected a whole number from 0 as {name}, got {_kind(value)}")


def flag_of(fields: Fields, name: str) -> bool:
    """Return a parameter that is true or false; false if it is missing.

    Raises:
        Refused: It is something else.
    """
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    if value in ("", "0", "false", "1", "true"):
        return value in ("1", "true")
    raise Refused(400, f"Invalid request: expected true or false as {name}, got {_kind(value)}")


def _kind(value: object) -> str:
    """What something is called in JSON."""
    if isinstance(value, UploadFile):
        return "a file"
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
