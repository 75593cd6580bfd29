"""`nmt prepare`: text files to subword vocabularies and ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nmt.config_file import load_config
from nmt.data.preparation.manifest import data_folder
from nmt.data.preparation.prepare import prepare
from nmt.experiment import tell_preparing


def run(path: Path, overrides: Sequence[str]) -> None:
    """Prepare the data of a config file, unless it is there already.

    Args:
        path: The TOML file.
        overrides: `section.key=value` each.

    Raises:
        ConfigError: A setting is wrong.
        CorpusError: The text cannot be used.
        SubwordError: The vocabulary cannot be trained.
        PreparedError: The folder holds a model of other data.
        OSError: A file cannot be read or written.
    """
    config = load_config(path, overrides)
    if prepare(config, tell_preparing):
        tell_preparing(f"prepared data is in {data_folder(config)}")
    else:
        tell_preparing(f"nothing to do: {data_folder(config)} holds the data of these settings")
