"""Every setting of the toolkit, once: its meaning, unit, default and bounds.

The TOML file, `--set section.key=value`, the help texts and the `config.json` of a model folder all come from here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_validator,
)

from nmt.config_data import DataConfig, PathSetting, Section
from nmt.values import (
    BATCH_SIZE,
    BEAM_SIZE,
    CHECKPOINTS,
    DEVICES,
    DOUBTFUL,
    FORMAT_VERSION,
    HEADS,
    LAYERS,
    LENGTH_EXTRA,
    LENGTH_FACTOR,
    LENGTH_PENALTY,
    THREADS,
    WIDTH,
    ZONEOUT,
    is_device,
    parse_bytes,
)

_MOST_STEPS: Final = 1_000_000_000


def _check_memory(value: object) -> object:
    """As `rnn_engine.Memory.parse`, which settings must not import."""
    if value in MEMORY_POLICIES or parse_bytes(value) is not None:
        return value
    raise ValueError(f"expected {', '.join(MEMORY_POLICIES)} or a number of bytes such as 256MiB")


def _check_device(value: str) -> str:
    if is_device(value):
        return value
    raise ValueError(DEVICES)


def _check_limit(value: object) -> object:
    if value == "auto" or parse_bytes(value) is not None:
        return value
    raise ValueError("expected auto or a number of bytes such as 2GiB")


MEMORY_POLICIES: Final = ("store", "recompute", "checkpoint")
"""What recurrent layers may keep for their backward pass, beside a number of bytes."""
MemorySetting = Annotated[str | int, BeforeValidator(_check_memory)]
"""One of `MEMORY_POLICIES`, or a number of bytes."""
MemoryLimit = Annotated[str | int, BeforeValidator(_check_limit)]
"""`auto`, or a number of bytes."""
DeviceSetting = Annotated[str, AfterValidator(_check_device)]
"""`auto`, `cpu`, `cuda` or `cuda:N`."""
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


CONTINUED: Final = {"epochs": 8, "learning_rate": 5e-4, "warmup_steps": 50, "validate_every": 100, "patience": 5}
"""What is usual in `training` for a model that starts from another: less and shorter than from random weights."""


class ConfigError(ValueError):
    """A setting that is unknown, missing or out of bounds; the message names file, key and what was expected."""


class ModelConfig(Section):
    """Shape of the network."""

    cell: Literal["lstm", "mi_lstm", "layer_norm_lstm", "layer_norm_mi_lstm", "gru"] = "lstm"
    """Recurrent cell of encoder and decoder: `lstm`; `mi_lstm`, whose gates multiply what comes from the input and
    from the state; `layer_norm_*`, with layer normalisation; or `gru`, a quarter smaller, with one state."""
    embedding_size: int = Field(default=256, ge=WIDTH.least, le=WIDTH.most)
    """Width of the embeddings."""
    hidden_size: int = Field(default=320, ge=WIDTH.least, le=WIDTH.most)
    """Width of a recurrent layer, per direction."""
    encoder_layers: int = Field(default=1, ge=LAYERS.least, le=LAYERS.most)
    """Bidirectional encoder layers."""
    decoder_layers: int = Field(default=2, ge=LAYERS.least, le=LAYERS.most)
    """Decoder layers; from the second on, with a residual connection around each."""
    attention: Literal["dot", "general", "additive"] = "dot"
    """How attention scores a source position: `dot`, the scaled product of the decoder's state and the projected
    state of the encoder (Luong); `additive`, a small network of both (Bahdanau), which takes longer; or `general`,
    the same as `dot` with one more matrix, as models of earlier versions have it."""
    attention_heads: int = Field(default=1, ge=HEADS.least, le=HEADS.most)
    """Attention heads, each of which looks with its part of the state at its part of the encoder's states; a divisor
    of `hidden_size`."""
    context: Literal["readout", "upper"] = "readout"
    """Where the decoder reads what attention gives: `readout`, behind its layers, the last of which asks; or `upper`,
    where the first layer asks and those above read it, too."""
    input_feeding: bool = False
    """Whether the decoder's first layer reads, beside a word, the attentional vector of the step before (Luong), and so
    knows what has been looked at. Training then goes step by step, which takes longer. With `context = "readout"`."""
    attend_embeddings: bool = False
    """Whether attention averages the source's embeddings, too, beside the encoder's states: of a word that is read, and
    not only of its sentence, the decoder knows which it is, and may translate it by itself or copy it."""
    tie_embeddings: bool = True
    """Share the target embedding with the output layer and, with a joint vocabulary, with the source embedding."""
    dropout: Fraction = 0.3
    """Dropout on embeddings, between recurrent layers and on the attentional vector, as a probability; the three
    settings that follow replace it in one place each."""
    embedding_dropout: Fraction | None = None
    """Dropout on the embeddings; `dropout` if not given."""
    layer_dropout: Fraction | None = None
    """Dropout between recurrent layers and on the encoder's states; `dropout` if not given."""
    output_dropout: Fraction | None = None
    """Dropout on the attentional vector; `dropout` if not given."""
    attention_dropout: Fraction = 0.0
    """Dropout on the attention weights."""
    dropout_mask: Literal["value", "sentence"] = "value"
    """Whether dropout on embeddings, layers and the attentional vector is drawn for every value, or once for all steps
    of a sentence (Gal and Ghahramani)."""
    recurrent_dropout: Fraction = 0.0
    """Dropout on the state that a recurrent layer goes on from, with one mask for all steps of a sentence; dropout
    between recurrent layers then has one mask for all steps, too (Gal and Ghahramani)."""
    zoneout: float = Field(default=ZONEOUT.least, ge=ZONEOUT.least, le=ZONEOUT.most)
    """Probability with which, in training, a value of a recurrent layer's state stays what it was a step before; in
    translating this share of each stays (Krueger and others). Rounded to millionths."""
    word_dropout: Fraction = 0.0
    """Probability with which training replaces the whole embedding of a subword by zeros, on either side."""
    memory: MemorySetting = "store"
    """Activation memory, what the recurrent layers keep for their backward pass: `store` all; `recompute` or
    `checkpoint` less, and compute the rest again; or bytes such as "256MiB", within which each stack (the encoder's
    layers; the decoder's, or with `context = "upper"` each of them an equal part) takes the fastest mix, or if none
    fits, the smallest. The model's bits do not depend on it, and it may change between stopping and going on."""


