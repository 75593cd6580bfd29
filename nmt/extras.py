"""What is not installed with the package unless asked for."""

from __future__ import annotations

from importlib.util import find_spec


class MissingError(ImportError):
    """Something that is needed is not installed; the message says how to get it."""


def require_torch(who: str) -> None:
    """Check that torch is installed, which translating on the CPU does not need.

    Args:
        who: What needs it, for the message.

    Raises:
        MissingError: It is not.
    """
    if find_spec("torch") is None:
        raise MissingError(f'{who} needs torch, which is not installed: pip install "nmt-rnn[train]"')
