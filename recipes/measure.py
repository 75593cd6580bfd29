"""Run a command and note how long it took and how much memory it needed.

Run as `python recipes/measure.py RECORD COMMAND...`; adds a line of JSON to RECORD and exits as the command did.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path


def main() -> int:
    """Run the command of this process' arguments; returns its exit code, as a shell would give it."""
    if len(sys.argv) < 3:
        print("usage: python recipes/measure.py RECORD COMMAND...", file=sys.stderr)
        return 2
    record, command = Path(sys.argv[1]), sys.argv[2:]
    started = time.monotonic()
    process = subprocess.Popen(command)
    # Ctrl-C reaches the command itself, which decides when to end; what reaches only this process is passed on.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    code = process.wait()
    row = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command[:2],
        "exit": code,
        "seconds": round(time.monotonic() - started, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),  # Linux counts in KiB
    }
    record.parent.mkdir(parents=True, exist_ok=True)
    with record.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
