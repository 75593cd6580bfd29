"""The beginning of a training, from the process that has read it to the others."""

from __future__ import annotations

import json

import torch

from nmt.model.seq2seq import Seq2Seq
from nmt.training.optimizer import ParameterAverage, no_moments, optimizer_tensors, restore_optimizer
from nmt.training.processes import Processes
from nmt.training.state import TrainingState


def share_beginning(
    processes: Processes,
    model: Seq2Seq,
    optimizer: torch.optim.Optimizer,
    average: ParameterAverage,
    state: TrainingState,
    told: str,
) -> tuple[TrainingState, str]:
    """Let all processes begin where the first one does; their folders need hold no checkpoints.

    Args:
        processes: All of them.
        model: The network; changed in place, like the two that follow.
        optimizer: Its optimiser.
        average: The average of its parameters.
        state: Where training stands, in the first process.
        told: What else the first one tells.

    Returns:
        State and text of the first process.
    """
    if processes.size == 1:
        return state, told
    begun = {"state": state.model_dump(mode="json", exclude={"config"}), "told": told, "moments": bool(optimizer.state)}
    begun = json.loads(processes.from_first(lambda: json.dumps(begun)))
    if begun["moments"] and not processes.first:
        restore_optimizer(optimizer, model, no_moments(model))
    tensors = [*model.parameters(), *average.averages.values(), *optimizer_tensors(optimizer, model).values()]
    processes.copy_from_first(tensors)
    return TrainingState(config=state.config, **begun["state"]), begun["told"]
