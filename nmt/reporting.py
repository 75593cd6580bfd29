"""What becomes of errors: a line on stderr and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from nmt.terminal import tell

FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130

_MEMORY_ADVICE: Final = "smaller batches take less: --batch-size, or --set training.batch_tokens"


@contextmanager
def reporting() -> Iterator[None]:
    """Turn expected errors into a line on stderr and an exit code; any other is a defect and keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt:
        _complain("interrupted")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        _drop_output()
        raise SystemExit(FAILED) from None
    except OSError as error:
        reason = error.strerror or str(error)
        if error.filename is None:  # stdout itself, say on a full disk
            _drop_output()
            _complain(f"error: {reason}")
        else:
            _complain(f"error: {error.filename}: {reason}".replace("\n", "\\n"))
        raise SystemExit(FAILED) from None
    except RecursionError:
        _complain("error: something in what was read is nested too deeply")
        raise SystemExit(FAILED) from None
    except UnicodeError as error:
        _complain(f"error: text that is none: {error}")
        raise SystemExit(FAILED) from None
    except Exception as error:
        if _is_out_of_memory(error):
            _complain(f"error: not enough memory; {_MEMORY_ADVICE}")
            raise SystemExit(FAILED) from None
        # The project's own exceptions are messages to the user; a plain ValueError from anywhere is not.
        if type(error).__module__.partition(".")[0] not in ("nmt", "rnn_engine"):
            raise
        _complain("\n".join(f"error: {line}" for line in str(error).split("\n")))
        raise SystemExit(WRONG_USAGE if type(error).__name__ == "ConfigError" else FAILED) from None


def _is_out_of_memory(error: Exception) -> bool:
    """Whether the machine's memory, or the accelerator's, is used up; torch says so in words alone."""
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def _drop_output() -> None:
    """Let what stdout still holds go nowhere: Python would complain again when it closes it."""
    with suppress(OSError, ValueError):  # no file underneath
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str) -> None:
    tell("nmt", message)
