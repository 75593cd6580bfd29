"""Training: loss, optimiser, schedule, checkpoints, and the loop around them."""


class TrainingError(ValueError):
    """Training that cannot start or go on; the message is one line that says why."""
