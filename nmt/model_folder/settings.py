"""New settings for a model that is there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from nmt.config import Config
from nmt.config_file import as_json
from nmt.files import write_text
from nmt.model_folder.digests import DIGEST_FILE, read_digests, write_lines
from nmt.model_folder.files import CONFIG_FILE


def change_settings(folder: Path, config: Config) -> None:
    """Write the settings of a model folder, and their digest.

    Whenever this is stopped, the model can be used: without digests, which come last, with the old settings or the new.

    Args:
        folder: The model folder.
        config: The settings.

    Raises:
        ModelError: The digests cannot be read.
        OSError: A file cannot be read or written.
    """
    settings, path = as_json(config), folder / DIGEST_FILE
    digests = read_digests(path) if os.path.lexists(path) else None
    path.unlink(missing_ok=True)
    write_text(folder / CONFIG_FILE, settings)
    if digests is not None:
        write_lines(folder, {**digests, CONFIG_FILE: hashlib.sha256(settings.encode()).hexdigest()})
