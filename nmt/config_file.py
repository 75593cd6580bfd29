"""Settings from files and to files: TOML and `--set` in, `config.json` in and out, and errors that help."""

from __future__ import annotations

import codecs
import difflib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nmt.config import CONTINUED, Config, ConfigError
from nmt.config_data import expand
from nmt.config_keys import called, kinds_of, section_type
from nmt.files import write_text
from nmt.reading import read_given, read_regular
from nmt.values import FORMAT_VERSION

RENAMED: Final = {"training.subword_sampling": "training.subword_regularization"}
"""Settings by the names that older model folders have for them."""
_SAME_DATA: Final = (
    "vocabulary_size",
    "subword_model",
    "joint_vocabulary",
    "character_coverage",
    "normalization",
    "split_digits",
)
_SAME_MODEL: Final = (
    "cell",
    "embedding_size",
    "hidden_size",
    "encoder_layers",
    "decoder_layers",
    "attention",
    "attention_heads",
    "context",
    "tie_embeddings",
    "zoneout",
)
"""What a model that starts from another must share with it; and what of `training` it takes from there, if not set."""
_SAME_TRAINING: Final = (
    "batch_tokens",
    "accumulate",
    "optimizer",
    "adam_betas",
    "weight_decay",
    "precision",
    "clip_norm",
    "label_smoothing",
    "ema_decay",
    "rdrop",
    "sampled_softmax",
    "subword_alpha",
    "subword_regularization",
    "subword_regularization_side",
    "early_stopping_metric",
)


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file and lay the overrides over it.

    Args:
        path: The file; None takes the defaults. Relative paths in it are relative to the current directory.
        overrides: `section.key=value` each, as in `--set`; a value that is no TOML is taken as text, and so is any
            for a setting that is a text or a path; `none` is for settings that may be left out.

    Returns:
        The settings, complete and checked.

    Raises:
        ConfigError: One line for each thing that is wrong, with its file and key.
        FileNotFoundError: There is no such file.
    """
    content: dict[str, Any] = {}
    if path is not None:
        try:
            content = tomllib.loads(_decoded(read_given(path)))
        except RecursionError:
            raise ConfigError(f"{path}: not a TOML file: nested too deeply") from None
        except ValueError as error:
            raise ConfigError(f"{path}: not a TOML file: {error}") from None
    keys = frozenset(_override(content, override) for override in overrides)
    source = "settings" if path is None else str(path)
    if content.get("start_from") is None:
        return _checked(content, source, keys)
    before = _settings_of(content["start_from"], "--set" if "start_from" in keys else source)
    config = _checked(_continued(before, content), source, keys)
    _check_same_network(before, config, source, keys)
    return config


def _settings_of(folder: object, source: str) -> Config:
    """Read the settings of the model that `start_from` names."""
    try:
        path = Path(str(expand(folder))) / "config.json"
    except ValueError as error:
        raise ConfigError(f"{source}: start_from: {error}, got {_shown(folder)}") from None
    if not path.is_file():
        what = "a file, which cannot be trained on" if path.parent.is_file() else "which has no config.json"
        raise ConfigError(f"{source}: start_from: expected a model folder, got {path.parent}, {what}")
    return read_config(path)


def _continued(before: Config, content: dict[str, Any]) -> dict[str, Any]:
    """Lay settings over those of the model that training starts from, and over what is usual then."""
    usual = before.model_dump(mode="json", include={"data", "model", "training", "decoding"})
    given = content.get("data")
    several = isinstance(given, dict) and bool(given.get("corpora"))
    languages = () if several else ("source_language", "target_language")
    usual["data"] = {name: usual["data"][name] for name in (*languages, *_SAME_DATA, "max_length", "max_ratio")}
    usual["training"] = {name: usual["training"][name] for name in _SAME_TRAINING} | CONTINUED
    result: dict[str, Any] = {**content}
    for section, values in usual.items():
        given = content.get(section, {})
        result[section] = {**values, **given} if isinstance(given, dict) else given  # what is no section is told later
    return result


def _check_same_network(before: Config, config: Config, source: str, overridden: frozenset[str]) -> None:
    """Refuse settings with which the parameters or the subwords would not be those of the model that came before."""
    problems = _without_tag(before, config, source)
    several = len(before.data.target_languages) > 1
    languages = () if several else ("source_language", "target_language")
    for section, names in (("data", (*languages, *_SAME_DATA)), ("model", _SAME_MODEL)):
        for name in names:
            key = f"{section}.{name}"
            old, new = (getattr(getattr(each, section), name) for each in (before, config))
            if old != new:
                where = "--set" if key in overridden else source
                problems.append(
                    f"{where}: {key}: expected {_shown(old)}, as {config.start_from} has it, got {_shown(new)}"
                )
    if problems:
        raise ConfigError("\n".join(problems))


def _without_tag(before: Config, config: Config, source: str) -> list[str]:
    """Say which languages a model of several, that came before, has no tag for."""
    known = before.data.target_languages
    return [
        f"{source}: target_language: expected {' or '.join(known)}, as {config.start_from} has it, got {language}"
        for language in config.data.target_languages
        if len(known) > 1 and language not in known
    ]


def check_setting(setting: str) -> None:
    """Check a setting by itself: its type and its bounds, not whether it goes with others.

    Args:
        setting: `section.key=value`, as in `--set`; its key exists.

    Raises:
        ConfigError: It cannot have this value; the message says what was expected.
    """
    key, _, text = setting.partition("=")
    *sections, last = names = key.strip().split(".")
    content: Any = {last: _value(text, kinds_of(key.strip()))}
    for name in reversed(sections):
        content = [content] if name.isdecimal() else {name: content}  # of sections in a list, this one alone
    place = (*(0 if name.isdecimal() else name for name in sections), last)
    try:
        Config.model_validate(content)
    except ValidationError as error:
        problems = [
            _problem({**detail, "loc": (*names, *detail["loc"][len(place) :])}, "--set", frozenset())
            for detail in error.errors(include_url=False)
            if detail["loc"][: len(place)] == place
        ]
        if problems:
            raise ConfigError("\n".join(problems)) from None


def save_config(config: Config, path: Path) -> None:
    """Write every setting as JSON, atomically.

    Args:
        config: The settings.
        path: The `config.json` of a model folder.

    Raises:
        OSError: It cannot be written.
    """
    write_text(path, as_json(config))


def as_json(config: Config) -> str:
    """Write every setting as `save_config` does."""
    return config.model_dump_json(indent=2) + "\n"


def read_config(path: Path) -> Config:
    """Read what `save_config` wrote.

    Raises:
        ConfigError: The file is no JSON object, or of a format version or with a setting that this version lacks.
        FileNotFoundError: There is no such file.
    """
    return parse_config(read_regular(path), str(path))


def parse_config(text: bytes, origin: str) -> Config:
    """Read the text that `as_json` made.

    Args:
        text: UTF-8.
        origin: Where it comes from, for messages.

    Raises:
        ConfigError: As for `read_config`.
    """
    try:
        content = json.loads(_decoded(text))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{origin}: not a JSON file: {error}") from None
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise ConfigError(f"{origin}: format_version: expected {FORMAT_VERSION}, got {_shown(version)}")
    return _checked(with_present_names(content), origin, frozenset())


def _decoded(content: bytes) -> str:
    """Decode settings; a byte order mark, which some editors put first, says nothing.

    Raises:
        ValueError: They are not UTF-8.
    """
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        is_utf16 = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        came = "UTF-16" if is_utf16 else f"byte 0x{content[error.start]:02x} at position {error.start}"
        raise ValueError(f"expected UTF-8, got {came}") from None


def with_present_names(content: object) -> object:
    """Give settings that a program wrote, perhaps an older one, the names that they have now.

    Args:
        content: What a JSON file held, sections by name; changed in place, and returned.
    """
    for old, new in RENAMED.items():
        section, name = old.split(".")
        values = content.get(section) if isinstance(content, dict) else None
        if isinstance(values, dict) and name in values:
            values.setdefault(new.partition(".")[2], values.pop(name))
    return content


def _override(content: dict[str, Any], override: str) -> str:
    """Lay `section.key=value` over `content` in place; returns the key."""
    key, equals, text = override.partition("=")
    key = key.strip()
    names = key.split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {override}: expected section.key=value")
    value = _value(text, kinds_of(key))
    place: Any = content
    for name in names[:-1]:
        if isinstance(place, list):  # of sections, counted from 0
            place = place[int(name)] if name.isdecimal() and len(name) < 9 and int(name) < len(place) else None
        else:
            place = place.setdefault(name, {})
        if not isinstance(place, (dict, list)):
            raise ConfigError(f"--set {override}: {key} does not exist, because {name} is a value, not a section")
    if isinstance(place, list):
        raise ConfigError(
            f"--set {override}: expected the number of one of {len(place)}, as in {names[-2]}.0, got none"
        )
    place[names[-1]] = value
    return key


def _value(text: str, kinds: frozenset[object]) -> object:
    """Read what stands behind the equals sign of an override."""
    plain = text.strip()
    if plain == "none" and type(None) in kinds:
        return None
    try:
        values = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML, or a number of thousands of digits
        return plain
    value = values["value"] if len(values) == 1 else plain  # more: the text had lines of its own
    return plain if kinds <= {str, Path, type(None)} and kinds and not isinstance(value, str) else value


def _checked(content: object, source: str, overridden: frozenset[str]) -> Config:
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        problems = [_problem(detail, source, overridden) for detail in error.errors(include_url=False)]
    raise ConfigError("\n".join(problems))


def _problem(detail: ErrorDetails, source: str, overridden: frozenset[str]) -> str:
    """One line for one of pydantic's errors."""
    key = ".".join(str(part) for part in detail["loc"])
    if any(key == given or key.startswith(given + ".") for given in overridden):
        source = "--set"
    if detail["type"] == "extra_forbidden":
        return f"{source}: {key}: no such setting; {_nearest(detail['loc'])}"
    if detail["type"] == "missing":
        return f"{source}: {key}: required, but not given"
    message = detail["msg"].removeprefix("Value error, ")
    if not key:  # a check across settings, whose message names the keys itself
        return f"{source}: {message}"
    message = message[0].lower() + message[1:]
    return f"{source}: {key}: {message}, got {_shown(detail['input'])}"


def _shown(value: object) -> str:
    """Write a value that is wrong into one line, cut short if it is long."""
    try:
        text = json.dumps(value, default=str)
    except (ValueError, RecursionError):  # nested too deeply
        text = type(value).__name__
    return text if len(text) <= 200 else text[:200] + "..."


def _nearest(location: tuple[int | str, ...]) -> str:
    section: type[BaseModel] = Config
    for part in location[:-1]:
        if isinstance(part, int):  # one of a list of sections
            continue
        inner = section_type(section.model_fields[part].annotation)
        if inner is None:
            break
        section = inner
    known = list(section.model_fields)
    prefix = "".join(f"{part}." for part in location[:-1])
    key = f"{prefix}{location[-1]}"
    renamed = [RENAMED[key]] if key in RENAMED else []
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    elsewhere = called(str(location[-1]))
    candidates = (
        renamed + elsewhere + [prefix + name for name in near]
    )  # the right name in the wrong section comes first
    hint = f"did you mean {candidates[0]}? " if candidates else ""
    return f"{hint}valid keys{' of ' + prefix[:-1] if prefix else ''}: {', '.join(known)}"
