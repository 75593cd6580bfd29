"""The whole network: source ids in, scores of target ids out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.config import Config, ModelConfig
from nmt.model import decoder as decoders
from nmt.model.attention import AttentionShape
from nmt.model.decoder import Decoder, DecoderDropout, DecoderState
from nmt.model.embedding import Embedding
from nmt.model.encoder import Encoder, EncoderOutput
from nmt.model.recurrent import LayerNoise


class Seq2Seq(nn.Module):
    """Encoder, decoder and output layer.

    Args:
        encoder: Reads the source's embeddings.
        decoder: Reads the target's embeddings; its result has their width.
        source_embedding: Table of the source's subwords.
        target_embedding: Table of the target's subwords; may be the same object.
        tie_output: Use the target's table as the output layer's weight.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        source_embedding: Embedding,
        target_embedding: Embedding,
        tie_output: bool,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.source_embedding = source_embedding
        self.target_embedding = target_embedding
        vocabulary_size, size = target_embedding.weight.shape
        self.output_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.output_weight: nn.Parameter | None = None
        if not tie_output:
            self.output_weight = nn.Parameter(torch.randn(vocabulary_size, size) / size**0.5)

    @classmethod
    def from_config(cls, config: Config, source_vocab_size: int, target_vocab_size: int) -> Seq2Seq:
        """Build the network that a config describes, with fresh weights from torch's random state.

        Args:
            config: The settings.
            source_vocab_size: Subwords of the source, V.
            target_vocab_size: Subwords of the target; the same with a joint vocabulary.

        Returns:
            The network, in training mode.

        Raises:
            ValueError: If a joint vocabulary has two sizes.
        """
        if config.data.joint_vocabulary and source_vocab_size != target_vocab_size:
            raise ValueError(
                f"a joint vocabulary has one size, got {source_vocab_size} (source) and {target_vocab_size} (target)"
            )
        shape = config.model
        noise = LayerNoise(
            _or_dropout(shape.layer_dropout, shape), shape.dropout_mask, shape.recurrent_dropout, shape.zoneout
        )
        target = _embedding(target_vocab_size, shape)
        shared = config.data.joint_vocabulary and shape.tie_embeddings
        source = target if shared else _embedding(source_vocab_size, shape)
        encoder = Encoder(
            shape.cell,
            shape.embedding_size,
            shape.hidden_size,
            shape.encoder_layers,
            noise,
            shape.memory,
            gives_embeddings=shape.attend_embeddings,
        )
        decoder = Decoder(
            shape.cell,
            shape.embedding_size,
            shape.hidden_size,
            shape.decoder_layers,
            encoder.output_size,
            AttentionShape(shape.attention, shape.attention_heads, shape.context, shape.input_feeding),
            DecoderDropout(noise, _or_dropout(shape.output_dropout, shape), shape.attention_dropout),
            shape.memory,
        )
        return cls(encoder, decoder, source, target, shape.tie_embeddings)

    @property
    def number_of_parameters(self) -> int:
        """Trainable values, shared ones counted once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def vocabulary_sizes(self) -> tuple[int, int]:
        """Of source and target, in subwords."""
        return len(self.source_embedding.weight), len(self.target_embedding.weight)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.output_bias.device

    @property
    def output_layer(self) -> tuple[Tensor, Tensor]:
        """Weight [V, E] and bias [V] of the layer that scores the vocabulary."""
        weight = self.target_embedding.weight if self.output_weight is None else self.output_weight
        return weight, self.output_bias

    def encode(self, source: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode a batch of sources.

        Args:
            source: Ids, [S, B] int64, each column ended by eos and padded with 0.
            lengths: [B] int64, descending, eos included.

        Returns:
            The encoded sources.
        """
        encoded: EncoderOutput = self.encoder(self.source_embedding(source), lengths)
        return encoded

    def decode(self, encoded: EncoderOutput, target_input: Tensor) -> Tensor:
        """Run known targets, as in training.

        Args:
            encoded: The sources.
            target_input: Ids, [T, B] int64: bos, then the target's subwords.

        Returns:
            Vectors for `logits`, [T, B, E].
        """
        hidden: Tensor = self.decoder(self.target_embedding(target_input), self.decoder.start(encoded))
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Score the vocabulary.

        Args:
            hidden: Vectors from the decoder, [..., E].

        Returns:
            Unnormalised log-probabilities, [..., V].
        """
        return functional.linear(hidden, *self.output_layer)

    def forward(self, source: Tensor, lengths: Tensor, target_input: Tensor) -> Tensor:
        """Score known targets: `encode`, `decode` and `logits` in one; returns [T, B, V]."""
        return self.logits(self.decode(self.encode(source, lengths), target_input))

    def start(self, encoded: EncoderOutput) -> DecoderState:
        """Make the search's first state, one hypothesis per sentence."""
        return self.decoder.start(encoded)

    def step(self, state: DecoderState, tokens: Tensor) -> tuple[Tensor, DecoderState]:
        """Advance every hypothesis by one token.

        Args:
            state: N hypotheses.
            tokens: The last token of each, [N] int64 (bos at first).

        Returns:
            Log-probabilities of the next token, [N, V], and the next state, which holds the attention weights.
        """
        hidden, state = self.decoder.step(self.target_embedding(tokens), state)
        return torch.log_softmax(self.logits(hidden), dim=-1), state

    def reorder(self, state: DecoderState, index: Tensor) -> DecoderState:
        """Continue with chosen hypotheses; see `nmt.model.decoder.reorder`."""
        return decoders.reorder(state, index)


def _or_dropout(value: float | None, shape: ModelConfig) -> float:
    """Take the dropout set for one place, or else the one for all."""
    return shape.dropout if value is None else value


def _embedding(vocabulary_size: int, shape: ModelConfig) -> Embedding:
    dropout = _or_dropout(shape.embedding_dropout, shape)
    per_sentence = shape.dropout_mask == "sentence"
    return Embedding(vocabulary_size, shape.embedding_size, dropout, shape.word_dropout, per_sentence=per_sentence)
