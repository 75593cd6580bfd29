"""The `nmt` command: arguments and exit codes only. What a subcommand needs is imported when it is called.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted. Results go to stdout, all else to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nmt.commands.asked import SearchSettings, TestSet
from nmt.commands.options import (
    BatchSize,
    BeamSize,
    ConfigFile,
    Device,
    Ensemble,
    Format,
    InputFile,
    LengthPenalty,
    MinLength,
    Model,
    ModelFolder,
    OutputFile,
    Overrides,
    Precision,
    PrefixFile,
    ReferenceFile,
    Retry,
    Rounded,
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
    TopK,
    TopP,
    TrainingDevice,
    within,
)
from nmt.extras import require_torch
from nmt.process import at_home, ended_by_signals, open_standard_streams
from nmt.reporting import INTERRUPTED, reporting
from nmt.terminal import printable
from nmt.values import CHECKPOINTS, N_BEST


class _Commands(TyperGroup):
    """The subcommands; what is wrong with their arguments is told in text that a terminal can show."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _showing():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _showing():
            return super().invoke(ctx)


@contextmanager
def _showing() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):  # an error of usage, which quotes arguments
            with suppress(AttributeError):  # of other errors it may be a property
                error.message = printable(message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    name="nmt",
    cls=_Commands,
    help="Neural machine translation with recurrent models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would take longer than all else
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line of this process."""
    open_standard_streams()
    with ended_by_signals():
        app([at_home(word) for word in sys.argv[1:]])


def _print_version(wanted: bool) -> None:
    if wanted:
        import nmt

        typer.echo(f"nmt {nmt.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


@app.command()
def config(
    which: Annotated[
        str | None, typer.Argument(metavar="[SECTION|KEY]", help="A section or a setting; without, all of them.")
    ] = None,
) -> None:
    """List every setting, or some: default, type, bounds, meaning."""
    with reporting():
        from nmt.commands.config import run

        run(which)


@app.command()
def prepare(config: ConfigFile, overrides: Overrides = []) -> None:  # noqa: B006  (typer copies it)
    """Turn the corpora into subword ids.

    Trains the vocabularies, too. Does nothing where that is done already.
    """
    with reporting():
        from nmt.commands.prepare import run

        run(config, overrides)


@app.command()
def train(
    config: ConfigFile,
    overrides: Overrides = [],  # noqa: B006
    verify_resume: Annotated[
        bool,
        typer.Option("--verify-resume", help="Prove that stopping and going on changes nothing; trains no model."),
    ] = False,
    device: TrainingDevice = None,
) -> None:
    """Train a model, or go on where training stopped.

    Prepares the data first if that is not done yet. Ctrl-C saves and stops; the same command goes on.
    """
    overrides = _with_device(overrides, device)
    with reporting():
        require_torch("nmt train")
        if verify_resume:
            from nmt.commands.verify_resume import run as verify

            verify(config, overrides)
            return
        from nmt.commands.train import run

        if not run(config, overrides):
            raise typer.Exit(INTERRUPTED)


@app.command()
def plan(
    config: ConfigFile,
    overrides: Overrides = [],  # noqa: B006
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    device: TrainingDevice = None,
) -> None:
    """Tell what training will take: memory by part, speed, time, the largest batches that fit.

    Prepares the data first if that is not done yet, and trains some steps in a process of its own; keeps nothing.
    """
    with reporting():
        require_torch("nmt plan")
        from nmt.commands.plan import run

        run(config, _with_device(overrides, device), json)


@app.command()
def average(
    model: ModelFolder,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write the new model.")],
    last: Annotated[int | None, within(CHECKPOINTS, "Average this many of the latest checkpoints.")] = None,
    steps: Annotated[str | None, typer.Option(metavar="N,N", help="Average the checkpoints of these steps.")] = None,
) -> None:
    """Average the parameters of several checkpoints into a new model."""
    if (last is None) == (steps is None):
        raise typer.BadParameter("expected either --last N or --steps N,N,...")
    with reporting():
        require_torch("nmt average")
        from nmt.commands.average import run

        run(model, output, last, steps)


@app.command()
def export(
    model: ModelFolder,
    *,
    out: Annotated[Path, typer.Option("--out", "--output", metavar="FILE", help="Where to write the model file.")],
    precision: Annotated[Rounded, typer.Option(help="What weights are rounded to.")] = Rounded.int8,
    shortlist: Annotated[bool, typer.Option("--shortlist", help="Put the folder's shortlist in.")] = False,
) -> None:
    """Write all that translating takes into one file.

    `nmt translate` and the others take it in the place of the folder.
    """
    with reporting():
        from nmt.commands.export import run

        run(model, out, precision.value, shortlist)


@app.command()
def shortlist(
    model: ModelFolder,
    *,
    data: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Model folder whose prepared data to take.  [default: MODEL]"),
    ] = None,
) -> None:
    """Find out which words are translated by which, for `--shortlist` of the commands that translate.

    `nmt train` does so when it ends.
    """
    with reporting():
        from nmt.commands.shortlist import run

        run(model, data or model)


@app.command()
def translate(
    model: Model,
    *,
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
    prefixes: PrefixFile = None,
    sample: Sample = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    ensemble: Ensemble = [],  # noqa: B006  (typer copies it)
) -> None:
    """Translate text, line by line.

    Each line in gives exactly one line out, in order, whatever it holds.
    """
    if n_best > 1 and format is Format.text:
        raise typer.BadParameter("--n-best: expected --format tsv or json with it, text has one line per line")
    if beam_size is not None and n_best > beam_size:
        raise typer.BadParameter(f"--n-best: expected at most --beam-size {beam_size}, got {n_best}")
    if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
        raise typer.BadParameter(f"--plot: expected a name that ends in .png or .svg, got {plot}")
    chance = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    chosen: dict[str, Any] = {name: value for name, value in chance.items() if value is not None}
    if chosen and not sample:
        raise typer.BadParameter(f"--{next(iter(chosen)).replace('_', '-')}: expected --sample with it")
    if sample and beam_size is not None:
        raise typer.BadParameter("--beam-size: expected none with --sample, which searches nothing")
    with reporting():
        from nmt.commands.translate import Request, run
        from nmt.decoding.formats import Columns
        from nmt.decoding.hypotheses import Sampling

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
            Sampling(**chosen) if sample else None,
            tuple(ensemble),
        )
        columns = Columns(status, scores, alignments)
        run(model, how, Request(source, output, format.value, columns, n_best, plot, prefixes))


@app.command()
def evaluate(
    model: Model,
    *,
    test: TestName = None,
    source: SourceFile = None,
    reference: ReferenceFile = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the translations.")] = None,
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
    """Translate a test set and score it.

    Prints BLEU and chrF with sacreBLEU's signatures, and adds them to MODEL/scores.jsonl.
    """
    chosen = _test_set(test, source, reference)
    with reporting():
        from nmt.commands.evaluate import run

        place = device or "cpu"
        how = SearchSettings(
            beam_size, length_penalty, batch_size, threads, place, retry, sentences, precision, search, shortlist
        )
        run(model, chosen, output, how)


@app.command()
def score(
    model: Model,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Text, plain or compressed; - is stdin.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Its translation, line by line.")],
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.text,
    normalize: Annotated[bool, typer.Option("--normalize", help="Divide by the number of subwords.")] = False,
    threads: Threads = None,
    device: Device = None,
) -> None:
    """Print the log-probability that a model gives to each pair of lines."""
    with reporting():
        from nmt.commands.score import run

        run(model, source, target, format.value, normalize, SearchSettings(threads=threads, device=device or "cpu"))


@app.command()
def compare(
    systems: Annotated[
        list[Path], typer.Argument(metavar="A B", help="Model folders or files, or files of translations.")
    ],
    *,
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
            beam_size, length_penalty, batch_size, threads, place, retry, sentences, precision, search, shortlist
        )
        run((systems[0], systems[1]), chosen, html, how, language)


@app.command()
def info(
    model: Annotated[Path | None, typer.Argument(metavar="[MODEL]", help="Model folder or file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what a model is: network, sizes, vocabulary, training, scores; without one, what this machine has."""
    with reporting():
        if model is None:
            from nmt.commands.machine import run as machine

            machine(json)
            return
        from nmt.commands.info import run

        run(model, json)


@app.command("help")
def help_(
    context: typer.Context,
    command: Annotated[
        str | None, typer.Argument(metavar="[COMMAND]", help="Which command; without, all of them.")
    ] = None,
) -> None:
    """Tell how a command is used."""
    root = context.find_root()
    if command is None:
        typer.echo(root.get_help())
        return
    found = root.command.get_command(root, command)  # type: ignore[attr-defined]
    if found is None:
        known = ", ".join(root.command.list_commands(root))  # type: ignore[attr-defined]
        raise typer.BadParameter(f"no such command: {command}; there are {known}")
    typer.echo(found.get_help(type(context)(found, info_name=command, parent=root)))


def _with_device(overrides: list[str], device: str | None) -> list[str]:
    return overrides if device is None else [*overrides, f"training.device={device}"]


def _test_set(name: str | None, source: Path | None, reference: Path | None) -> TestSet:
    files = None if source is None or reference is None else (source, reference)
    if (name is None) == (files is None) or (source is None) != (reference is None):
        raise typer.BadParameter("expected either --test NAME, or --source FILE and --reference FILE")
    return TestSet(name, files)
