"""Arguments of `nmt bulk`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.commands.asked import SearchSettings
from nmt.commands.options import (
    BatchSize,
    BeamSize,
    Ensemble,
    LengthPenalty,
    MaxLength,
    MinLength,
    Model,
    NoRepeatNgram,
    Precision,
    Retry,
    Sample,
    Seed,
    Sentences,
    Shortlist,
    Temperature,
    TopK,
    TopP,
    chosen_sampling,
    within,
)
from nmt.extras import require_bulk
from nmt.reporting import reporting
from nmt.values import N_BEST, SHARD_ROWS, WORKER_MEMORY, WORKERS


def bulk(
    model: Model,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Text, .tsv, .jsonl or .parquet, plain or compressed; or addresses."),
    ],
    *,
    output: Annotated[str, typer.Option("--output", metavar="OUTPUT", help="A file for one input, or a folder.")],
    column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column or field of the text; of .tsv also a number.  [default: 1; text]"),
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Of text: say how each line went, and its key.")] = False,
    scores: Annotated[bool, typer.Option("--scores", help="Give the score of each translation.")] = False,
    n_best: Annotated[int, within(N_BEST, "Translations per row (JSON and Parquet).")] = 1,
    workers: Annotated[int | None, within(WORKERS, "Processes, of a thread each.  [default: all cores]")] = None,
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster that runs.  [default: this machine alone]")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="What is done is kept there.  [default: beside the output]")
    ] = None,
    shard_rows: Annotated[int, within(SHARD_ROWS, "Rows that a worker gets at once.")] = 5000,
    worker_memory: Annotated[
        int | None, within(WORKER_MEMORY, "MiB that a worker may have of its own.  [default: any number]")
    ] = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    retry: Retry = None,
    sentences: Sentences = None,
    precision: Precision = None,
    shortlist: Shortlist = 0,
    min_length: MinLength = 0,
    max_length: MaxLength = None,
    no_repeat_ngram: NoRepeatNgram = 0,
    sample: Sample = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    ensemble: Ensemble = [],  # noqa: B006  (typer copies it)
) -> None:
    """Translate large files by a worker on each core, of one machine or of a Ray cluster.

    Each row in gives one row out, in order. What was stopped goes on when the same command is given again.
    """
    if beam_size is not None and n_best > beam_size:
        raise typer.BadParameter(f"--n-best: expected at most --beam-size {beam_size}, got {n_best}")
    sampling = chosen_sampling(sample, beam_size, temperature, top_k, top_p, seed)
    with reporting():
        require_bulk("nmt bulk")
        from nmt.bulk.rows import Wanted
        from nmt.commands.bulk import Job, run

        search = SearchSettings(
            beam_size,
            length_penalty,
            batch_size,
            retry=retry,
            sentences=sentences,
            precision=None if precision is None else precision.value,
            shortlist=shortlist,
            min_length=min_length,
            max_length=max_length,
            no_repeat_ngram=no_repeat_ngram,
            sampling=sampling,
            ensemble=tuple(ensemble),
        )
        wanted = Wanted(status, scores, n_best)
        job = Job(tuple(inputs), output, column, wanted, state, workers, address, shard_rows, worker_memory)
        run(model, search, job)
