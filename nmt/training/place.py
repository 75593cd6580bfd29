"""The model folder, which must stay where it is for as long as training writes into it."""

from __future__ import annotations

import os
from pathlib import Path

from nmt.training import TrainingError


class Place:
    """The folder as it was when training began.

    Args:
        folder: The model folder; it is there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found = folder.stat()

    def check(self) -> None:
        """Make sure that it is still the same folder: another one is not locked, and lacks what was written before.

        Raises:
            TrainingError: It was removed, renamed or replaced.
        """
        try:
            if os.path.samestat(self._found, self.folder.stat()):
                return
        except OSError:
            pass
        raise TrainingError(f"{self.folder}: removed, renamed or replaced during training; nothing more can be saved")
