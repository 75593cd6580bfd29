"""The decoder: residual recurrent layers, attention after the stack, the attentional vector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nmt.model.attention import Attention, AttentionMemory
from nmt.model.encoder import EncoderOutput
from nmt.model.recurrent import Stepper, recurrent, run, share, steppers


@dataclass(frozen=True)
class DecoderState:
    """Where B sentences with K hypotheses each stand; hypothesis n = b * K + k, N = B * K."""

    memory: AttentionMemory
    """The B sources, stored once per sentence, not per hypothesis."""
    hidden: Tensor
    """[L, N, H]."""
    cell: Tensor
    """[L, N, H]."""
    attention: Tensor
    """[N, S], the attention weights of the last step; zero before the first."""
    steppers: tuple[Stepper, ...] | None = None
    """The layers with their weights packed for many steps; None where gradients flow."""


@dataclass(frozen=True)
class DecoderDropout:
    """Probabilities of dropping a value, in training."""

    layers: float = 0.0
    """Between layers."""
    output: float = 0.0
    """On the attentional vector."""
    attention: float = 0.0
    """On the attention weights."""


class Decoder(nn.Module):
    """Recurrent layers, each a module of its own, with a residual connection around every one from the second on.

    The attentional vector is not fed back into the recurrence: in training the whole target runs through a layer in one
    call, and attention and output layer are plain matrix products.

    Args:
        cell: A key of `nmt.model.recurrent.CELLS`.
        embedding_size: Width of the embeddings, E, and of the result.
        hidden_size: Width of a layer, H.
        layers: Number of layers, L.
        encoder_size: Width of the encoder's states, C.
        attention: "dot" or "general".
        dropout: Where values are dropped, and how many.
        memory: What the layers keep for their backward pass, as in `model.memory`; bytes are divided among them.

    Source: Luong et al. 2015, equation 5 (the attentional vector); Wu et al. 2016 (residual connections).
    """

    def __init__(
        self,
        cell: str,
        embedding_size: int,
        hidden_size: int,
        layers: int,
        encoder_size: int,
        attention: str,
        dropout: DecoderDropout,
        memory: str | int = "store",
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.bridge = nn.Linear(encoder_size, 2 * layers * hidden_size)
        self.layers = nn.ModuleList(
            recurrent(cell, embedding_size if layer == 0 else hidden_size, hidden_size, memory=share(memory, layers))
            for layer in range(layers)
        )
        self.attention = Attention(attention, hidden_size, encoder_size, dropout.attention)
        self.attentional = nn.Linear(encoder_size + hidden_size, hidden_size)
        self.readout = nn.Linear(hidden_size, embedding_size)
        self.layer_dropout = nn.Dropout(dropout.layers)
        self.output_dropout = nn.Dropout(dropout.output)
        for linear in (self.bridge, self.attentional, self.readout):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def start(self, encoded: EncoderOutput) -> DecoderState:
        """Make the state before the first token, with one hypothesis per sentence.

        Args:
            encoded: B encoded sources.

        Returns:
            The state, N = B.
        """
        source_length, batch, _ = encoded.states.shape
        states = torch.tanh(self.bridge(encoded.summary))  # [B, 2 * L * H]
        hidden, cell = states.view(batch, 2, -1, self.hidden_size).permute(1, 2, 0, 3)  # each [L, B, H]
        memory = self.attention.memory(encoded.states, encoded.lengths)
        attention = encoded.states.new_zeros(batch, source_length)
        packed = None if torch.is_grad_enabled() else steppers(self.layers)
        return DecoderState(memory, hidden.contiguous(), cell.contiguous(), attention, packed)

    def forward(self, embedded: Tensor, start: DecoderState) -> Tensor:
        """Run whole targets, as in training.

        Args:
            embedded: Target embeddings, [T, B, E].
            start: The result of `start`.

        Returns:
            Vectors for the output layer, [T, B, E].
        """
        return self.run(embedded, start)[0]

    def run(self, embedded: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        """Run a stretch of known targets, from the first token or from where another stretch ended.

        Args:
            embedded: Target embeddings, [T, B, E], T at least 1.
            state: The state before them, with one hypothesis per sentence.

        Returns:
            Vectors for the output layer [T, B, E], attention weights [T, B, S], and the state after them.
        """
        states, hidden, cell = self._recurrence(embedded, state)  # [T, B, H]
        output, weights = self._attend(states, state.memory)  # [T, B, E], [T, B, S]
        return output, weights, replace(state, hidden=hidden, cell=cell, attention=weights[-1])

    def step(self, embedded: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Advance every hypothesis by one token.

        Args:
            embedded: Embeddings of the last tokens, [N, E].
            state: The state before it.

        Returns:
            Vectors for the output layer [N, E], and the state after it.
        """
        states, hidden, cell = self._recurrence(embedded[None], state)  # [1, N, H]
        queries = states.view(len(state.memory.lengths), -1, self.hidden_size).transpose(0, 1)  # [K, B, H]
        output, weights = self._attend(queries, state.memory)  # [K, B, E], [K, B, S]
        attention = weights.transpose(0, 1).flatten(0, 1)  # [N, S]
        return output.transpose(0, 1).flatten(0, 1), replace(state, hidden=hidden, cell=cell, attention=attention)

    def _recurrence(self, inputs: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, Tensor]:
        """Run the layers over [T, N, E]; returns their output [T, N, H] and their last states, each [L, N, H]."""
        hidden, cell = [], []
        layers: Iterable[Any] = state.steppers or self.layers
        for index, layer in enumerate(layers):
            before = (state.hidden[index : index + 1], state.cell[index : index + 1])
            output, (last_hidden, last_cell) = run(layer, inputs if index == 0 else self.layer_dropout(inputs), before)
            inputs = output if index == 0 else inputs + output
            hidden.append(last_hidden)
            cell.append(last_cell)
        return inputs, torch.cat(hidden), torch.cat(cell)

    def _attend(self, states: Tensor, memory: AttentionMemory) -> tuple[Tensor, Tensor]:
        """Turn states [Q, B, H] into vectors for the output layer [Q, B, E]; also returns the weights [Q, B, S]."""
        context, weights = self.attention(states, memory)  # [Q, B, C]
        vectors = torch.tanh(self.attentional(torch.cat([context, states], dim=-1)))  # [Q, B, H]
        return self.readout(self.output_dropout(vectors)), weights


def reorder(state: DecoderState, index: Tensor) -> DecoderState:
    """Continue with chosen hypotheses of chosen sentences.

    The sources are copied only when a sentence leaves the batch.

    Args:
        state: The state of B sentences with K hypotheses each.
        index: [B', K'] int64, hypotheses numbered 0..N-1; a row's entries belong to one sentence.

    Returns:
        The state of B' sentences with K' hypotheses each.
    """
    batch = len(state.memory.lengths)
    beam = state.hidden.shape[1] // batch
    sentences = index[:, 0] // beam  # [B']
    memory = state.memory
    if len(sentences) != batch or not torch.equal(sentences, torch.arange(batch, device=index.device)):
        memory = memory.select(sentences)
    flat = index.flatten()  # [N']
    return replace(
        state,
        memory=memory,
        hidden=state.hidden[:, flat],
        cell=state.cell[:, flat],
        attention=state.attention[flat],
    )