Precision = Literal["float32", "bfloat16", "float16", "auto"]


class TrainingConfig(Section):
    """How the network is trained."""

    batch_tokens: int = Field(default=3000, ge=1, le=1_000_000)
    """Padded tokens per batch, the larger of the source's and the target's side."""
    batch_memory: MemoryLimit = "auto"
    """Bytes such as "2GiB" that a batch may need beside the parameters; `auto` is 60 % of what is available at the
    start, container limits included, or of what the card has free. A batch predicted to need more runs in smaller
    pieces; a pair that alone needs more is left out, and said to be."""
    accumulate: int = Field(default=1, ge=1, le=10_000)
    """Batches whose gradients are added up for one optimiser step, in each process that trains."""
    gradient_precision: Literal["float32", "bfloat16"] = "float32"
    """What several processes send each other gradients in; they are added up in float32. `bfloat16` is half the
    bytes."""
    outer_every: int = Field(default=0, ge=0, le=_MOST_STEPS)
    """Steps that each of several processes takes by itself, on batches of its own, before all put together what they
    have learned in an outer step; 0: they add up their gradients in every step."""
    outer_learning_rate: float = Field(default=0.7, gt=0, le=2)
    """Learning rate of outer steps: the share of the processes' mean way that is gone, momentum aside."""
    outer_momentum: Fraction = 0.9
    """Nesterov momentum of outer steps."""
    epochs: int = Field(default=12, ge=1, le=1_000_000)
    """Passes over the training pairs; the learning-rate schedule ends with the last one."""
    max_steps: int | None = Field(default=None, ge=1, le=_MOST_STEPS)
    """Optimiser steps after which training ends, if that comes before the last epoch."""
    max_minutes: float | None = Field(default=None, gt=0, le=1_000_000)
    """Wall-clock budget in minutes; the schedule then ends with whichever comes first."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Optimiser."""
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    """Peak learning rate."""
    learning_rate_scaling: Literal["none", "sqrt", "linear"] = "none"
    """What `learning_rate` is multiplied by where a step has several batches (processes times `accumulate`): nothing,
    the square root of their number, or their number."""
    adam_betas: tuple[Fraction, Fraction] = (0.9, 0.98)
    """Decay of Adam's first and second moment."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Decoupled weight decay of matrices, not of biases and gains; adamw only."""
    schedule: Literal["linear", "cosine", "inverse_sqrt", "plateau"] = "linear"
    """Learning rate after the warm-up: at its peak, then falling to zero along a line over the last `decay_fraction`;
    falling to zero along a cosine; falling with the square root of the steps; at its peak until validations stop
    improving, then multiplied by `plateau_factor`."""
    warmup_steps: int = Field(default=200, ge=0, le=_MOST_STEPS)
    """Steps of linear warm-up."""
    decay_fraction: float = Field(default=0.4, ge=0.0, le=1.0)
    """Last share of training over which the learning rate falls to zero; schedule linear only."""
    plateau_factor: float = Field(default=0.5, gt=0.0, lt=1.0)
    """What the learning rate is multiplied by when validations stop improving; schedule plateau only."""
    plateau_patience: int = Field(default=2, ge=1, le=1_000_000)
    """Validations without improvement after which it is; schedule plateau only."""
    precision: Precision = "float32"
    """`bfloat16`, or on CUDA `float16`: the recurrent layers, the attention and the output layer store and multiply in
    it, and add up in float32; the parameters and the optimiser stay in float32. With `float16` the loss is scaled, so
    that small gradients are not lost; steps whose gradients overflow are left out. `auto`: `bfloat16` where the
    device multiplies it faster than float32 (processors with AMX, AMD's with AVX-512 BF16, cards from compute
    capability 8.0 on), else `float32`; it stays as chosen where training goes on."""
    device: DeviceSetting = "cpu"
    """`cpu`, `cuda` (the first CUDA device), `cuda:N`, or `auto`: the first CUDA device if it can be used, else the
    CPU. It may change between stopping and going on."""
    tf32: bool = False
    """Let float32 products on CUDA round what they multiply to TF32: 10 bits instead of 23, several times faster."""
    clip_norm: float = Field(default=1.0, gt=0, le=1e9)
    """Global norm to which gradients are clipped."""
    label_smoothing: Fraction = 0.1
    """Probability mass spread evenly over the vocabulary."""
    rdrop: float = Field(default=0.0, ge=0.0, le=100.0)
    """R-Drop: every batch is run twice, with other dropout, and the loss is the mean of both plus a quarter of this
    times the divergence of their predictions, there and back (Liang and others; they take 5). 0 turns it off; a step
    takes twice as long."""
    sampled_softmax: int = Field(default=0, ge=0, le=10_000_000)
    """Subwords that each batch is scored against beside its own ones, drawn anew from the rest of the vocabulary with
    weights that make up for those that were not (Jean and others); 0: all. Steps are faster, the more so the larger the
    vocabulary; the training loss is then an estimate, and label smoothing spreads over what is scored."""
    ema_decay: Fraction = 0.0
    """Exponential moving average of the parameters, used for validation and the saved model; 0 turns it off."""
    subword_regularization: Fraction = 0.0
    """Share of training sentences whose subwords are drawn anew each time instead of being the likeliest ones (never
    more than twice as many)."""
    subword_alpha: float = Field(default=0.2, gt=0.0, le=1.0)
    """How they are drawn: for unigram, the smoothing exponent (smaller is more varied); for bpe, the share of merges
    left out."""
    subword_regularization_side: Literal["both", "source"] = "both"
    """Whether subwords of both sides are drawn anew, or of the source alone."""
    subword_regularization_until: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of `epochs` after which no more are, so that training ends on the subwords that translating meets."""
    validate_every: int = Field(default=500, ge=1, le=_MOST_STEPS)
    """Steps between two validations; each is saved as a checkpoint, and the best of them kept."""
    checkpoint_every: int | None = Field(default=None, ge=1, le=_MOST_STEPS)
    """Steps between two further checkpoints, for long pauses between validations; none if not given."""
    patience: int = Field(default=10, ge=1, le=1_000_000)
    """Validations without improvement after which training stops."""
    early_stopping_metric: Literal["bleu", "loss"] = "loss"
    """What counts as improvement on the validation set."""
    keep_checkpoints: int = Field(default=2, ge=CHECKPOINTS.least, le=CHECKPOINTS.most)
    """Latest checkpoints to keep, beside the best."""
    samples: int = Field(default=3, ge=0, le=100)
    """Validation sentences, of each pair of languages, that every validation writes into training.log, with translation
    and reference; into TensorBoard, too."""
    tensorboard: bool = False
    """Write event files for TensorBoard into `FOLDER/tensorboard` (needs the extra `tensorboard`)."""
    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of parameters, dropout and data order."""
    threads: int | None = Field(default=None, ge=THREADS.least, le=THREADS.most)
    """CPU threads; if not given, OMP_NUM_THREADS, or all cores that the process may use."""


