"""What a network is made of: its sizes, and the names and shapes of its parameters. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnn_engine.spec import CELLS, StackSpec

if TYPE_CHECKING:
    from nmt.brief import Settings


@dataclass(frozen=True)
class NetworkShape:
    """The sizes of a network, in which its parameters' shapes are known."""

    cell: str
    """A cell of `rnn_engine.spec.CELLS`."""
    attention: str
    """dot, general or additive."""
    source_vocabulary: int
    target_vocabulary: int
    embedding_size: int
    """E."""
    hidden_size: int
    """H, per direction."""
    encoder_layers: int
    """Bidirectional ones."""
    decoder_layers: int
    attention_heads: int = 1
    context: str = "readout"
    """readout or upper: which layers read what attention gives."""
    zoneout: float = 0.0
    """How much of a layer's states stays at each step what it was."""
    input_feeding: bool = False
    """Whether the decoder's first layer reads the attentional vector of the step before, too."""
    attend_embeddings: bool = False
    """Whether the encoder's states have its embeddings behind them."""
    one_table: bool = False
    """Whether one embedding serves both sides."""
    tied: bool = False
    """Whether the target's embedding is the output layer's weight."""

    @classmethod
    def of(cls, config: Settings, sizes: tuple[int, int]) -> NetworkShape:
        """Read the settings.

        Args:
            config: The settings.
            sizes: Of the source's and the target's vocabulary, in subwords.

        Raises:
            ValueError: A joint vocabulary has two sizes.
        """
        if config.data.joint_vocabulary and sizes[0] != sizes[1]:
            raise ValueError(f"a joint vocabulary has one size, got {sizes[0]} (source) and {sizes[1]} (target)")
        shape = config.model
        return cls(
            shape.cell,
            shape.attention,
            *sizes,
            shape.embedding_size,
            shape.hidden_size,
            shape.encoder_layers,
            shape.decoder_layers,
            shape.attention_heads,
            shape.context,
            shape.zoneout,
            shape.input_feeding,
            shape.attend_embeddings,
            one_table=config.data.joint_vocabulary and shape.tie_embeddings,
            tied=shape.tie_embeddings,
        )

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Names, as in the files of models, and shapes of all parameters; what is shared comes once."""
        width, hidden, target = self.embedding_size, self.hidden_size, self.target_vocabulary
        context = 2 * hidden + (width if self.attend_embeddings else 0)
        states = 1 if CELLS[self.cell].single_state else 2
        upper = context + hidden if self.context == "upper" else hidden
        first = width + hidden if self.input_feeding else width
        encoder = StackSpec(self.cell, width, hidden, self.encoder_layers, bidirectional=True)
        stacks = {"encoder.layers.": encoder} | {
            f"decoder.layers.{layer}.": StackSpec(self.cell, upper if layer else first, hidden)
            for layer in range(self.decoder_layers)
        }
        shapes: dict[str, tuple[int, ...]] = {
            prefix + name: shape for prefix, spec in stacks.items() for name, shape in spec.parameter_shapes().items()
        }
        for name, rows, columns in (
            ("decoder.initial", states * self.decoder_layers * hidden, context),
            ("decoder.combine", hidden, context + hidden),
            ("decoder.project", width, hidden),
        ):
            shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
        shapes["decoder.attention.key_projection.weight"] = (hidden, context)
        if self.attention != "dot":
            shapes["decoder.attention.query_projection.weight"] = (hidden, hidden)
        if self.attention == "additive":
            shapes["decoder.attention.vector"] = (hidden,)
        shapes["source_embedding.table.weight"] = (self.source_vocabulary, width)
        if not self.one_table:
            shapes["target_embedding.table.weight"] = (target, width)
        shapes["output_bias"] = (target,)
        if not self.tied:
            shapes["output_weight"] = (target, width)
        return shapes


def parameter_shapes(config: Settings, sizes: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters of the network that settings describe; see `NetworkShape.of`, and its `parameters`."""
    return NetworkShape.of(config, sizes).parameters()
