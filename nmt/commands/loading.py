"""The translator that a command asks for."""

from __future__ import annotations

from pathlib import Path

from nmt.commands.asked import SearchSettings
from nmt.decoding.translator import Translator
from nmt.languages import find_language
from nmt.process import count_cores, count_threads
from nmt.terminal import tell


def load_translator(who: str, folder: Path, search: SearchSettings) -> Translator:
    """Read a model folder or file; more threads than cores would only wait for each other, and are not begun.

    Args:
        who: The command, such as "nmt translate", which says so then.
        folder: The folder or file.
        search: How to search.

    Raises:
        DeviceError, LanguageError, MissingError, ModelError, SubwordError: See `Translator.load`.
    """
    if search.search == "reference" and search.precision not in (None, "float32"):
        import typer

        raise typer.BadParameter(f"--precision: expected float32 with --search reference, got {search.precision}")
    if search.search == "reference" and search.shortlist:
        import typer

        raise typer.BadParameter(f"--shortlist: expected 0 with --search reference, got {search.shortlist}")
    threads, cores = count_threads(search.threads), count_cores()
    if threads > cores:
        if search.threads is not None:
            tell(who, f"--threads {threads}: this process may use {cores} cores, and takes as many threads")
        threads = cores
    models = [folder, *search.ensemble] if search.ensemble else folder
    found = Translator.load(models, threads, search.device, search.precision, search.search, search.shortlist)
    return found.to(find_language("--to", search.to, found.target_languages))
