"""What is not installed with the package unless asked for."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

_SERVING: Final = ("babel", "fastapi", "httptools", "prometheus_client", "python_multipart", "uvicorn", "uvloop")
_BULK: Final = ("fsspec", "pyarrow", "ray")


class MissingError(ImportError):
    """Something that is needed is not installed; the message says how to get it."""


def require_torch(who: str) -> None:
    """Check that torch is installed, which translating on the CPU does not need.

    Args:
        who: What needs it, for the message.

    Raises:
        MissingError: It is not.
    """
    _require(("torch",), "train", who)


def require_moses(who: str) -> None:
    """Check that Moses' tokeniser is installed, by which some papers score.

    Args:
        who: What needs it, for the message.

    Raises:
        MissingError: It is not.
    """
    _require(("sacremoses",), "recipes", who)


def require_serving(who: str) -> None:
    """Check that what a service is made of is installed.

    Args:
        who: What needs it, for the message.

    Raises:
        MissingError: It is not.
    """
    _require(_SERVING, "serve", who)


def require_bulk(who: str) -> None:
    """Check that what spreads work over processes and machines is installed.

    Args:
        who: What needs it, for the message.

    Raises:
        MissingError: It is not.
    """
    _require(_BULK, "ray", who)


def _require(names: tuple[str, ...], extra: str, who: str) -> None:
    """Raise MissingError for the first module that is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise MissingError(f'{who} needs {name}, which is not installed: pip install "nmt-rnn[{extra}]"')
