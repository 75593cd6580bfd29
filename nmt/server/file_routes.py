"""Translating documents, by the names and shapes of LibreTranslate's API."""

from __future__ import annotations

import asyncio
import re
from pathlib import PurePosixPath
from urllib.parse import quote

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from nmt.documents.document import DocumentError, Languages, Limits
from nmt.documents.formats import FORMATS
from nmt.documents.translating import begin_document
from nmt.server.answers import json_answer
from nmt.server.bodies import Fields, text_of
from nmt.server.context import Context, context_of, gone_of, tell
from nmt.server.errors import Refused
from nmt.server.glossaries import glossary_of
from nmt.server.schema import TRANSLATE_FILE
from nmt.server.service import AUTO
from nmt.text.glossary import Glossary
from nmt.text.translating import TextTranslator

router = APIRouter()

_AT_A_TIME = asyncio.Semaphore(2)  # a document that is taken apart takes memory
_LONGEST_NAME = 150
_LOOKED_AT = 200  # lines of a document whose language is to be told


@router.post("/translate_file", openapi_extra=TRANSLATE_FILE)
async def translate_file(request: Request) -> Response:
    """Translate a document, and tell where the new one can be fetched."""
    context = context_of(request)
    limits = context.options.limits
    fields = await context.fields(request, limits.file)
    try:
        name, content = await _given(fields)
    finally:
        await request.close()
    source, target = text_of(fields, "source"), text_of(fields, "target")
    glossary = await glossary_of(fields, source, target)
    async with _AT_A_TIME:
        return await _translated(context, request, name, content, Languages(source, target), glossary)


async def _given(fields: Fields) -> tuple[str, bytes]:
    """Read the document of a form."""
    file = fields.get("file")
    if not isinstance(file, UploadFile):
        raise Refused.missing("file")
    try:
        name = PurePosixPath((file.filename or "").replace("\\", "/")).name
        if not name:
            raise Refused(400, "Invalid request: empty file")
        return name, await file.read()
    finally:
        await file.close()


async def _translated(
    context: Context, request: Request, name: str, content: bytes, languages: Languages, glossary: Glossary | None
) -> Response:
    source, target = languages
    suffix = PurePosixPath(name).suffix.lower()
    format = next((each for each in FORMATS if suffix in each.suffixes), None)
    if format is None:
        raise Refused(400, "Invalid request: file format not supported")
    limits = context.options.limits
    size, service, detected = Limits(size=limits.file), context.service, None
    try:
        if source == AUTO:
            service.languages.find(target)
            unknown = await asyncio.to_thread(begin_document, content, name, TextTranslator(target=target), size)
            detected = await service.language_of("\n".join(unknown.lines[:_LOOKED_AT]))
            source = detected.language
        direction = service.languages.direction(source, target)
        if direction[0] == direction[1]:
            raise Refused(400, f"{source[:40]} is the language of the file already")
        texts = TextTranslator(*direction)
        job = await asyncio.to_thread(begin_document, content, name, texts, size, glossary)
    except DocumentError as error:
        raise Refused(400, f"Invalid request: {error}") from None
    found = await context.service.translate_lines(
        direction, job.lines, job.settings(), gone_of(request), limits.file_seconds
    )
    result = await asyncio.to_thread(job.finish, found)
    token = context.shelter.put(_renamed(name, direction[1]), format.media_type, result.content)
    tell(request, lines=len(job.lines), bytes=len(content))
    report = result.report
    answer = {
        "translatedFileUrl": str(request.url_for("download_file", token=token)),
        "statuses": report.statuses,
        "left": [{"what": each.what, "why": each.why, "count": each.count} for each in report.left],
        "missing": report.missing,
    }
    return json_answer(answer if detected is None else {**answer, "detectedLanguage": detected._asdict()})


@router.get("/download_file/{token}")
async def download_file(request: Request, token: str) -> Response:
    """Send a translated document."""
    kept = context_of(request).shelter.get(token)
    if kept is None:
        raise Refused(404, "Not Found: there is no such file, or no more")
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", kept.name)
    headers = {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(kept.name, safe='')}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
        "cache-control": "no-store",
    }
    return Response(kept.content, headers=headers, media_type=kept.media_type)


def _renamed(name: str, target: str) -> str:
    """Return the name of a document in another language."""
    path = PurePosixPath(name)
    return f"{path.stem[:_LONGEST_NAME]}.{target}{path.suffix}"
