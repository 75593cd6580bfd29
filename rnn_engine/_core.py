"""Stands in for the native part in a folder that has none: takes the one of another `rnn_engine` in the module path.

Where both are in one folder, as in an installed package, Python takes the extension module and never reads this file.
In the project's own folder, whose `rnn_engine` hides the installed one, there is this file alone.
"""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import module_from_spec
from pathlib import Path


class NotBuiltError(ImportError):
    """There is no native part for these sources; the message says how to get one."""


def _same_interface(package: Path) -> bool:
    """Whether the native part of a package was built with the interface that these sources expect."""
    try:
        return package.joinpath("_core.pyi").read_bytes() == Path(__file__).with_suffix(".pyi").read_bytes()
    except OSError:
        return False


def _take_the_built_one() -> None:
    """Put the extension module in this module's place.

    Raises:
        NotBuiltError: There is none in the module path, or only one of other sources.
    """
    project, other = Path(__file__).resolve().parents[1], None
    for folder in sys.path:
        package = Path(folder, "rnn_engine")
        spec = FileFinder(str(package), (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec(__name__)
        if spec is None or spec.loader is None:
            continue
        if not _same_interface(package):
            other = other or package
            continue
        module = sys.modules[__name__] = module_from_spec(spec)
        spec.loader.exec_module(module)
        return
    found = f"that in {other} was built from other sources" if other else "it was not built"
    raise NotBuiltError(f"the native part of rnn_engine: {found}. Build it: {sys.executable} -m pip install {project}")


_take_the_built_one()
