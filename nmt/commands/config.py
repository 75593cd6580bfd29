"""`nmt config`: the list of settings."""

from __future__ import annotations

import textwrap

import typer

from nmt.config_keys import describe


def run(which: str | None = None) -> None:
    """Print settings: key, default, type and bounds, and meaning.

    Args:
        which: A section or a key; None takes all.

    Raises:
        ConfigError: There is no such section or setting.
    """
    for setting in describe(which):
        typer.echo(f"{setting.key} = {setting.default}    ({setting.type})")
        typer.echo(textwrap.fill(setting.meaning, width=100, initial_indent="    ", subsequent_indent="    "))
