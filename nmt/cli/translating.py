"""Arguments of the commands that translate, and score translations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.commands.asked import SearchSettings, TestSet
from nmt.commands.options import (
    BatchSize,
    BeamSize,
    Device,
    Ensemble,
    Format,
    GlossaryFile,
    InputFile,
    LengthPenalty,
    MaxLength,
    MinLength,
    Model,
    ModelFolder,
    NoRepeatNgram,
    OutputFile,
    Precision,
    PrefixFile,
    ReferenceFile,
    Retry,
    Sample,
    Search,
    SearchBy,
    Seed,
    Sentences,
    Shortlist,
    SourceFile,
    Temperature,
    TestName,
    Threads,
    To,
    TopK,
    TopP,
    chosen_sampling,
    within,
)
from nmt.reporting import reporting
from nmt.values import N_BEST


def translate(
    model: Model,
    *,
    to: To = None,
    source: InputFile = None,
    output: OutputFile = None,
    format: Annotated[Format, typer.Option(help="What to read and write.")] = Format.text,
    status: Annotated[bool, typer.Option("--status", help="Say of each line how it went.")] = False,
    scores: Annotated[bool, typer.Option("--scores", help="Give the score of each translation.")] = False,
    alignments: Annotated[bool, typer.Option("--alignments", help="Say which word came from which.")] = False,
    n_best: Annotated[int, within(N_BEST, "Translations per line (tsv and json).")] = 1,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw one line's attention, .png or .svg.")] = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    retry: Retry = None,
    sentences: Sentences = None,
    threads: Threads = None,
    device: Device = None,
    precision: Precision = None,
    search: Search = SearchBy.native,
    shortlist: Shortlist = 0,
    min_length: MinLength = 0,
    max_length: MaxLength = None,
    no_repeat_ngram: NoRepeatNgram = 0,
    prefixes: PrefixFile = None,
    sample: Sample = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    ensemble: Ensemble = [],  # noqa: B006  (typer copies it)
    text: Annotated[
        bool, typer.Option("--text", help="Keep placeholders, addresses and quantities to the letter, and capitals.")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="The input is HTML: translate its text, keep its tags.")] = False,
    glossary: GlossaryFile = None,
) -> None:
    """Translate text, line by line.

    Each line in gives exactly one line out, in order, whatever it holds.
    """
    if html and (format is not Format.text or status or scores or alignments):
        raise typer.BadParameter("--html: expected a page to read and to write, got --format or columns beside it")
    for name, given in (("--n-best", n_best > 1), ("--plot", plot is not None), ("--prefixes", prefixes is not None)):
        if given and (text or html or glossary is not None):
            raise typer.BadParameter(f"{name}: expected none with --text, --html and --glossary")
    if n_best > 1 and format is Format.text:
        raise typer.BadParameter("--n-best: expected --format tsv or json with it, text has one line per line")
    if beam_size is not None and n_best > beam_size:
        raise typer.BadParameter(f"--n-best: expected at most --beam-size {beam_size}, got {n_best}")
    if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
        raise typer.BadParameter(f"--plot: expected a name that ends in .png or .svg, got {plot}")
    sampling = chosen_sampling(sample, beam_size, temperature, top_k, top_p, seed)
    with reporting():
        from nmt.commands.translate import Request, run
        from nmt.decoding.formats import Columns

        how = SearchSettings(
            beam_size,
            length_penalty,
            batch_size,
            threads,
            device or "cpu",
            retry,
            sentences,
            precision,
            search,
            shortlist,
            min_length,
            max_length,
            no_repeat_ngram,
            sampling,
            tuple(ensemble),
            to,
        )
        columns = Columns(status, scores, alignments)
        asked = Request(source, output, format.value, columns, n_best, plot, prefixes, text, html, glossary)
        run(model, how, asked)


def evaluate(
    model: Model,
    *,
    to: To = None,
    test: TestName = None,
    source: SourceFile = None,
    reference: ReferenceFile = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the translations.")] = None,
    conventions: Annotated[
        bool, typer.Option("--conventions", help="Also print BLEU in lower case, and in lower case of Moses' tokens.")
    ] = False,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    retry: Retry = None,
    sentences: Sentences = None,
    threads: Threads = None,
    device: Device = None,
    precision: Precision = None,
    search: Search = SearchBy.native,
    shortlist: Shortlist = 0,
    ensemble: Ensemble = [],  # noqa: B006  (typer copies it)
) -> None:
    """Translate a test set and score it.

    Prints BLEU and chrF with sacreBLEU's signatures, and adds those of a model by itself to MODEL/scores.jsonl.
    """
    chosen = _test_set(test, source, reference)
    with reporting():
        from nmt.commands.evaluate import run

        place = device or "cpu"
        how = SearchSettings(
            beam_size,
            length_penalty,
            batch_size,
            threads,
            place,
            retry,
            sentences,
            precision,
            search,
            shortlist,
            ensemble=tuple(ensemble),
            to=to,
        )
        run(model, chosen, output, how, conventions=conventions)


def tune(
    model: ModelFolder,
    *,
    to: To = None,
    source: SourceFile = None,
    reference: ReferenceFile = None,
    keep: Annotated[bool, typer.Option("--keep", help="Only tell; leave the model's settings as they are.")] = False,
    beam_size: BeamSize = None,
    batch_size: BatchSize = None,
    threads: Threads = None,
) -> None:
    """Find the length penalty that translates the validation set best, and give it to the model."""
    if (source is None) != (reference is None):
        raise typer.BadParameter("expected both --source FILE and --reference FILE, or neither")
    with reporting():
        from nmt.commands.tune import run

        files = None if source is None or reference is None else (source, reference)
        run(model, files, SearchSettings(beam_size, None, batch_size, threads, to=to), keep)


def score(
    model: Model,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Text, plain or compressed; - is stdin.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Its translation, line by line.")],
    *,
    to: To = None,
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.text,
    normalize: Annotated[bool, typer.Option("--normalize", help="Divide by the number of subwords.")] = False,
    threads: Threads = None,
    device: Device = None,
    ensemble: Ensemble = [],  # noqa: B006  (typer copies it)
) -> None:
    """Print the log-probability that a model gives to each pair of lines."""
    with reporting():
        from nmt.commands.score import run

        how = SearchSettings(threads=threads, device=device or "cpu", ensemble=tuple(ensemble), to=to)
        run(model, source, target, format.value, normalize, how)


def compare(
    systems: Annotated[
        list[Path], typer.Argument(metavar="A B", help="Model folders or files, or files of translations.")
    ],
    *,
    to: To = None,
    test: TestName = None,
    source: SourceFile = None,
    reference: ReferenceFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with both, side by side.")] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Target language, for BLEU's tokeniser.  [default: the models']")
    ] = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    retry: Retry = None,
    sentences: Sentences = None,
    threads: Threads = None,
    device: Device = None,
    precision: Precision = None,
    search: Search = SearchBy.native,
    shortlist: Shortlist = 0,
) -> None:
    """Tell whether one system is better than another: paired bootstrap on a test set."""
    if len(systems) != 2:
        raise typer.BadParameter(f"expected two systems, got {len(systems)}")
    chosen = _test_set(test, source, reference)
    with reporting():
        from nmt.commands.compare import run

        place = device or "cpu"
        how = SearchSettings(
            beam_size, length_penalty, batch_size, threads, place, retry, sentences, precision, search, shortlist, to=to
        )
        run((systems[0], systems[1]), chosen, html, how, language)


def _test_set(name: str | None, source: Path | None, reference: Path | None) -> TestSet:
    files = None if source is None or reference is None else (source, reference)
    if (name is None) == (files is None) or (source is None) != (reference is None):
        raise typer.BadParameter("expected either --test NAME, or --source FILE and --reference FILE")
    return TestSet(name, files)
