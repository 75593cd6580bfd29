"""The decoder: residual recurrent layers, attention after the stack, the attentional vector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nmt.model.attention import Attention, AttentionMemory, AttentionShape
from nmt.model.encoder import EncoderOutput
from nmt.model.recurrent import (
    NO_NOISE,
    LayerNoise,
    Stepper,
    feed,
    number_of_states,
    recurrent,
    run,
    run_fed,
    share,
    steppers,
)
from rnn_engine import Attending, dropout, linear


@dataclass(frozen=True)
class DecoderState:
    """Where B sentences with K hypotheses each stand; hypothesis n = b * K + k, N = B * K."""

    memory: AttentionMemory
    """The B sources, stored once per sentence, not per hypothesis."""
    layers: tuple[Tensor, ...]
    """h and c of the layers, or h alone where their cell has no other, each [L, N, H]."""
    attention: Tensor
    """[N, S], the attention weights of the last step; zero before the first."""
    fed: Tensor | None = None
    """[N, H], the attentional vector of the last step, zero before the first; None without input feeding."""
    steppers: tuple[Stepper, ...] | None = None
    """The stacks with their weights packed for many steps; None where gradients flow."""


@dataclass(frozen=True)
class DecoderDropout:
    """Probabilities of dropping a value, in training."""

    layers: LayerNoise = NO_NOISE
    """In and between layers."""
    output: float = 0.0
    """On the attentional vector."""
    attention: float = 0.0
    """On the attention weights."""


class Decoder(nn.Module):
    """Recurrent layers with a residual connection around every one from the second on.

    Unless the attentional vector is fed back into the recurrence, the whole target runs in training through all layers,
    one stack, in one call, and attention and output layer are plain matrix products. With the context "upper", the
    layers above the first read [context; state], the state being the sum of the layers below; each is then a stack.
    With input feeding the first layer reads [embedding; attentional vector of the step before], and attention runs
    between the steps.

    Args:
        cell: A key of `nmt.model.recurrent.CELLS`.
        embedding_size: Width of the embeddings, E, and of the result.
        hidden_size: Width of a layer, H.
        layers: Number of layers, L.
        encoder_size: Width of the encoder's states, C.
        attention: Its kind, and who reads it.
        dropout: Where values are dropped, and how many.
        memory: What the layers keep for their backward pass, as in `model.memory`; bytes are divided among them.

    Source: Luong et al. 2015, equation 5 (the attentional vector), section 3.3 (input feeding); Wu et al. 2016
    (residual connections).
    """

    def __init__(
        self,
        cell: str,
        embedding_size: int,
        hidden_size: int,
        layers: int,
        encoder_size: int,
        attention: AttentionShape,
        dropout: DecoderDropout,
        memory: str | int = "store",
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.context = attention.context
        self.input_feeding = attention.input_feeding
        first = embedding_size + hidden_size if attention.input_feeding else embedding_size
        upper = encoder_size + hidden_size if attention.context == "upper" else hidden_size
        self.states = number_of_states(cell)
        self.bridge = nn.Linear(encoder_size, self.states * layers * hidden_size)
        heights = [1] * layers if attention.context == "upper" else [layers]
        self.layers = nn.ModuleList(
            recurrent(
                cell,
                upper if number else first,
                hidden_size,
                height,
                noise=dropout.layers,
                residual=True,
                memory=share(memory, len(heights)),
            )
            for number, height in enumerate(heights)
        )
        if attention.input_feeding:
            feed(self.layers[0])
        self.attention = Attention(attention.kind, hidden_size, encoder_size, attention.heads, dropout.attention)
        self.attentional = nn.Linear(encoder_size + hidden_size, hidden_size)
        self.readout = nn.Linear(hidden_size, embedding_size)
        self.dropout = dropout
        for layer in (self.bridge, self.attentional, self.readout):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def start(self, encoded: EncoderOutput) -> DecoderState:
        """Make the state before the first token, with one hypothesis per sentence.

        Args:
            encoded: B encoded sources.

        Returns:
            The state, N = B.
        """
        source_length, batch, _ = encoded.states.shape
        first = linear(encoded.summary, self.bridge.weight, self.bridge.bias, activation="tanh")  # [B, 2 * L * H]
        first = first.view(batch, self.states, -1, self.hidden_size).permute(1, 2, 0, 3)  # [2, L, B, H]
        memory = self.attention.memory(encoded.states, encoded.lengths)
        attention = encoded.states.new_zeros(batch, source_length)
        packed = None if torch.is_grad_enabled() else steppers(self.layers)
        fed = encoded.states.new_zeros(batch, self.hidden_size) if self.input_feeding else None
        return DecoderState(memory, tuple(first.contiguous()), attention, fed, packed)

    def forward(self, embedded: Tensor, start: DecoderState) -> Tensor:
        """Run whole targets, as in training.

        Args:
            embedded: Target embeddings, [T, B, E].
            start: The result of `start`.

        Returns:
            Vectors for the output layer, [T, B, E].
        """
        if start.fed is not None:
            attending = self._attending(start.memory)
            if found := run_fed(self.layers[0], embedded, start.layers, start.fed, attending):
                return linear(found[0], self.readout.weight, self.readout.bias)
        return self._decode(embedded, start, weights=False)[0]

    def run(self, embedded: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        """Run a stretch of known targets, from the first token or from where another stretch ended.

        Args:
            embedded: Target embeddings, [T, B, E], T at least 1.
            state: The state before them, with one hypothesis per sentence.

        Returns:
            Vectors for the output layer [T, B, E], attention weights [T, B, S], and the state after them.
        """
        return self._decode(embedded, state, weights=True)

    def step(self, embedded: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Advance every hypothesis by one token.

        Args:
            embedded: Embeddings of the last tokens, [N, E].
            state: The state before it.

        Returns:
            Vectors for the output layer [N, E], and the state after it.
        """
        output, _, state = self._decode(embedded[None], state, weights=True)
        return output[0], state

    def _decode(self, inputs: Tensor, state: DecoderState, *, weights: bool) -> tuple[Tensor, Tensor, DecoderState]:
        """Run T steps of N hypotheses, inputs [T, N, E]; T is 1, or N is B.

        Returns:
            Vectors for the output layer [T, N, E], attention weights [T, N, S] if they are wanted (else anything), and
            the state after the steps.
        """
        if state.fed is None:
            vectors, shares, state = self._attentional(inputs, state, weights=weights)
        else:
            steps = []
            for each in inputs:
                assert state.fed is not None
                joined = torch.cat([each, state.fed.to(each.dtype)], -1)[None]
                found, share_of, state = self._attentional(joined, state, weights=weights)
                state = replace(state, fed=found[0])
                steps.append((found, share_of))
            vectors, shares = (torch.cat(parts) for parts in zip(*steps, strict=True))
        return linear(vectors, self.readout.weight, self.readout.bias), shares, state

    def _attentional(
        self, inputs: Tensor, state: DecoderState, *, weights: bool
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """Run T steps of the layers, inputs [T, N, I]; T is 1, or N is B.

        Returns:
            Attentional vectors [T, N, H], attention weights [T, N, S] as above, and the state after the steps.
        """
        stacks: list[Any] = list(state.steppers or self.layers)
        noise = self.dropout.layers
        before = zip(*(each.chunk(len(stacks)) for each in state.layers), strict=True)
        states, after = run(stacks[0], inputs, next(before))
        last = [after]
        context, shares = self._attend(states, state.memory, weights=weights)  # [T, N, C], [T, N, S]
        for stack, first in zip(stacks[1:], before, strict=True):
            joined = torch.cat([context, states], dim=-1)
            joined = dropout(joined, noise.dropout, per_sentence=noise.per_sentence, training=self.training)
            output, after = run(stack, joined, first)
            states = states + output
            last.append(after)
        attentional = self.attentional
        vectors = linear(
            [context, states],
            attentional.weight,
            attentional.bias,
            activation="tanh",
            dropout=self.dropout.output if self.training else 0.0,
            per_sentence=noise.per_sentence,
        )  # [T, N, H]
        layers = tuple(torch.cat(parts) for parts in zip(*last, strict=True))
        attention = shares[-1] if weights else state.attention
        return vectors, shares, replace(state, layers=layers, attention=attention)

    def _attending(self, memory: AttentionMemory) -> Attending:
        """What happens between the steps of fed layers, in training or not."""
        training, noise = self.training, self.dropout
        asks = self.attention.query_projection
        return Attending(
            memory.keys,
            memory.values,
            memory.lengths,
            self.attentional.weight,
            self.attentional.bias,
            asks.weight if isinstance(asks, nn.Linear) else None,
            self.attention.vector,
            self.attention.heads,
            noise.attention if training else 0.0,
            noise.output if training else 0.0,
            noise.layers.per_sentence,
        )

    def _attend(self, states: Tensor, memory: AttentionMemory, *, weights: bool) -> tuple[Tensor, Tensor]:
        """Let states [T, N, H] look at the sources: contexts [T, N, C] and weights [T, N, S]."""
        _, rows, width = states.shape
        if rows == len(memory.lengths):
            return self.attention.look(states, memory, weights=weights)
        queries = states.view(len(memory.lengths), -1, width).transpose(0, 1)  # [K, B, H], T = 1
        context, shares = self.attention.look(queries, memory, weights=weights)  # [K, B, C], [K, B, S]
        return context.transpose(0, 1).reshape(1, rows, -1), shares.transpose(0, 1).reshape(1, rows, -1)


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
    beam = len(state.attention) // batch
    sentences = index[:, 0] // beam  # [B']
    memory = state.memory
    if len(sentences) != batch or not torch.equal(sentences, torch.arange(batch, device=index.device)):
        memory = memory.select(sentences)
    flat = index.flatten()  # [N']
    return replace(
        state,
        memory=memory,
        layers=tuple(each[:, flat] for each in state.layers),
        attention=state.attention[flat],
        fed=None if state.fed is None else state.fed[flat],
    )
