"""What a service answers when it does not do what it is asked for."""

from __future__ import annotations


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: The HTTP status code.
        message: For whoever asked: what was expected, and what came.
        retry_after: Seconds after which asking again makes sense; None if it never does.
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after

    @classmethod
    def missing(cls, name: str) -> Refused:
        """A parameter is not there."""
        return cls(400, f"Invalid request: missing {name} parameter")
