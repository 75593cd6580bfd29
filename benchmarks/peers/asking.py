"""The systems that `benchmarks/translation.py` asks: the other end of `serving.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class System:
    """A system at one precision."""

    name: str
    environment: str
    """Folder of its Python environment; empty for ours."""
    model: Path
    precision: str
    settings: tuple[tuple[int, int], ...] = ((1, 1), (1, 2))
    """(threads in a product, workers side by side)."""
    shortlist: int = 0
    """Translations of each source subword that it chooses from; 0: all words."""

    @property
    def label(self) -> str:
        """What it is called in tables."""
        return f"{self.name} {self.precision}" + (f" + shortlist {self.shortlist}" if self.shortlist else "")

    def command(self, peers: Path, threads: int, workers: int) -> list[str]:
        """The command that serves it."""
        python = str(peers / self.environment / "bin/python") if self.environment else sys.executable
        script = HERE / f"with_{self.environment or 'nmt'}.py"
        facts = ["--precision", self.precision, "--threads", str(threads), "--workers", str(workers)]
        return [python, "-W", "ignore", str(script), str(self.model), *facts, *self.more()]

    def more(self) -> list[str]:
        """Options that only some have."""
        return ["--shortlist", str(self.shortlist)] if self.shortlist else []

    def variables(self) -> dict[str, str]:
        """The environment variables that it runs with."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "OMP_NUM_THREADS")}
        kept.pop("PYTHONSAFEPATH", None)  # its script imports what stands beside it
        ours = {"PYTHONPATH": os.environ["PYTHONPATH"]} if not self.environment and "PYTHONPATH" in os.environ else {}
        return kept | ours

    def bytes(self) -> int:
        """Size of what it reads."""
        if not self.environment:
            return (
                self.model.stat().st_size if self.model.is_file() else (self.model / "model.safetensors").stat().st_size
            )
        folder = self.model / self.precision if self.environment == "ctranslate2" else self.model
        return sum(file.stat().st_size for file in folder.iterdir())


class Server:
    """A system that waits for what it is to do."""

    def __init__(self, system: System, peers: Path, threads: int, workers: int) -> None:
        self.system, self.threads, self.workers = system, threads, workers
        self._process = subprocess.Popen(
            system.command(peers, threads, workers),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if system.environment else None,
            text=True,
            env=system.variables(),
        )

    @property
    def label(self) -> str:
        """What its column is called."""
        return (
            "1"
            if self.threads == self.workers == 1
            else f"{self.threads * self.workers} " + ("threads" if self.threads > 1 else "workers")
        )

    def wait(self) -> None:
        """Wait until it has read its model."""
        self._answer()

    def seconds(self, sentences: int, beam: int, at_least: float) -> float:
        """Seconds of a sentence."""
        assert self._process.stdin is not None
        print(json.dumps({"sentences": sentences, "beam": beam, "seconds": at_least}), file=self._process.stdin)
        self._process.stdin.flush()
        return float(json.loads(self._answer())["seconds"])

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return line
        errors = self._process.communicate()[1] or ""
        raise SystemExit(f"{self.system.label}: ended before it answered\n{errors}")
