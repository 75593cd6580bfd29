"""Small models by language, for tests of what serves many."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

from nmt.decoding.exporting import contents_of

DATA = Path(__file__).parent.parent / "data"


def model_folder(folder: Path, source: str, target: str, license: str = "CC0-1.0") -> Path:
    """Make a model folder that says that it knows these languages."""
    shutil.copytree(DATA / "model-v1", folder)
    settings = json.loads((folder / "config.json").read_text())
    settings["data"].update(source_language=source, target_language=target)
    settings["license"] = license
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "SHA256SUMS").unlink()
    return folder


@cache
def model_content(source: str, target: str, precision: str = "int8") -> bytes:
    """Make the content of a model file that says that it knows these languages."""
    from tempfile import TemporaryDirectory  # noqa: PLC0415

    with TemporaryDirectory() as place:
        return contents_of(model_folder(Path(place) / "model", source, target), precision)


def put(path: Path, source: str, target: str, precision: str = "int8") -> Path:
    """Write a model file as one should: under another name first."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(model_content(source, target, precision))
    return new.replace(path)
