"""`nmt config`: the list of settings."""

from __future__ import annotations

import textwrap

import typer

from nmt.config_file import describe


def run() -> None:
    """Print every setting: its key, default, type and bounds, and meaning."""
    for setting in describe():
        typer.echo(f"{setting.key} = {setting.default}    ({setting.type})")
        typer.echo(textwrap.fill(setting.meaning, width=100, initial_indent="    ", subsequent_indent="    "))
