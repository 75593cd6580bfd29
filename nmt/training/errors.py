"""The error of this floor."""


class TrainingError(ValueError):
    """Training that cannot start or go on; the message is one line that says why."""
