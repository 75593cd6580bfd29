"""Every setting of the toolkit, once: its meaning, unit, default and bounds.

The TOML file, `--set section.key=value`, the help texts and the `config.json` of a model folder all come from here.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nmt.files import write_text

FORMAT_VERSION: Final = 1
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def _expand_variables(value: object) -> object:
    """Replace each `${NAME}` of a path by the environment variable of that name."""
    if not isinstance(value, str):
        return value

    def content(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise ValueError(f"environment variable {match[1]} is not set")
        return found

    return _VARIABLE.sub(content, value)


PathSetting = Annotated[Path, BeforeValidator(_expand_variables)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class ConfigError(ValueError):
    """A setting that is unknown, missing or out of bounds; the message names file, key and what was expected."""


class Section(BaseModel):
    """Base of every section: unknown keys are errors and values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class DataConfig(Section):
    """Where the text lies, and how it becomes ids."""

    source_language: str = "src"
    """Language code of the source, as written in the model's card."""
    target_language: str = "tgt"
    """Language code of the target."""
    train: tuple[PathSetting, PathSetting]
    """Source and target file for training: plain or .gz, UTF-8, one segment per line; `${NAME}` in a path is the
    environment variable of that name."""
    valid: tuple[PathSetting, PathSetting]
    """Source and target file for validation."""
    test: dict[str, tuple[PathSetting, PathSetting]] = {}
    """Named test sets, each a source and a target file; scored by `nmt evaluate --test NAME`."""
    vocabulary_size: int = Field(default=8000, ge=16, le=256_000)
    """Subword vocabulary size, in pieces."""
    subword_model: Literal["unigram", "bpe"] = "unigram"
    """SentencePiece model type."""
    joint_vocabulary: bool = True
    """One vocabulary for both languages (needed by model.tie_embeddings across languages)."""
    character_coverage: float = Field(default=1.0, ge=0.9, le=1.0)
    """Share of characters that the subword model covers; 0.9995 for scripts with many characters."""
    normalization: Literal["nmt_nfkc", "nfkc", "identity"] = "nmt_nfkc"
    """SentencePiece's normalisation of both sides; `identity` keeps full-width forms, ligatures and the like."""
    split_digits: bool = False
    """Make every digit a subword of its own, so that numbers never seen are spelled like those that were."""
    max_length: int = Field(default=100, ge=1, le=10_000)
    """Training pairs with more subwords than this on either side are left out, and counted."""


class ModelConfig(Section):
    """Shape of the network."""

    cell: Literal["lstm", "mi_lstm"] = "lstm"
    """Recurrent cell of encoder and decoder."""
    embedding_size: int = Field(default=256, ge=1, le=8192)
    """Width of the embeddings."""
    hidden_size: int = Field(default=320, ge=1, le=8192)
    """Width of a recurrent layer, per direction."""
    encoder_layers: int = Field(default=1, ge=1, le=32)
    """Bidirectional encoder layers."""
    decoder_layers: int = Field(default=2, ge=1, le=32)
    """Decoder layers; from the second on, with a residual connection around each."""
    attention: Literal["dot", "general"] = "general"
    """Luong attention score: `dot` (scaled, needs no weights beyond the keys' projection) or `general`."""
    tie_embeddings: bool = True
    """Share the target embedding with the output layer and, with a joint vocabulary, with the source embedding."""
    dropout: Fraction = 0.3
    """Dropout on embeddings, between recurrent layers and on the attentional vector, as a probability."""


class TrainingConfig(Section):
    """How the network is trained."""

    batch_tokens: int = Field(default=3000, ge=1, le=1_000_000)
    """Padded tokens per batch, the larger of the source's and the target's side."""
    epochs: int = Field(default=12, ge=1)
    """Passes over the training pairs; the learning-rate schedule ends with the last one."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Wall-clock budget in minutes; the schedule then ends with whichever comes first."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Optimiser."""
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    """Peak learning rate."""
    adam_betas: tuple[Fraction, Fraction] = (0.9, 0.98)
    """Decay of Adam's first and second moment."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Decoupled weight decay; adamw only."""
    warmup_steps: int = Field(default=200, ge=0)
    """Steps of linear warm-up."""
    decay_fraction: float = Field(default=0.4, ge=0.0, le=1.0)
    """Last share of training over which the learning rate falls linearly to zero."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Global norm to which gradients are clipped."""
    label_smoothing: Fraction = 0.1
    """Probability mass spread evenly over the vocabulary."""
    ema_decay: Fraction = 0.0
    """Exponential moving average of the parameters, used for validation and the saved model; 0 turns it off."""
    validate_every: int = Field(default=500, ge=1)
    """Steps between two validations; each one that improves is saved as the best checkpoint."""
    patience: int = Field(default=10, ge=1)
    """Validations without improvement after which training stops."""
    early_stopping_metric: Literal["bleu", "loss"] = "loss"
    """What counts as improvement on the validation set."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """Latest checkpoints to keep, beside the best."""
    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of parameters, dropout and data order."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """CPU threads; all cores that the process may use if not given."""


class DecodingConfig(Section):
    """How translations are searched."""

    beam_size: int = Field(default=5, ge=1, le=1000)
    """Hypotheses kept per sentence; 1 is greedy search."""
    length_penalty: float = Field(default=1.0, ge=0.0, le=5.0)
    """Exponent of the length by which a hypothesis' log-probability is divided."""
    max_length_factor: float = Field(default=2.0, gt=0)
    """Longest translation, in target subwords per source subword."""
    max_length_extra: int = Field(default=20, ge=0)
    """Subwords added to that limit."""
    batch_size: int = Field(default=64, ge=1, le=100_000)
    """Sentences searched at once."""


