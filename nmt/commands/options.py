"""Arguments and options that several subcommands share: their type, bounds and help."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.values import (
    BATCH_SIZE,
    BEAM_SIZE,
    DEVICES,
    LENGTH_PENALTY,
    MAX_LENGTH,
    MIN_LENGTH,
    NGRAM,
    SEED,
    SHORTLIST,
    TEMPERATURE,
    THREADS,
    TOP_K,
    TOP_P,
    Bounds,
    is_device,
)

if TYPE_CHECKING:
    from nmt.decoding.hypotheses import Sampling


class SearchBy(StrEnum):
    """Which search."""

    native = "native"
    reference = "reference"


class Rounded(StrEnum):
    """What weights may be rounded to."""

    float32 = "float32"
    int8 = "int8"
    bfloat16 = "bfloat16"


def within(bounds: Bounds, help: str) -> Any:
    """Make an option for a number."""

    def refuse_nan(value: float | None) -> float | None:
        if value is not None and math.isnan(value):  # which is neither below the bounds nor above
            raise typer.BadParameter(f"expected {bounds}, got nan")
        return value

    return typer.Option(min=bounds.least, max=bounds.most, callback=refuse_nan, help=help)


def _check_device(device: str | None) -> str | None:
    if device is None or is_device(device):
        return device
    raise typer.BadParameter(f"{DEVICES}, got {device}")


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="TOML file; `nmt config` lists its settings.")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting; may be given many times."),
]
StartFrom = Annotated[
    Path | None,
    typer.Option("--from", metavar="MODEL", help="Start from the parameters and subwords of this model folder."),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder, or a file that `nmt export` wrote.")]
ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder that `nmt train` wrote.")]
BeamSize = Annotated[
    int | None, within(BEAM_SIZE, "Hypotheses per sentence; 1 is greedy search.  [default: the model's]")
]
LengthPenalty = Annotated[
    float | None,
    within(LENGTH_PENALTY, "Exponent of the length that divides log-probabilities.  [default: the model's]"),
]
BatchSize = Annotated[int | None, within(BATCH_SIZE, "Sentences searched at once.  [default: the model's]")]
Threads = Annotated[int | None, within(THREADS, "CPU threads.  [default: OMP_NUM_THREADS, or all cores]")]
Retry = Annotated[bool | None, typer.Option(help="Translate once more what looks wrong.  [default: the model's]")]
Sentences = Annotated[
    bool | None, typer.Option(help="Translate the sentences of a line one by one.  [default: the model's]")
]
Precision = Annotated[
    Rounded | None,
    typer.Option(
        help="What weights are rounded to; int8 and bfloat16 are faster, and for the CPU alone.  "
        "[default: float32, or the file's]"
    ),
]
Search = Annotated[
    SearchBy, typer.Option(help="native, or reference: the slow one that can be read, with torch (float32).")
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="LANGUAGE", help="Language to translate to, of a model that knows several."),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="DEVICE", callback=_check_device, help="auto, cpu, cuda or cuda:N.  [default: cpu]"),
]
Shortlist = Annotated[
    int,
    within(
        SHORTLIST, "Choose from so many likely translations of each source subword alone: faster; 0: from all words."
    ),
]
TrainingDevice = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="DEVICE", callback=_check_device, help="The same as --set training.device=DEVICE."
    ),
]
InputFile = Annotated[Path | None, typer.Option("--input", metavar="FILE", help="Text, plain or compressed.  [stdin]")]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Where to write; .gz, .bz2, .xz and .zst compress.  [stdout]"),
]
TestName = Annotated[str | None, typer.Option("--test", metavar="NAME", help="A test set named in the settings.")]
SourceFile = Annotated[
    Path | None, typer.Option("--source", metavar="FILE", help="Text to translate, plain or compressed.")
]
ReferenceFile = Annotated[Path | None, typer.Option("--reference", metavar="FILE", help="Its translation.")]


MinLength = Annotated[int, within(MIN_LENGTH, "Subwords of a translation at least.")]
MaxLength = Annotated[
    int | None,
    within(MAX_LENGTH, "Subwords of a sentence's translation at most.  [default: by the model's settings]"),
]
NoRepeatNgram = Annotated[int, within(NGRAM, "So many subwords in a row come once in a translation; 0: any may again.")]
Sample = Annotated[bool, typer.Option("--sample", help="Draw translations by chance, instead of the best.")]
Temperature = Annotated[float | None, within(TEMPERATURE, "Of --sample: below 1 what is probable more often.  [1]")]
TopK = Annotated[int | None, within(TOP_K, "Of --sample: the K most probable subwords alone.  [all]")]
TopP = Annotated[float | None, within(TOP_P, "Of --sample: the best ones that have this probability.  [1]")]
Seed = Annotated[int | None, within(SEED, "Of --sample: another one draws others.  [0]")]
PrefixFile = Annotated[
    Path | None,
    typer.Option("--prefixes", metavar="FILE", help="What each translation begins with, a line each; may be empty."),
]
GlossaryFile = Annotated[
    Path | None,
    typer.Option(
        "--glossary", metavar="FILE", help="Terms and their translations, or names that are kept; .tsv or .tbx."
    ),
]
Ensemble = Annotated[
    list[Path],
    typer.Option("--ensemble", metavar="MODEL", help="Another model of the same subwords, to be asked with the first."),
]


def chosen_sampling(
    sample: bool,
    beam_size: int | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    seed: int | None,
) -> Sampling | None:
    """Make of the options of `--sample` how to draw; None where the best is searched.

    Raises:
        typer.BadParameter: They do not go together.
    """
    chance = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    chosen: dict[str, Any] = {name: value for name, value in chance.items() if value is not None}
    if chosen and not sample:
        raise typer.BadParameter(f"--{next(iter(chosen)).replace('_', '-')}: expected --sample with it")
    if sample and beam_size is not None:
        raise typer.BadParameter("--beam-size: expected none with --sample, which searches nothing")
    from nmt.decoding.hypotheses import Sampling

    return Sampling(**chosen) if sample else None


class Format(StrEnum):
    """What a command reads and writes."""

    text = "text"
    tsv = "tsv"
    json = "json"
