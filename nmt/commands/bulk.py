"""`nmt bulk`: files of any size, by a worker on each core, of one machine or of many."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from nmt.bulk.inputs import Input, digest, is_remote, kind_of
from nmt.bulk.pool import Pool, connected
from nmt.bulk.rows import Wanted
from nmt.bulk.running import Run
from nmt.bulk.shards import BulkError
from nmt.bulk.state import State
from nmt.bulk.worker import Work
from nmt.commands.asked import SearchSettings
from nmt.commands.progress import progress
from nmt.commands.synthetic import digests_of
from nmt.decoding.translation import TranslationSettings
from nmt.lock import locked
from nmt.terminal import tell

_WHO: Final = "nmt bulk"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MIB: Final = 1 << 20


@dataclass(frozen=True)
class Job:
    """What to read, what to write, and who works."""

    inputs: tuple[str, ...]
    """Paths, or addresses that fsspec knows."""
    output: str
    """A file for the only input; or a folder, where each input's name is its output's."""
    column: str | None = None
    """Where the text is; None for what is usual in such files."""
    wanted: Wanted = field(default_factory=Wanted)
    state: Path | None = None
    """Folder that the run goes on from; None for one beside the output."""
    workers: int | None = None
    address: str | None = None
    """Of a Ray cluster; None for this machine."""
    shard_rows: int = 5000
    worker_memory: int | None = None
    """MiB that a worker may have."""


def run(model: Path, search: SearchSettings, job: Job) -> None:
    """Translate files; what was stopped goes on when the same is asked for again.

    Args:
        model: The model.
        search: How to search, with a thread for each worker.
        job: What to read and to write.

    Raises:
        BulkError: The inputs do not fit the options, or what was begun was begun otherwise.
        LockError: The run is going on already.
        ModelError, SubwordError, SearchError: The model cannot be read, or not be asked for this.
        OSError: A file cannot be read or written.
        SystemExit: Some rows or files were not what they should be, or were given up; all else is done.
    """
    inputs = [Input(address, job.column, job.wanted) for address in job.inputs]
    if job.wanted.n_best > 1 and (plain := [each for each in inputs if each.kind in ("text", "tsv")]):
        raise BulkError(f"--n-best: expected files of JSON or Parquet, got {plain[0].address}")
    outputs = _outputs(job)
    state = State(_state_folder(job))
    work = _work(model, search, job)
    work.load()  # what is wrong with the model is told before anything is begun
    with locked(state.folder):
        state.begin(_manifest(job, search, work, outputs))
        before = state.summary()
        if before is not None and all(is_remote(each) or Path(each).exists() for each in outputs):
            tell(_WHO, f"{state.folder}: done already; remove the folder to begin anew")
            _end(before)
            return
        state.begin_anew()
        try:
            _end(_run(inputs, outputs, state, work, job))
        except OSError as error:
            if error.errno in _FULL:
                tell(_WHO, f"what is done stays in {state.folder}; with more room the same command goes on from there")
            raise


def _run(inputs: list[Input], outputs: list[str], state: State, work: Work, job: Job) -> dict[str, object]:
    """Do what is missing, and tell what became of it."""
    total = None if any(map(is_remote, job.inputs)) else sum(Path(each).stat().st_size for each in job.inputs)
    with (
        connected(job.address, job.workers) as workers,
        progress(_WHO) as show,
        Pool(work, workers, lambda text: tell(_WHO, text)) as pool,
    ):
        whole = Run(
            inputs,
            outputs,
            state,
            job.wanted,
            job.shard_rows,
            lambda rows, size: show(rows, min(1.0, size / total) if total else None),
        )
        pool.wait()
        started = time.monotonic()
        whole.make(pool)
        seconds = time.monotonic() - started
    whole.put_together()
    for file, note in whole.notes.items():
        tell(_WHO, f"{file}: row {note.row:,}: {note.reason}")
    for each in inputs:
        if each.damage is not None:
            tell(_WHO, f"{each.address}: {each.damage}; the rows before are translated")
    summary = {**whole.summary(pool.again, seconds), "workers": workers}
    state.end(summary, keep=bool(whole.tally.given_up))
    return summary


def _end(summary: dict[str, object]) -> None:
    """Print the summary; the exit code says whether all was well."""
    print(json.dumps(summary, ensure_ascii=False))
    if summary["unreadable"] or summary["given_up"] or summary["damaged_files"]:
        raise SystemExit(1)


def _work(model: Path, search: SearchSettings, job: Job) -> Work:
    settings = TranslationSettings(
        beam_size=search.beam_size,
        length_penalty=search.length_penalty,
        batch_size=search.batch_size,
        n_best=job.wanted.n_best,
        retry=search.retry,
        sentences=search.sentences,
        min_length=search.min_length,
        max_length=search.max_length,
        no_repeat_ngram=search.no_repeat_ngram,
        sampling=search.sampling,
    )
    models = tuple(path.absolute() for path in (model, *search.ensemble))
    memory = None if job.worker_memory is None else job.worker_memory * _MIB
    return Work(models, settings, job.wanted, search.precision, search.shortlist, memory)


def _manifest(job: Job, search: SearchSettings, work: Work, outputs: Sequence[str]) -> dict[str, object]:
    """Say all that the rows depend on, and how they are cut."""
    return {
        "inputs": {address: digest(address) for address in job.inputs},
        "models": list(digests_of(work.models).values()),
        "settings": {
            **asdict(work.settings),
            **asdict(job.wanted),
            "precision": search.precision,
            "shortlist": search.shortlist,
            "column": job.column,
        },
        "shard_rows": job.shard_rows,
        "outputs": list(outputs),
    }


def _outputs(job: Job) -> list[str]:
    """Say where the translation of each input goes."""
    folder = job.output.endswith("/") or (not is_remote(job.output) and Path(job.output).is_dir())
    if len(job.inputs) > 1 and not folder:
        raise BulkError(f"--output {job.output}: expected a folder for {len(job.inputs)} inputs, got none")
    if folder and not is_remote(job.output) and not Path(job.output).is_dir():
        raise BulkError(f"--output {job.output}: expected a folder, and there is none; make it first")
    outputs = [f"{job.output.rstrip('/')}/{PurePosixPath(each).name}" if folder else job.output for each in job.inputs]
    if len(set(outputs)) < len(outputs):
        raise BulkError(f"--output {job.output}: expected inputs of different names, got some that are called the same")
    for given, made in zip(job.inputs, outputs, strict=True):
        if kind_of(given) != kind_of(made):
            raise BulkError(f"--output: expected a file of {kind_of(given)} for {given}, got {made}")
        if given == made or (not is_remote(given + made) and Path(made).exists() and Path(made).samefile(given)):
            raise BulkError(f"--output: expected another file than the input, got {made}")
    return outputs


def _state_folder(job: Job) -> Path:
    if job.state is not None:
        return job.state
    if is_remote(job.output):
        raise BulkError(f"--state: expected a local folder with it, since the output {job.output} is an address")
    path = Path(job.output)
    return path / ".nmt-bulk" if path.is_dir() else path.with_name(f"{path.name}.bulk")
