"""`nmt translate` with beginnings, least lengths, translations by chance, and several models at once."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from typer.testing import CliRunner

from nmt.cli import app
from nmt.decoding import models
from nmt.decoding.hypotheses import Sampling
from nmt.decoding.translation import TranslationSettings
from nmt.decoding.translator import Translator
from nmt.model_folder.files import ModelError
from nmt.model_folder.shortlist import SHORTLIST_FILE, write_shortlist

FOLDER = Path(__file__).parents[1] / "data" / "model-v1"
LINES = ["The old dog sees the small cat.", "A man sleeps. The red cat sees a house.", "", "☃", "one two three"]
TEXT = "".join(f"{line}\n" for line in LINES).encode()


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load(FOLDER, threads=1)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same subwords with other weights."""
    folder = tmp_path_factory.mktemp("ensemble") / "other"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.sha256", "digests*", "SHA256*"))
    weights = next(folder.glob("*.safetensors"))
    with safe_open(weights, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dictionary)
    torch.manual_seed(1)
    save_file({name: tensor + 0.3 * torch.randn_like(tensor) for name, tensor in tensors.items()}, weights, metadata)
    return folder


def run(*arguments: str | Path, stdin: bytes = TEXT, code: int = 0) -> tuple[list[str], str]:
    """Lines of stdout, and stderr."""
    done = CliRunner().invoke(app, ["translate", *map(str, arguments)], input=stdin)
    assert done.exit_code == code, done.stderr
    return done.stdout.removesuffix("\n").split("\n") if done.stdout else [], done.stderr


def test_prefixes(translator: Translator, tmp_path: Path) -> None:
    prefixes = [" ".join(reversed(text.split()[:2])) for text in translator.translate(LINES)]
    prefixes[1] = ""
    file = tmp_path / "prefixes"
    file.write_text("".join(f"{line}\n" for line in prefixes))
    found, _ = run(FOLDER, "--prefixes", file)
    assert found == [line.text for line in translator.translate_detailed(LINES, prefixes=prefixes)]
    assert found[0].startswith(prefixes[0])
    assert found[1] == translator.translate(LINES)[1]
    plot = tmp_path / "attention.svg"
    file.write_text(f"{prefixes[0]}\n")
    drawn, _ = run(FOLDER, "--prefixes", file, "--plot", plot, stdin=f"{LINES[0]}\n".encode())
    assert drawn == found[:1]
    assert plot.exists()


@pytest.mark.parametrize(("count", "message"), [(3, "got only 3"), (6, "expected a line for each of 5 lines")])
def test_as_many_prefixes_as_lines(tmp_path: Path, count: int, message: str) -> None:
    (tmp_path / "prefixes").write_text("\n" * count)
    _, errors = run(FOLDER, "--prefixes", tmp_path / "prefixes", code=1)
    assert message in errors
    assert errors.count("\n") == 1


def test_prefixes_that_are_not_there(tmp_path: Path) -> None:
    _, errors = run(FOLDER, "--prefixes", tmp_path / "none", code=1)
    assert "No such file" in errors


def test_a_least_length(translator: Translator) -> None:
    found, _ = run(FOLDER, "--min-length", "20", "--no-retry")
    settings = TranslationSettings(min_length=20, retry=False)
    assert found == [line.text for line in translator.translate_detailed(LINES, settings)]
    assert found != translator.translate(LINES)


def test_a_greatest_length_and_nothing_twice(translator: Translator) -> None:
    found, _ = run(FOLDER, "--max-length", "4", "--no-repeat-ngram", "2", "--no-retry")
    settings = TranslationSettings(max_length=4, no_repeat_ngram=2, retry=False)
    assert found == [line.text for line in translator.translate_detailed(LINES, settings)]
    assert found != translator.translate(LINES)


