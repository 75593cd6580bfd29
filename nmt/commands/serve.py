"""`nmt serve`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.extras import require_serving
from nmt.model_folder.files import ModelError
from nmt.terminal import printable, tell

if TYPE_CHECKING:
    from nmt.server.options import ServeOptions


def run(places: Sequence[Path], options: ServeOptions) -> None:
    """Serve models until a signal ends it.

    Args:
        places: Model files, model folders, folders of them.
        options: How to serve.

    Raises:
        MissingError: The extra is not installed.
        ModelError: A model is missing or damaged.
        OSError: The address is in use.
    """
    require_serving("nmt serve")
    from nmt.server.app import Application
    from nmt.server.registry import ModelOptions, Models
    from nmt.server.running import listen, run, url_of

    models = Models(places, ModelOptions(options.memory, options.pivots, threads=1))
    for problem in models.problems:
        tell("nmt serve", f"warning: {problem}")
    if not models.directions():
        raise ModelError(f"{', '.join(map(str, places))}: expected a model at least, got none")
    app = Application(models, options)
    with listen(options.host, options.port) as listening:
        tell("nmt serve", f"{url_of(listening)} translates {len(models.directions())} directions")
        run(app, listening, options)


def run_check(url: str, key: str) -> bool:
    """Look whether a service does what its clients expect, and print it line by line.

    Args:
        url: Where it is.
        key: API key; empty for none.

    Returns:
        Whether all is well.

    Raises:
        CheckError: The address is none.
    """
    from nmt.server.check import Checker

    all_good = True
    for check in Checker(url, key).run():
        print(f"{'ok  ' if check.good else 'BAD '} {printable(check.what)}", flush=True)
        all_good &= check.good
    return all_good
