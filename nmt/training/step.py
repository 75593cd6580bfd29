"""One step of the optimiser: forward and backward over its batches, the sums over processes, clipping, the update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.config import TrainingConfig
from nmt.data.batching import Batch
from nmt.model.seq2seq import Seq2Seq
from nmt.training.gradients import gradients_of
from nmt.training.loss import batch_loss
from nmt.training.optimizer import GradientClipper, LossScale
from nmt.training.processes import Processes
from nmt.training.state import TrainingState


@dataclass(frozen=True)
class StepResult:
    """What a step has come to, over all processes that take it together.

    Attributes:
        loss: Sum over target tokens of what was minimised, nats.
        nll: Sum of the negative log-likelihood, nats.
        tokens: Target tokens.
        batches: Batches.
        norm: Of the gradient, before clipping; None: it was not finite, and the step was skipped.
    """

    loss: float
    nll: float
    tokens: int
    batches: int
    norm: float | None


class OptimizerStep:
    """Takes steps; knows nothing of epochs, validation and checkpoints.

    Args:
        settings: Of the training.
        model: The network.
        optimizer: Whose step it is; its learning rate is the caller's to set.
        together: The processes that take each step together.
        randomness: Of a batch, by its number in this process's share of the step.
    """

    def __init__(
        self,
        settings: TrainingConfig,
        model: Seq2Seq,
        optimizer: torch.optim.Optimizer,
        together: Processes,
        randomness: Callable[[int], AbstractContextManager[None]],
    ) -> None:
        self.settings, self.model, self.optimizer = settings, model, optimizer
        self.together, self.randomness = together, randomness
        self.clipper = GradientClipper(model, settings.clip_norm)
        self.scale = LossScale(enabled=settings.precision == "float16")
        self.gradients = gradients_of(self.clipper.parameters, together, settings.gradient_precision)

    def take(self, batches: Sequence[Sequence[Batch]], state: TrainingState) -> StepResult:
        """Take a step.

        Args:
            batches: This process's, each in pieces that fit into memory; the gradient is that of the one batch which
                all would be together, but for a sampled softmax, for which each piece draws its own subwords.
            state: Of the training: the loss's scale is in it, and what was skipped.

        Returns:
            What it has come to.

        Raises:
            TrainingError: If gradients were not finite too often in a row.
        """
        settings = self.settings
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        last = next((pieces[-1] for pieces in reversed(batches) if pieces), None)
        shares = self.together.gather(sum(piece.target_tokens for pieces in batches for piece in pieces), len(batches))
        sums: list[list[tuple[Tensor, Tensor]]] = []
        for number, pieces in enumerate(batches):
            sums.append([])
            with self.randomness(number):
                for piece in pieces:
                    loss, nll, _ = batch_loss(
                        self.model,
                        piece,
                        settings.label_smoothing,
                        settings.precision,
                        settings.rdrop,
                        settings.sampled_softmax,
                    )
                    if piece is last:
                        self.gradients.next_is_last(shares)
                    tokens = sum(row[0] for row in shares.result())
                    self.scale.scaled(loss / tokens, state).backward()  # type: ignore[no-untyped-call]
                    sums[-1].append((loss.detach(), nll))
            if number < len(batches) - 1:
                self.gradients.add()
        self.gradients.finish(shares)
        tokens, count = (int(sum(column)) for column in zip(*shares.result(), strict=True))
        self.scale.unscale(self.clipper.parameters, state)
        norm = self.clipper.clip(forgive=self.scale.can_fall(state))
        loss_sum, nll_sum = self._total(sums)  # read only now: each reading waits until the card is done
        self.scale.update(state, finite=norm is not None)
        if norm is not None:
            self.optimizer.step()
        state.skipped, state.skipped_in_a_row = self.clipper.skipped, self.clipper.in_a_row
        return StepResult(loss_sum, nll_sum, tokens, count, norm)

    def _total(self, sums: Sequence[Sequence[tuple[Tensor, Tensor]]]) -> tuple[float, float]:
        """Add up loss and negative log-likelihood over the batches of a step, in their order."""
        found = [0.0] * 2 * max(len(sums), self.settings.accumulate)
        for number, pieces in enumerate(sums):
            for loss, nll in pieces:
                found[2 * number] += loss.item()
                found[2 * number + 1] += nll.item()
        everyone = self.together.gather(*found).result()
        return sum(value for row in everyone for value in row[::2]), sum(
            value for row in everyone for value in row[1::2]
        )