def test_samples(translator: Translator) -> None:
    chance = ("--sample", "--temperature", "4", "--top-k", "9", "--top-p", "0.95", "--seed", "7")
    found, _ = run(FOLDER, *chance, "--n-best", "3", "--format", "json", stdin=f"{json.dumps(LINES[0])}\n".encode())
    settings = TranslationSettings(n_best=3, sampling=Sampling(4.0, 9, 0.95, 7))
    [expected] = translator.translate_detailed(LINES[:1], settings)
    assert [each["translation"] for each in json.loads(found[0])["n_best"]] == [
        each.text for each in expected.hypotheses
    ]
    assert run(FOLDER, *chance, "--threads", "2", "--batch-size", "1")[0] == run(FOLDER, *chance)[0]
    assert run(FOLDER, *chance[:-1], "8") != run(FOLDER, *chance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seed", "1"), "--seed: expected --sample with it"),
        (("--top-k", "5"), "--top-k: expected --sample with it"),
        (("--sample", "--beam-size", "4"), "--beam-size: expected none with --sample"),
        (("--sample", "--temperature", "0"), "temperature"),
        (("--sample", "--top-p", "nan"), "top-p"),
        (("--min-length", "-1"), "min-length"),
        (("--max-length", "0"), "max-length"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str) -> None:
    _, errors = run(FOLDER, *arguments, code=2)
    assert message in errors


def test_the_reference_does_the_same_with_all_of_it(other: Path, tmp_path: Path) -> None:
    (tmp_path / "prefixes").write_text("ka\n\n\n\nti lo\n")
    asked = ("--ensemble", other, "--prefixes", tmp_path / "prefixes", "--min-length", "4", "--status", "--alignments")
    for more in ((), ("--sample", "--temperature", "2", "--top-p", "0.9")):
        assert run(FOLDER, *asked, *more, "--search", "reference") == run(FOLDER, *asked, *more)


def test_an_ensemble(translator: Translator, other: Path, tmp_path: Path) -> None:
    """Scores are the mean of its models'; twice the same model is that model."""
    both = Translator.load([FOLDER, str(other)], threads=1)
    found = both.translate(LINES)
    assert run(FOLDER, "--ensemble", other)[0] == found
    assert Translator.load([FOLDER, FOLDER, FOLDER], threads=1).translate(LINES) == translator.translate(LINES)
    pairs = list(zip(LINES, found, strict=True))
    scores = [each.score(pairs) for each in (both, translator, Translator.load(other, threads=1))]
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(TEXT)
    target.write_text("".join(f"{line}\n" for line in found))
    done = CliRunner().invoke(app, list(map(str, ["score", FOLDER, source, target, "--ensemble", other])))
    assert [float(line) for line in done.stdout.splitlines()] == pytest.approx(
        [each.log_probability for each in scores[0]], abs=1e-4
    )
    for together, one, two in zip(*scores, strict=True):
        assert together.log_probability == pytest.approx((one.log_probability + two.log_probability) / 2, abs=1e-4)
    assert both.network.number_of_parameters == 2 * translator.network.number_of_parameters


def test_scores_of_an_ensemble_are_none_of_its_models(other: Path, tmp_path: Path) -> None:
    """They are printed alone."""
    folder, source, output = Path(shutil.copytree(FOLDER, tmp_path / "model")), tmp_path / "source", tmp_path / "out"
    source.write_bytes(TEXT)
    asked = ["evaluate", folder, "--source", source, "--reference", source, "--output", output, "--ensemble", other]
    before = sorted(path.name for path in folder.iterdir())
    done = CliRunner().invoke(app, list(map(str, asked)))
    assert done.exit_code == 0, done.stderr
    assert "BLEU" in done.stdout
    assert output.read_text().splitlines() == Translator.load([FOLDER, other], threads=1).translate(LINES)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_an_ensemble_with_shortlists(other: Path, tmp_path: Path) -> None:
    """Of all its models: the words of all."""
    size = Translator.load(FOLDER, threads=1).target_subwords.size
    folders = [Path(shutil.copytree(each, tmp_path / each.name)) for each in (FOLDER, other)]
    for number, folder in enumerate(folders):
        ids = np.roll(np.arange(size, dtype=np.int32), 5 * number)
        none = {"first": np.zeros(size + 1, np.int64), "candidates": ids[:0], "frequent": ids}
        write_shortlist(folder, none, (size, size))
    few, many = (run(folders[0], "--ensemble", folders[1], "--shortlist", str(count))[0] for count in (4, size))
    assert many == run(FOLDER, "--ensemble", other)[0]
    assert few != many
    subwords = Translator.load(FOLDER, threads=1).target_subwords
    listed = {*range(4), *range(size - 5, size - 1)}
    assert {each for line in few if line not in ("", "☃") for each in subwords.encode(line)} <= listed
    _, errors = run(folders[0], "--ensemble", other, "--shortlist", "4", code=1)
    assert f"{other / SHORTLIST_FILE}: missing" in errors


def test_no_ensemble_of_other_subwords(monkeypatch: pytest.MonkeyPatch, other: Path) -> None:
    opened = models._open

    class Others:
        serialized = b"others"

    def open_other(path: Path, *rest: object) -> models.Models:
        found = opened(path, *rest)  # type: ignore[arg-type]
        return found._replace(target=Others()) if path == other else found  # type: ignore[arg-type]

    monkeypatch.setattr(models, "_open", open_other)
    with pytest.raises(ModelError, match=f"{other}: expected the target subwords of {FOLDER}"):
        Translator.load([FOLDER, other], threads=1)
    _, errors = run(FOLDER, "--ensemble", other, code=1)
    assert "expected the target subwords" in errors


@pytest.mark.parametrize(
    ("languages", "fits"),
    [(("de", "en"), True), (("DE", "en"), True), (("src", "en"), True), (("en", "de"), False), (("fr", "en"), False)],
)
def test_no_ensemble_of_other_languages(languages: tuple[str, str], fits: bool, tmp_path: Path) -> None:
    """Equal subwords do not make them one: both directions may have been prepared with the same."""
    folders = []
    for name, pair in (("first", ("de", "en")), ("second", languages)):
        whole = shutil.ignore_patterns("*.sha256", "digests*", "SHA256*")
        folders.append(Path(shutil.copytree(FOLDER, tmp_path / name, ignore=whole)))
        config = folders[-1] / "config.json"
        settings = json.loads(config.read_text())
        settings["data"]["source_language"], settings["data"]["target_language"] = pair
        config.write_text(json.dumps(settings))
    if fits:
        alone = Translator.load(FOLDER, threads=1).translate(LINES)
        assert Translator.load(folders, threads=1).translate(LINES) == alone
    else:
        first, second = folders
        told = f"{second}: expected a model for de-en, as {first} in an ensemble, got one for {'-'.join(languages)}"
        with pytest.raises(ModelError, match=re.escape(told)):
            Translator.load(folders, threads=1)


def test_no_ensemble_of_nothing() -> None:
    with pytest.raises(ValueError, match="expected at least one model"):
        Translator.load([])
