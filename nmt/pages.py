"""Pages for people, from templates that lie beside the modules that fill them."""

from __future__ import annotations

from collections.abc import Mapping

_CONTROL = dict.fromkeys(set(range(32)) - {ord("\t"), ord("\n")}, "\ufffd")


def render(package: str, template: str, values: Mapping[str, object]) -> str:
    """Fill a Jinja template in.

    Args:
        package: The package in whose folder the template lies.
        template: Its file name; in one that ends in `.html`, values are escaped, and control characters, which HTML
            does not allow, become U+FFFD.
        values: By their names in the template, which must all be there.

    Returns:
        The text.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  (rarely needed)

    html = template.endswith(".html")
    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=html,
        finalize=_without_control_characters if html else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


def _without_control_characters(value: object) -> object:
    return value.translate(_CONTROL) if isinstance(value, str) else value
