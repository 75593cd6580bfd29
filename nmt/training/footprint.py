"""The memory that a training step needs for its batch, told from the batch's shape before it runs.

The recurrent layers, attention, linear layers and the output layer plan their memory, and are asked. The rest are
tensors between them: those that autograd holds for the backward pass, and those that live at its peak. They are counted
one by one from the network's code, in numbers for each token, and rounded up: `MARGIN` makes up for the allocator.
Parameters, gradients and the optimiser's moments are not part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.config import ModelConfig, Precision
from nmt.model.needs import attention_needs, called, linear_workspace, rounded_bytes, stretch_of
from nmt.model.readout import loss_workspace
from nmt.model.recurrent import needs
from nmt.model.seq2seq import Seq2Seq
from nmt.training.precision import mixed

MARGIN = 1.15
"""What a prediction is multiplied by before it is compared with a limit."""
_FLOAT = 4
_STORED = 12  # values that a layer keeps at most, for each hidden unit, time step and sequence
_WORKSPACE = 12  # values of workspace at most, counted in the same way, beside packed weights and small blocks


@dataclass(frozen=True)
class Need:
    """Bytes of one batch, by part."""

    reserve: int
    """What the recurrent layers keep from forward to backward."""
    workspace: int
    """What a call of the engine needs for itself, be it of theirs, of attention or of a linear layer: the largest."""
    output: int
    """Output layer and loss."""
    attention: int
    """What attention keeps: the context and a logarithm for each row; on CUDA its weights, too."""
    activations: int
    """All else that grows with the tokens."""

    @property
    def total(self) -> int:
        """All parts, with the margin."""
        return int(MARGIN * (self.reserve + self.workspace + self.output + self.attention + self.activations))


class Footprint:
    """Predicts the memory of batches.

    Args:
        model: The network.
        shape: Its settings.
        precision: What it is trained in.
        rdrop: Whether every pair is run twice (`training.rdrop`).
    """

    def __init__(
        self, model: Seq2Seq, shape: ModelConfig, precision: Precision = "float32", *, rdrop: bool = False
    ) -> None:
        self._model, self._shape, self._precision, self._rdrop = model, shape, precision, rdrop

    def need(self, source_lengths: Sequence[int], target_lengths: Sequence[int]) -> Need:
        """Predict a batch.

        Args:
            source_lengths: Steps of each source, [B], eos included.
            target_lengths: Steps of each target, [B].
        """
        if self._rdrop:
            source_lengths = [length for length in source_lengths for _ in range(2)]
        batch, target_steps = len(source_lengths), max(target_lengths)
        with mixed(self._model.device, self._precision):
            stacks = [needs(self._model.encoder.layers, list(source_lengths), batch)]
            stacks += [needs(stack, target_steps, batch) for stack in self._model.decoder.layers]
        reserve, workspace = (list(column) for column in zip(*stacks, strict=True))
        return self._with(max(source_lengths), target_steps, batch, sum(reserve), max(workspace))

    def bound(self, source_steps: int, target_steps: int, batch: int) -> int:
        """Tell bytes that no batch of this shape needs more than, much faster than `need`.

        Args:
            source_steps: S.
            target_steps: T.
            batch: B.
        """
        shape, batch = self._shape, 2 * batch if self._rdrop else batch
        width = _FLOAT * batch * shape.hidden_size
        encoder, decoder = 2 * width * source_steps, width * target_steps
        reserve = _STORED * (encoder * shape.encoder_layers + decoder * shape.decoder_layers)
        weights = 4 * 8 * shape.hidden_size * (shape.embedding_size + 4 * shape.hidden_size) * _FLOAT + 2**20
        layers = shape.decoder_layers  # which a replay from checkpoints has all under way
        workspace = _WORKSPACE * max(encoder, layers * decoder) + layers * weights
        return self._with(source_steps, target_steps, batch, reserve, workspace).total

    def _with(self, source_steps: int, target_steps: int, batch: int, reserve: int, workspace: int) -> Need:
        """Add what all else needs to what the recurrent layers need."""
        shape, decoder = self._shape, self._model.decoder
        width, hidden, states = shape.embedding_size, shape.hidden_size, self._model.encoder.output_size
        weight, _ = self._model.output_layer
        # Values for each source token. Of width 2H: the states as the layers give them, padded and dropped, and four
        # gradients. Of width H: the keys and their gradient.
        source = 7 * states + 2 * hidden
        # Values for each target token. Of width H: the layers' output, the attentional vector, the gradients of both
        # and of what tanh was taken of, the query. Of width 2H: the context's gradient.
        target = 6 * hidden + states
        if shape.context == "upper":  # what the upper layers read, what dropout leaves of it, and their gradients
            target += 4 * (states + hidden) + 2 * hidden * (shape.decoder_layers - 1)
        # Of width E, for each source token: the embedding, what dropout leaves of it, the packed copy, two gradients;
        # for each target token: the first two, two gradients, the result and its gradient twice.
        embedded = _FLOAT * batch * (5 * source_steps + 7 * target_steps) * width
        rows = batch * max(source_steps, target_steps)
        with mixed(self._model.device, self._precision):
            value = called(weight).itemsize
            attended = target_steps
            if shape.input_feeding:
                # What the first layer reads and its gradient, a sum for keys and values over stretches of steps; of one
                # stretch alone what attention gives, the gradients of that, of the query and of the vector.
                attended = stretch_of(decoder.attention, target_steps)
                target += width + 2 * hidden - states
                source += states + hidden if attended < target_steps else 0
            stretch = value * batch * attended * (states + 2 * hidden) if shape.input_feeding else 0
            attention, inside = attention_needs(decoder.attention, source_steps, attended, batch)
            linear = [decoder.attention.key_projection, decoder.attentional, decoder.readout]
            inside = max(workspace, inside, *(linear_workspace(each, rows) for each in linear))
            inside += workspace if shape.input_feeding else 0  # one call is in the middle of the other
            inside += max(rounded_bytes(stack) for stack in (self._model.encoder.layers, *decoder.layers))
            # The gradient of an embedding is as large as its table; one is computed while another is kept.
            output = loss_workspace(weight, batch * target_steps, divergence=self._rdrop)
        output += 2 * _FLOAT * weight.numel()
        activations = stretch + embedded + value * batch * (source_steps * source + target_steps * target)
        return Need(reserve, inside, output, attention, activations)
