"""Training with few exchanges: each process takes steps by itself, and at times all put together what they have found.

A round is `training.outer_every` steps of the usual optimiser, each process's on its own batches. The mean of how far
the processes have gone in it is the gradient of an outer step, of SGD with Nesterov's momentum, from where all began
the round; there all begin the next one. In between, parameters and moments are each process's own.

Source: Douillard et al. 2023 (DiLoCo).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from nmt.config import TrainingConfig
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.weights import parameters_of
from nmt.training import TrainingError
from nmt.training.gradients import gradients_of
from nmt.training.optimizer import no_moments, optimizer_tensors, restore_optimizer
from nmt.training.processes import Processes
from nmt.training.state import TrainingState

_SINCE = "since_outer_step"


class OuterSteps:
    """The outer steps of a training; where there are none, it has no tensors and nothing is due.

    Args:
        model: The network.
        optimizer: Its optimiser.
        settings: `outer_every` and the like.
        processes: Those that train.
    """

    def __init__(
        self, model: Seq2Seq, optimizer: torch.optim.Optimizer, settings: TrainingConfig, processes: Processes
    ) -> None:
        self.every = settings.outer_every
        """Steps of a round; 0 where there are no outer steps."""
        self._model, self._optimizer, self._settings, self._processes = model, optimizer, settings, processes
        self.shared: dict[str, Tensor] = {}
        """What all processes have alike and a checkpoint keeps: where the round began, and the momentum."""
        if not self.every:
            return
        # As the optimiser would make them at its first step, which not every process takes at the same time.
        restore_optimizer(optimizer, model, no_moments(model))
        parameters = parameters_of(model)
        self._parameters: list[Tensor] = [*parameters.values()]
        self._anchors = [each.detach().clone() for each in self._parameters]
        self._momenta = [torch.zeros_like(each) for each in self._anchors]
        self.shared |= {f"outer.{name}": each for name, each in zip(parameters, self._anchors, strict=True)}
        self.shared |= {f"outer_momentum.{name}": each for name, each in zip(parameters, self._momenta, strict=True)}
        self._since = torch.zeros(3, dtype=torch.float64)  # target tokens; those of steps not skipped, and their nll
        self._gradients = gradients_of([*parameters.values()], processes, settings.gradient_precision)

    def check(self, before: TrainingState | None) -> None:
        """Make sure that these processes may train with outer steps, or go on without.

        Args:
            before: That of the checkpoint that goes on.

        Raises:
            TrainingError: They may not.
        """
        size, every = self._processes.size, self.every
        if every and size == 1:
            raise TrainingError(
                f"training.outer_every = {every}: expected several processes, started by `torchrun`, got one; 0 turns "
                "outer steps off"
            )
        if before is not None and before.outer_processes not in (0, size if every else 0):
            now = f"{size} with training.outer_every = {every}"
            raise TrainingError(
                f"the checkpoint of step {before.step} has parameters and moments of each of {before.outer_processes} "
                f"processes (training.outer_every = {before.config.training.outer_every}): expected as many to go on, "
                f"got {now}"
            )

    def begin(self, state: TrainingState, read: Callable[[int], Mapping[str, Tensor]]) -> None:
        """Begin where the checkpoint is, or with the parameters that the network has.

        Args:
            state: Where training stands, the same in all processes; changed in place.
            read: Gives the tensors that a checkpoint keeps for a process, those of `shared` among the first one's;
                asked in the first process alone.
        """
        if not self.every:
            return
        if state.outer_processes:
            if self._processes.first:
                _fill({**self.shared, _SINCE: self._since}, read(0))
            self._processes.copy_from_first([*self.shared.values()])
            own = self._own()
            self._processes.hand_out(lambda rank: _in_order(own, read(rank)), [*own.values()])
        else:
            with torch.no_grad():
                torch._foreach_copy_(self._anchors, self._parameters)
            state.outer_step = state.step
        state.outer_processes = self._processes.size

    def _own(self) -> dict[str, Tensor]:
        """What only this process has."""
        parameters = {f"parameter.{name}": each for name, each in parameters_of(self._model).items()}
        return {**parameters, **optimizer_tensors(self._optimizer, self._model), _SINCE: self._since}

    @property
    def kept(self) -> dict[str, Tensor]:
        """What the first process's part of a checkpoint keeps beside what every training does."""
        return {**self.shared, _SINCE: self._since} if self.every else {}

    def of_the_others(self) -> Iterator[dict[str, Tensor]]:
        """Let the first process have what each other one has for itself; all call it, and take all that comes."""
        if self.every:
            own = self._own()
            for tensors in self._processes.collect([*own.values()]):
                yield dict(zip(own, tensors, strict=True))

    def count(self, tokens: int, nll: float, *, finite: bool) -> None:
        """Take in what a step of this process has trained on; the next outer step tells all.

        Args:
            tokens: Target tokens.
            nll: The sum of their negative log-likelihood, in nats.
            finite: Whether the step was done.
        """
        self._since += torch.tensor([tokens, tokens, nll] if finite else [tokens, 0, 0], dtype=torch.float64)

    def is_due(self, state: TrainingState) -> bool:
        """Whether a round is over."""
        return bool(self.every) and state.step % self.every == 0

    @torch.no_grad()
    def step(self, state: TrainingState) -> int:
        """End a round.

        Args:
            state: Where training stands; gets what all processes have trained on.

        Returns:
            The target tokens of all processes in this round.
        """
        told = self._processes.gather(1.0, *self._since.tolist())
        for parameter, anchor in zip(self._parameters, self._anchors, strict=True):
            parameter.grad = anchor - parameter
        self._gradients.finish(told)
        gone = [each.grad for each in self._parameters if each.grad is not None]
        torch._foreach_div_(gone, float(self._processes.size))
        torch._foreach_mul_(self._momenta, self._settings.outer_momentum)
        torch._foreach_add_(self._momenta, gone)
        torch._foreach_add_(gone, self._momenta, alpha=self._settings.outer_momentum)
        torch._foreach_add_(self._anchors, gone, alpha=-self._settings.outer_learning_rate)
        torch._foreach_copy_(self._parameters, self._anchors)
        for parameter in self._parameters:
            parameter.grad = None
        self._since.zero_()
        tokens, trained, nll = (sum(column) for column in list(zip(*told.result(), strict=True))[1:])
        state.outer_step = state.step
        state.target_tokens += int(tokens)
        state.recent_tokens, state.recent_nll = state.recent_tokens + int(trained), state.recent_nll + nll
        return int(tokens)


@torch.no_grad()
def _fill(into: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> None:
    for tensor, found in zip(into.values(), _in_order(into, source), strict=True):
        tensor.copy_(found)


def _in_order(like: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> list[Tensor]:
    """Tensors of the names, shapes, types and devices of others."""
    for name, tensor in like.items():
        got = list(source[name].shape) if name in source else "nothing"
        if got != list(tensor.shape):
            raise TrainingError(f"checkpoint of several processes: {name}: expected {list(tensor.shape)}, got {got}")
    return [source[name].to(tensor) for name, tensor in like.items()]
