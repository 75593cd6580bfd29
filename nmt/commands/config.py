"""`nmt config`: the list of settings."""

from __future__ import annotations

import textwrap

import typer

from nmt.config_file import check_setting
from nmt.config_keys import describe, plain


def run(which: str | None = None) -> None:
    """Print settings: key, default, type and bounds, and meaning.

    Args:
        which: A section or a key; None takes all. A key with a value, `section.key=value`, has that checked, too.

    Raises:
        ConfigError: There is no such section or setting, or it has no such value.
    """
    key, has_value, _ = (which or "").partition("=")
    rows = describe(plain(key.strip()) if has_value else which)
    if which and has_value:
        check_setting(which)
    for setting in rows:
        typer.echo(f"{setting.key} = {setting.default}    ({setting.type})")
        typer.echo(textwrap.fill(setting.meaning, width=100, initial_indent="    ", subsequent_indent="    "))
