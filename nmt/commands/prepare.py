"""`nmt prepare`: text files to subword vocabularies and ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nmt.config_file import load_config
from nmt.data.preparation.manifest import data_folder, input_files, require_files, test_set_files
from nmt.data.preparation.prepare import prepare
from nmt.experiment import tell_preparing
from nmt.lock import locked


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
        LockError: Another command writes into it.
        OSError: A file cannot be read or written.
    """
    config = load_config(path, overrides)
    require_files(input_files(config) | test_set_files(config.data))  # before anything is written
    with locked(config.folder):
        done = prepare(config, tell_preparing)
    if done:
        tell_preparing(f"prepared data is in {data_folder(config)}")
    else:
        tell_preparing(f"nothing to do: {data_folder(config)} holds the data of these settings")
