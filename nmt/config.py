"""Every setting of the toolkit, once: its meaning, unit, default and bounds.

The TOML file, `--set section.key=value`, the help texts and the `config.json` of a model folder all come from here.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FORMAT_VERSION = 1
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class ConfigError(ValueError):
    """A setting that is unknown, missing or out of bounds; the message names file, key and what was expected."""


class Section(BaseModel):
    """Base of every section: unknown keys are errors and values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DataConfig(Section):
    """Where the text lies, and how it becomes ids."""

    source_language: str = "src"
    """Language code of the source, as written in the model's card."""
    target_language: str = "tgt"
    """Language code of the target."""
    train: tuple[Path, Path]
    """Source and target file for training: plain or .gz, UTF-8, one segment per line."""
    valid: tuple[Path, Path]
    """Source and target file for validation."""
    test: dict[str, tuple[Path, Path]] = {}
    """Named test sets, each a source and a target file; scored by `nmt evaluate --test NAME`."""
    vocabulary_size: int = Field(default=8000, ge=16, le=256_000)
    """Subword vocabulary size, in pieces."""
    subword_model: Literal["unigram", "bpe"] = "unigram"
    """SentencePiece model type."""
    joint_vocabulary: bool = True
    """One vocabulary for both languages (needed by model.tie_embeddings across languages)."""
    character_coverage: float = Field(default=1.0, ge=0.9, le=1.0)
    """Share of characters that the subword model covers; 0.9995 for scripts with many characters."""
    max_length: int = Field(default=100, ge=2, le=10_000)
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
    folder: Path
    """Where everything of this model goes: prepared data, checkpoints, log, and the model itself."""
    data: DataConfig
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()

    @model_validator(mode="after")
    def _check_across_sections(self) -> Config:
        if self.training.optimizer == "adam" and self.training.weight_decay:
            raise ValueError("training.weight_decay needs training.optimizer = 'adamw'")
        return self
