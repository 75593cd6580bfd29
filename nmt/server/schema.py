"""What requests hold, for the OpenAPI page: routes read them themselves, in three forms."""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_KEY: Final = {"api_key": {**_TEXT, "description": "API key, if the service asks for one"}}
_GLOSSARY: Final = {"glossary": {**_TEXT, "description": "Terms and their translations, TSV or TBX"}}
_LANGUAGES: Final = {
    "source": {**_TEXT, "description": "Language code, or auto", "example": "en"},
    "target": {**_TEXT, "description": "Language code", "example": "de"},
}
_ERRORS: Final = {
    "400": "The request is wrong",
    "403": "The key is wrong",
    "413": "The request is too large",
    "429": "Too many requests in a minute",
    "503": "Too many requests wait",
    "504": "It took too long",
}


def _operation(properties: dict[str, Any], required: list[str], answer: dict[str, Any], *types: str) -> dict[str, Any]:
    body = {"schema": {"type": "object", "properties": properties, "required": required}}
    error = {"application/json": {"schema": {"type": "object", "properties": {"error": _TEXT}}}}
    return {
        "requestBody": {"required": True, "content": dict.fromkeys(types, body)},
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": answer}}},
            **{status: {"description": what, "content": error} for status, what in _ERRORS.items()},
        },
    }


_USUAL: Final = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
_DETECTED: Final = {
    "type": "object",
    "properties": {"language": _TEXT, "confidence": {"type": "number", "minimum": 0, "maximum": 100}},
}

TRANSLATE: Final = _operation(
    {
        "q": {**_TEXTS, "description": "What to translate"},
        **_LANGUAGES,
        "format": {"type": "string", "enum": ["text", "html"], "default": "text"},
        "alternatives": {"type": "integer", "minimum": 0, "default": 0, "description": "How many other translations"},
        "details": {"type": "boolean", "default": False, "description": "Whether to tell how each line went"},
        **_GLOSSARY,
        **_KEY,
    },
    ["q", "source", "target"],
    {
        "type": "object",
        "properties": {
            "translatedText": _TEXTS,
            "alternatives": {"type": "array"},
            "detectedLanguage": {"oneOf": [_DETECTED, {"type": "array", "items": _DETECTED}]},
            "details": {"type": "array"},
        },
    },
    *_USUAL,
)
DETECT: Final = _operation({"q": _TEXTS, **_KEY}, ["q"], {"type": "array", "items": _DETECTED}, *_USUAL)
TRANSLATE_FILE: Final = _operation(
    {"file": {"type": "string", "format": "binary"}, **_LANGUAGES, **_GLOSSARY, **_KEY},
    ["file", "source", "target"],
    {
        "type": "object",
        "properties": {
            "translatedFileUrl": _TEXT,
            "statuses": {"type": "object", "additionalProperties": {"type": "integer"}},
            "left": {"type": "array", "items": {"type": "object"}},
            "missing": {"type": "array", "items": _TEXT},
        },
    },
    "multipart/form-data",
)
