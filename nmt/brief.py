"""The settings that translating takes, read without pydantic: importing it takes longer than a translation.

What is read here is what `nmt.config_file` would read. Where anything is not plainly as this program writes it, nothing
is read, and the settings are for `nmt.config_file`, which knows what is missing or wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from nmt.languages import CODE, Direction, distinct, folded
from nmt.reading import read_regular
from nmt.values import (
    BATCH_SIZE,
    BEAM_SIZE,
    DOUBTFUL,
    FORMAT_VERSION,
    HEADS,
    LAYERS,
    LENGTH_EXTRA,
    LENGTH_FACTOR,
    LENGTH_PENALTY,
    LONGEST_PIECE,
    WIDTH,
    ZONEOUT,
    Bounds,
    subword_files,
)

if TYPE_CHECKING:
    from nmt.config import Config


class DataSettings(NamedTuple):
    """See `nmt.config.DataConfig`."""

    source_language: str
    target_language: str
    joint_vocabulary: bool
    max_length: int
    corpora: tuple[Direction, ...] = ()
    """Languages of each."""

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Codes of source and target of each pair of languages, once."""
        pairs = self.corpora or ((self.source_language, self.target_language),)
        return tuple({(folded(source), folded(target)): (source, target) for source, target in pairs}.values())

    @property
    def target_languages(self) -> tuple[str, ...]:
        """Codes of the languages to translate to, each once."""
        return tuple(distinct(target for _, target in self.directions))

    @property
    def subword_files(self) -> tuple[str, ...]:
        """Names of the subword models in the model folder."""
        return subword_files(self.joint_vocabulary)


class ModelSettings(NamedTuple):
    """See `nmt.config.ModelConfig`."""

    cell: str
    embedding_size: int
    hidden_size: int
    encoder_layers: int
    decoder_layers: int
    attention: str
    tie_embeddings: bool
    attention_heads: int = 1
    context: str = "readout"
    zoneout: float = 0.0
    input_feeding: bool = False
    attend_embeddings: bool = False


class DecodingSettings(NamedTuple):
    """See `nmt.config.DecodingConfig`."""

    beam_size: int
    length_penalty: float
    max_length_factor: float
    max_length_extra: int
    batch_size: int
    retry: bool
    sentences: bool = True


class BriefSettings(NamedTuple):
    """Those of `nmt.config.Config` that translating takes."""

    lines: str | None
    doubtful: float | None
    data: DataSettings
    model: ModelSettings
    decoding: DecodingSettings


Settings: TypeAlias = "Config | BriefSettings"
"""What translating takes its settings from."""


def _one_of(*choices: str | None) -> Callable[[object], bool]:
    return lambda value: value in choices


def _within(bounds: Bounds) -> Callable[[object], bool]:
    """Whether a value is a number of the kind of the bounds; JSON has no nan that is within any."""
    kind = type(bounds.least)
    return lambda value: type(value) is kind and bounds.least <= value <= bounds.most


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_flag(value: object) -> bool:
    return type(value) is bool


_DATA: Final[Mapping[str, Callable[[object], bool]]] = {
    "source_language": _is_text,
    "target_language": _is_text,
    "joint_vocabulary": _is_flag,
    "max_length": _within(LONGEST_PIECE),
}
_MODEL: Final[Mapping[str, Callable[[object], bool]]] = {
    "cell": _one_of("lstm", "mi_lstm", "layer_norm_lstm", "layer_norm_mi_lstm", "gru"),
    "embedding_size": _within(WIDTH),
    "hidden_size": _within(WIDTH),
    "encoder_layers": _within(LAYERS),
    "decoder_layers": _within(LAYERS),
    "attention": _one_of("dot", "general", "additive"),
    "tie_embeddings": _is_flag,
    "attention_heads": _within(HEADS),
    "context": _one_of("readout", "upper"),
    "zoneout": _within(ZONEOUT),
    "input_feeding": _is_flag,
    "attend_embeddings": _is_flag,
}
_DECODING: Final[Mapping[str, Callable[[object], bool]]] = {
    "beam_size": _within(BEAM_SIZE),
    "length_penalty": _within(LENGTH_PENALTY),
    "max_length_factor": lambda value: _within(LENGTH_FACTOR)(value) and value != 0,
    "max_length_extra": _within(LENGTH_EXTRA),
    "batch_size": _within(BATCH_SIZE),
    "retry": _is_flag,
    "sentences": _is_flag,
}


def read_brief(path: Path) -> BriefSettings | None:
    """Read what translating takes of a `config.json` that is as it was written; see `parse_brief`."""
    try:
        return parse_brief(read_regular(path))
    except OSError:
        return None


def parse_brief(text: bytes) -> BriefSettings | None:
    """Read what translating takes of settings that are as they were written.

    Args:
        text: What a `config.json` holds.

    Returns:
        The settings; None where `nmt.config_file` must read them.
    """
    try:
        content = json.loads(text)
        if content["format_version"] != FORMAT_VERSION:
            return None
        return BriefSettings(
            _checked("lines", content.get("lines"), _one_of("sentences", "texts", None)),
            _checked("doubtful", content.get("doubtful"), lambda value: value is None or _within(DOUBTFUL)(value)),
            DataSettings(**_section(content["data"], _DATA), corpora=_pairs(content["data"].get("corpora", []))),
            ModelSettings(**_section(content["model"], _MODEL)),
            DecodingSettings(**_section(content["decoding"], _DECODING)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # something is missing, or not plainly right


def _section(values: Mapping[str, Any], checks: Mapping[str, Callable[[object], bool]]) -> dict[str, Any]:
    """Take the settings of a section that are there."""
    return {name: _checked(name, values[name], check) for name, check in checks.items() if name in values}


def _pairs(corpora: object) -> tuple[Direction, ...]:
    """Take the languages of corpora."""
    if not isinstance(corpora, list):
        raise TypeError("corpora")
    pairs = [(each["source_language"], each["target_language"]) for each in corpora]
    if not all(_is_text(code) and CODE.fullmatch(code) for pair in pairs for code in pair):
        raise ValueError("corpora")
    return tuple(pairs)


def _checked(name: str, value: Any, check: Callable[[object], bool]) -> Any:
    if not check(value):
        raise ValueError(name)
    return value
