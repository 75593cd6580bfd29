"""`nmt info` of a model file."""

from __future__ import annotations

import json
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

from nmt.commands.info_text import languages_of, network_of, vocabulary_of
from nmt.decoding.model_file import ORIGIN_SECTION, open_model_file, settings_in


def describe_file(path: Path) -> dict[str, Any]:
    """Tell what a model file holds, ready for JSON.

    Args:
        path: The file.

    Returns:
        `file`, `bytes`, `languages`, `precision`, `network`, `vocabulary`, `parameters` (values), `search`, `license`,
        `origin` (what it was made of, as the file says; empty if it does not), `sections` (type, rows, columns and
        bytes by name).

    Raises:
        ModelError, SubwordError: There is no such file, or it is damaged.
        OSError: It cannot be read.
    """
    found = open_model_file(path)
    config, shape = settings_in(found.file, path), found.network.shapes[0]
    origin: object = None
    with suppress(ValueError, RecursionError):
        origin = json.loads(found.file.read(ORIGIN_SECTION) or b"null")
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "languages": languages_of(config),
        "precision": found.network.precision,
        "network": network_of(config),
        "vocabulary": vocabulary_of(config, (found.source.size, found.target.size)),
        "parameters": sum(map(prod, shape.parameters().values())),
        "search": config.decoding.model_dump(include={"beam_size", "length_penalty"}),
        "license": config.license,
        "origin": origin if isinstance(origin, dict) else {},
        "sections": {
            each.name: {"type": each.type, "rows": each.rows, "columns": each.columns, "bytes": each.bytes}
            for each in found.file.sections
        },
    }