class DecodingConfig(Section):
    """How translations are searched."""

    beam_size: int = Field(default=5, ge=BEAM_SIZE.least, le=BEAM_SIZE.most)
    """Hypotheses kept per sentence; 1 is greedy search."""
    length_penalty: float = Field(default=1.0, ge=LENGTH_PENALTY.least, le=LENGTH_PENALTY.most)
    """Exponent of the length by which a hypothesis' log-probability is divided."""
    max_length_factor: float = Field(default=2.0, gt=LENGTH_FACTOR.least, le=LENGTH_FACTOR.most)
    """Longest translation, in target subwords per source subword."""
    max_length_extra: int = Field(default=20, ge=LENGTH_EXTRA.least, le=LENGTH_EXTRA.most)
    """Subwords added to that limit."""
    batch_size: int = Field(default=64, ge=BATCH_SIZE.least, le=BATCH_SIZE.most)
    """Sentences searched at once; fewer where they are long."""
    retry: bool = True
    """Translate once more, with other settings, what looks like a loop or like dropped content."""
    sentences: bool = True
    """Translate the sentences of a line one by one, if the training text was sentences (`lines`)."""


class Config(Section):
    """All settings."""

    format_version: Literal[1] = FORMAT_VERSION
    """Version of the model folder's format."""
    lines: Literal["sentences", "texts"] | None = None
    """What a line of the training text is: mostly a sentence, or often several; if not given, it is found out."""
    doubtful: float | None = Field(default=None, ge=DOUBTFUL.least, le=DOUBTFUL.most)
    """Log-probability per subword below which a translation is in doubt; if not given, the validation loss decides."""
    folder: PathSetting
    """Where everything of this model goes: prepared data, checkpoints, log, and the model itself."""
    start_from: PathSetting | None = None
    """A model folder whose parameters training starts from, with its subwords, to go on with other text; what is not
    set is then as in that model, or as suits a short training. `nmt train --from` sets it."""
    license: str = ""
    """Licence of the model, as its card tells it, such as CC-BY-4.0; the card claims none if not given."""
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
        training, every = self.training, self.training.outer_every
        if every and training.validate_every % every:
            raise ValueError(
                f"training.validate_every: expected a multiple of training.outer_every = {every}, where all processes "
                f"have the same parameters, got {training.validate_every}"
            )
        if every and training.precision == "float16":
            raise ValueError("training.outer_every: expected training.precision float32 or bfloat16, got float16")
        heads, width = self.model.attention_heads, self.model.hidden_size
        if width % heads:
            raise ValueError(f"model.attention_heads: expected a divisor of model.hidden_size = {width}, got {heads}")
        if self.model.attend_embeddings and self.model.embedding_size % heads:
            raise ValueError(
                "model.attention_heads: expected, with model.attend_embeddings, a divisor of model.embedding_size = "
                f"{self.model.embedding_size}, too, got {heads}"
            )
        if self.model.input_feeding and self.model.context != "readout":
            raise ValueError(
                "model.input_feeding: expected model.context = 'readout', where the last layer asks, and the first is "
                f"fed what comes of it, got {self.model.context!r}"
            )
        return self
