"""What settings there are: their keys, types, bounds, defaults and meanings."""

from __future__ import annotations

import difflib
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nmt.config import Config, ConfigError


class Setting(NamedTuple):
    """One row of `describe`."""

    key: str
    type: str
    default: str
    meaning: str


def describe(which: str | None = None) -> list[Setting]:
    """Settings with key, type and bounds, default, and meaning with unit, in the order of `nmt.config`.

    Args:
        which: A section or a key; None takes every setting.

    Raises:
        ConfigError: There is no such section or setting; the message names the nearest.
    """
    rows = [
        Setting(key, _type_name(info), _default(info), " ".join((info.description or "").split()))
        for key, info in fields(Config)
        if which is None or key == which or key.startswith(f"{which}.")
    ]
    if not rows:
        keys = [key for key, _ in fields(Config)]
        elsewhere = called(str(which).rpartition(".")[2])
        near = elsewhere or difflib.get_close_matches(str(which), [*keys, *Config.model_fields], n=1)
        raise ConfigError(f"{which}: no such section or setting{f'; did you mean {near[0]}?' if near else ''}")
    return rows


def fields(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield the settings of a section and of the sections in it, by their keys."""
    for name, info in section.model_fields.items():
        inner = section_type(info.annotation)
        if inner is None or inner is not info.annotation:
            yield prefix + name, info
        if inner is not None:
            yield from fields(inner, f"{prefix}{name}.")


def called(name: str) -> list[str]:
    """Keys of the settings of a name, those of no list first."""
    found = [key for key, _ in fields(Config) if key.rpartition(".")[2] == name]
    return sorted(found, key=lambda key: key.count("."))


def section_type(kind: object) -> type[BaseModel] | None:
    """The section that a setting is, or of which it is a list."""
    if get_origin(kind) is tuple:
        return section_type(get_args(kind)[0])
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _default(info: FieldInfo) -> str:
    needed = info.is_required() or (info.default == () and info.validate_default)
    return "required" if needed else _as_toml(info.default)


def _as_toml(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return "[" + ", ".join(_as_toml(item) for item in value) + "]"
    return json.dumps(value)


def _type_name(info: FieldInfo) -> str:
    name = _kind_name(info.annotation)
    bounds = [
        f"{sign} {getattr(bound, attribute)}"
        for bound in _metadata(info)
        for attribute, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        if hasattr(bound, attribute)
    ]
    return " ".join([name, ", ".join(bounds)]).strip()


def _metadata(info: FieldInfo) -> Iterator[object]:
    """What is said of a field's type, or of a part of it, as in `Fraction | None`."""
    yield from info.metadata
    for kind in get_args(info.annotation):
        for said in getattr(kind, "__metadata__", ()):
            yield from said.metadata if isinstance(said, FieldInfo) else [said]


def _kind_name(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(str(choice) for choice in arguments)
    if origin is Annotated:
        return _kind_name(arguments[0])
    if origin is tuple:
        inner = [_kind_name(argument) for argument in arguments if argument is not Ellipsis]
        return f"list of {inner[0]}" if Ellipsis in arguments else f"[{', '.join(inner)}]"
    if origin is dict:
        return f"table of {_kind_name(arguments[1])}"
    if origin in (Union, types.UnionType):
        return " or ".join(_kind_name(argument) for argument in arguments)
    names = {int: "integer", float: "number", bool: "true | false", str: "text", Path: "path", type(None): "none"}
    return "section" if section_type(kind) else names.get(kind, str(kind))


def plain(key: str) -> str:
    """A key without the number of a section in a list, and without a name in a table.

    `data.corpora.0.weight` is `data.corpora.weight`, and `data.test.news` is `data.test`.
    """
    key = re.sub(r"\.[0-9]+\.", ".", key)
    table = key.rpartition(".")[0]
    tables = [other for other, info in fields(Config) if get_origin(info.annotation) is dict]
    return table if table in tables else key


def kinds_of(key: str) -> frozenset[object]:
    """Types that a setting may have; none for what is no setting."""
    key = plain(key)
    annotation = next((info.annotation for other, info in fields(Config) if other == key), None)
    pending, found = [annotation], set[object]()
    while pending:
        kind = pending.pop()
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            pending.append(arguments[0])
        elif origin in (Union, types.UnionType):
            pending.extend(arguments)
        else:
            found.add(kind)
    return frozenset(found)
