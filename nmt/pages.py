"""Pages for people, from templates that lie beside the modules that fill them."""

from __future__ import annotations

from collections.abc import Mapping


def render(package: str, template: str, values: Mapping[str, object]) -> str:
    """Fill a Jinja template in.

    Args:
        package: The package in whose folder the template lies.
        template: Its file name; in one that ends in `.html`, values are escaped.
        values: By their names in the template, which must all be there.

    Returns:
        The text.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape  # noqa: PLC0415  (rarely needed)

    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=select_autoescape(("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)