class Config(Section):
    """All settings."""

    format_version: Literal[1] = FORMAT_VERSION
    """Version of the model folder's format."""
    folder: PathSetting
    """Where everything of this model goes: prepared data, checkpoints, log, and the model itself."""
    data: DataConfig
    """Where the text lies, and how it becomes ids."""
    model: ModelConfig = ModelConfig()
    """Shape of the network."""
    training: TrainingConfig = TrainingConfig()
    """How the network is trained."""
    decoding: DecodingConfig = DecodingConfig()
    """How translations are searched."""

    @model_validator(mode="after")
    def _check_across_sections(self) -> Config:
        if self.training.optimizer == "adam" and self.training.weight_decay:
            raise ValueError("training.weight_decay needs training.optimizer = 'adamw'")
        return self

    def save(self, path: Path) -> None:
        """Write every setting as JSON, atomically.

        Args:
            path: The `config.json` of a model folder.
        """
        write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def from_json(cls, path: Path) -> Config:
        """Read what `save` wrote.

        Raises:
            ConfigError: The file is no JSON object, or of a format version or with a setting that this version lacks.
            FileNotFoundError: There is no such file.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:  # JSON and UTF-8 errors alike
            raise ConfigError(f"{path}: not a JSON file: {error}") from None
        version = content.get("format_version") if isinstance(content, dict) else None
        if version != FORMAT_VERSION:
            raise ConfigError(f"{path}: format_version: expected {FORMAT_VERSION}, got {json.dumps(version)}")
        return _checked(content, str(path), frozenset())


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file and lay the overrides over it.

    Args:
        path: The file; None takes the defaults. Relative paths in it are relative to the current directory.
        overrides: `section.key=value` each, as in `--set`; a value that is no TOML is taken as text.

    Returns:
        The settings, complete and checked.

    Raises:
        ConfigError: One line for each thing that is wrong, with its file and key.
        FileNotFoundError: There is no such file.
    """
    content: dict[str, Any] = {}
    if path is not None:
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:  # TOML and UTF-8 errors alike
            raise ConfigError(f"{path}: not a TOML file: {error}") from None
    keys = frozenset(_override(content, override) for override in overrides)
    return _checked(content, "settings" if path is None else str(path), keys)


class Setting(NamedTuple):
    """One row of `describe`."""

    key: str
    type: str
    default: str
    meaning: str


def describe() -> list[Setting]:
    """Every setting with its key, type and bounds, default, and meaning with unit, in the order of this file."""
    return [
        Setting(key, _type_name(info), _default(info), " ".join((info.description or "").split()))
        for key, info in _fields(Config)
    ]


def _fields(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, info in section.model_fields.items():
        inner = _section_type(info)
        if inner is not None:
            yield from _fields(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, info


def _section_type(info: FieldInfo) -> type[BaseModel] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _default(info: FieldInfo) -> str:
    return "required" if info.is_required() else _as_toml(info.default)


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
        for bound in info.metadata
        for attribute, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        if hasattr(bound, attribute)
    ]
    return " ".join([name, ", ".join(bounds)]).strip()


def _kind_name(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(str(choice) for choice in arguments)
    if origin is Annotated:
        return _kind_name(arguments[0])
    if origin is tuple:
        return "[" + ", ".join(_kind_name(argument) for argument in arguments) + "]"
    if origin is dict:
        return f"table of {_kind_name(arguments[1])}"
    if origin in (Union, types.UnionType):
        return " or ".join(_kind_name(argument) for argument in arguments)
    names = {int: "integer", float: "number", bool: "true | false", str: "text", Path: "path", type(None): "none"}
    return names.get(kind, str(kind))


def _override(content: dict[str, Any], override: str) -> str:
    """Lay `section.key=value` over `content` in place; returns the key."""
    key, equals, text = override.partition("=")
    key = key.strip()
    names = key.split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {override}: expected section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for name in names[:-1]:
        content = content.setdefault(name, {})
        if not isinstance(content, dict):
            raise ConfigError(f"--set {override}: {key} does not exist, because {name} is a value, not a section")
    content[names[-1]] = value
    return key


def _checked(content: Mapping[str, Any], source: str, overridden: frozenset[str]) -> Config:
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
    return f"{source}: {key}: {message}, got {json.dumps(detail['input'], default=str)}"


def _nearest(location: tuple[int | str, ...]) -> str:
    section: type[BaseModel] = Config
    for part in location[:-1]:
        inner = _section_type(section.model_fields[str(part)])
        if inner is None:
            break
        section = inner
    known = list(section.model_fields)
    prefix = "".join(f"{part}." for part in location[:-1])
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    elsewhere = [key for key, _ in _fields(Config) if key.rpartition(".")[2] == location[-1]]
    candidates = elsewhere + [prefix + name for name in near]  # the right name in the wrong section comes first
    hint = f"did you mean {candidates[0]}? " if candidates else ""
    return f"{hint}valid keys{' of ' + prefix[:-1] if prefix else ''}: {', '.join(known)}"
