"""The recipes: how a corpus is split, settings chosen and results explained, and a whole run on made-up text."""

import gzip
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make_pairs

from nmt.config_file import load_config
from nmt.data.text import CorpusError, read_pairs

RECIPES = Path(__file__).parents[2] / "recipes"
sys.path[:0] = [str(RECIPES), str(RECIPES / "your-pair")]

import choose  # noqa: E402
import corpora  # noqa: E402
import explain  # noqa: E402
import split  # noqa: E402
import steps  # noqa: E402
import summary  # noqa: E402
import your_pair  # noqa: E402


def numbered(count, start=0):
    return [(f"Satz {number}.", f"Sentence {number}.") for number in range(start, start + count)]


def parts(pairs):
    """The pairs of each split, and those left out."""
    labels = split.assign(iter(pairs))
    return [{pair for pair, found in zip(pairs, labels, strict=True) if found == label} for label in range(4)]


def lines_of(pairs, side):
    return {split.normalised(pair[side]) for pair in pairs}


words = st.sampled_from(
    ["ja", "nein", "Ja!", "der", "hund", "läuft", "schnell", "1", "2", "3", "4", "...", "ﬁ", "狗", "नमस्ते"]
)
line = st.lists(words, max_size=5).map(" ".join)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(line, line), max_size=150), st.randoms(use_true_random=False))
def test_no_line_is_in_two_splits_and_order_does_not_matter(extra, generator):
    pairs = numbered(120) + extra
    found = parts(pairs)
    for side in (0, 1):
        train, valid, test = (lines_of(part, side) for part in found[:3])
        assert not train & valid
        assert not train & test
        assert not valid & test
    assert set().union(*found) == set(pairs)
    assert all(source.strip() and target.strip() for part in found[:3] for source, target in part)
    shuffled = list(pairs)
    generator.shuffle(shuffled)
    assert parts(shuffled) == found


def test_repeated_pairs_are_kept_once():
    pairs = numbered(200)
    labels = split.assign(iter(pairs + pairs))
    assert (labels[200:] == split.LEFT_OUT).all()
    assert np.bincount(labels[:200]).tolist() == [180, 10, 10]


def test_lines_with_several_translations_stay_together():
    pairs = numbered(300) + [(f"Satz {number}", f"Another {number}") for number in range(300)]
    _, valid, test, left_out = parts(pairs)
    assert len(valid) == len(test) == 30
    assert len(left_out) == 60  # the other translation of each held-out line


def test_more_lines_leave_the_split_mostly_as_it_was():
    before, after = parts(numbered(3000)), parts(numbered(3000) + numbered(300, start=5000))
    for name in (1, 2):
        assert len(before[name] & after[name]) >= 0.85 * len(before[name])
        moved = after[name] & before[0]
        assert len(moved) <= 0.15 * len(before[name])


def test_lines_used_too_often_are_not_held_out():
    pairs = [("Ja.", f"Yes {number}") for number in range(500)] + numbered(500)
    _, valid, test, left_out = parts(pairs)
    assert not left_out
    assert not any(source == "Ja." for source, _ in valid | test)


@pytest.mark.parametrize(
    ("pairs", "size"), [(100, 5), (1000, 50), (5000, 200), (20_000, 200), (50_000, 500), (200_000, 2000), (10**7, 2000)]
)
def test_size_of_the_held_out_sets(pairs, size):
    assert split.held_out_size(pairs) == size


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (numbered(99), "expected at least 100 different pairs of lines, got 99"),
        (numbered(5) * 100, "expected at least 100 different pairs of lines, got 5"),
        ([(f"{number}", "") for number in range(200)], "expected at least 100 different pairs of lines, got 0"),
        ([("same", f"{number}") for number in range(200)], "expected lines that occur at most 8 times"),
    ],
)
def test_corpora_that_cannot_be_split(pairs, message):
    with pytest.raises(CorpusError, match=message):
        split.assign(iter(pairs))


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
    return path


def corpus_files(folder, pairs):
    return tuple(write(folder / name, [pair[side] for pair in pairs]) for side, name in enumerate(("a.de", "a.en")))


def test_split_files(tmp_path):
    pairs = numbered(400)
    files = corpus_files(tmp_path, pairs)
    folder = tmp_path / "run" / "data"
    counts = split.split(folder, files)["counts"]
    assert counts == {"pairs": 400, "train": 360, "valid": 20, "test": 20, "left out": 0}
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    found = [
        pair for name in split.SPLITS for pair in read_pairs(*(folder / f"{name}.{side}.gz" for side in ("src", "tgt")))
    ]
    assert sorted(found) == sorted(pairs)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    split.split(folder, files)  # nothing to do
    assert times == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    write(tmp_path / "pairs.tsv", ["\t".join(pair) for pair in pairs])
    split.split(tmp_path / "tsv", [tmp_path / "pairs.tsv"])
    assert all((tmp_path / "tsv" / name).read_bytes() == content[name] for name in content if name.endswith(".gz"))


def test_split_of_other_text_beside_a_trained_model(tmp_path):
    folder = tmp_path / "run" / "data"
    split.split(folder, corpus_files(tmp_path, numbered(200)))
    more = corpus_files(tmp_path, numbered(300))
    assert split.split(folder, more)["counts"]["pairs"] == 300  # nothing depends on the old split yet
    (tmp_path / "run" / "model" / "checkpoints").mkdir(parents=True)
    with pytest.raises(CorpusError, match="give another --folder"):
        split.split(folder, corpus_files(tmp_path, numbered(200)))


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("corpus.de", "de"),
        ("corpus.de.gz", "de"),
        ("mail.fr.txt", "fr"),
        ("mail.fr.txt.gz", "fr"),
        ("a.b.c.pt_BR.TXT", "pt_BR"),
        ("news.zh-Hans", "zh-Hans"),
        ("news_cs.txt", "cs"),
        ("en.txt", "en"),
        ("train.de-en.en", "en"),
        ("corpus.DE", "DE"),
        ("corpus.deu.txt", "deu"),
        ("corpus.txt", ""),
        ("corpus", ""),
        ("train.src", ""),
        ("x.train.txt", ""),
        ("old.txt", ""),
        (".gz", ""),
    ],
)
def test_language_by_name(name, language):
    assert your_pair.language_of(Path("some.de", name)) == language


@pytest.mark.parametrize(
    ("name", "languages"),
    [
        ("pairs.de-en.tsv", ("de", "en")),
        ("fra-eng.tsv.gz", ("fra", "eng")),
        ("news_de_en.tsv", ("de", "en")),
        ("pairs.tsv", ("", "")),
        ("pairs.pt-BR.tsv", ("", "")),
        (".tsv", ("", "")),
    ],
)
def test_languages_by_name(name, languages):
    assert your_pair.languages_of(Path(name)) == languages


def test_languages_by_script(tmp_path):
    files = [write(tmp_path / "a", ["the dog"] * 9), write(tmp_path / "b", ["犬が歩いている。"] * 9)]
    assert choose.seen_languages(files, ["src", "tgt"]) == {"data.target_language": "ja"}
    assert choose.seen_languages(files[::-1], ["src", "de"]) == {"data.source_language": "ja"}
    assert choose.seen_languages(files, ["en", "ja"]) == {}


@pytest.mark.parametrize(
    ("pairs", "preset"),
    [(1, "5k"), (9_999, "5k"), (10_000, "20k"), (50_000, "50k"), (161_827, "200k"), (400_000, "1M"), (10**8, "1M")],
)
def test_preset_by_size(pairs, preset):
    assert choose.preset_for(pairs) == preset


def side(text, lines=20_000):
    return choose.Side(lines, choose.Counter(text.replace(" ", "")))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (side("the dog runs"), side("der hund rennt"), {}),
        (side("the dog runs"), side("собака бежит"), {"data.joint_vocabulary": "false"}),
        (side("the dog", 500), side("the hund", 500), {"training.epochs": "300"}),
        (side("the dog", 10), side("the hund", 10), {"training.epochs": "400"}),
        (
            side("the dog"),
            side("".join(chr(0x4E00 + number) for number in range(2000))),
            {"data.joint_vocabulary": "false", "data.character_coverage": "0.9995", "data.vocabulary_size": "4000"},
        ),
    ],
)
def test_settings_by_script_and_size(source, target, expected):
    assert choose.settings_for(source, target, vocabulary_size=1500, epochs=30) == expected


def test_vocabulary_that_a_small_text_can_fill(tmp_path):
    file = write(tmp_path / "text", [pair[0] for pair in make_pairs(100, seed=1)])
    size = choose.fitting_vocabulary([[file]], 1500, 1.0)
    assert 32 < size < 200
    assert choose.fitting_vocabulary([[file]], size, 1.0) == size


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=lambda path: str(path.relative_to(RECIPES)))
def test_settings_of_every_recipe(path, monkeypatch):
    for name in re.findall(r"\$\{(\w+)\}", path.read_text(encoding="utf-8")):
        monkeypatch.setenv(name, "lstm" if name == "CELL" else "en")
    config = load_config(path, ["folder=elsewhere", "training.threads=1"])
    assert config.data.train
    assert (config.folder, config.training.threads) == (Path("elsewhere"), 1)


SCORES = {"bleu": 31.4, "chrf": 55.0, "bleu_signature": "nrefs:1|tok:13a"}


def outcome(**changes):
    sources = [f"satz {number} der zahlen" for number in range(200)]
    references = [f"sentence {number} of the numbers" for number in range(200)]
    fields = {
        "sources": sources,
        "references": references,
        "translations": [*references[:150], *(f"sentence {number} of a number" for number in range(50))],
        "scores": SCORES,
        "curve": [],
        "training": {"early_stopping_metric": "bleu", "epochs": 20, "max_minutes": 10.0, "dropout": 0.3},
        "seen": explain.Words(frozenset(" ".join(sources).split()), frozenset(" ".join(sources)), 4500),
    }
    return explain.Outcome(**(fields | changes))


def curve(bleu, loss, seconds=100.0, epoch=20):
    last = {"seconds": seconds, "epoch": epoch}
    return [{"bleu": score, "loss": nats} | last for score, nats in zip(bleu, loss, strict=True)]


FALLING = [3.0, 2.5, 2.2, 2.0, 1.9]
FOREIGN = explain.Words(frozenset({"satz"}), frozenset("satz der"), 300_000)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "150 of 200 test lines are exactly as given"),
        ({}, "Most sentences can be understood"),
        ({}, "difference of less than about 3.2 BLEU"),
        ({}, "There were 4,500 training pairs. As a rule of thumb"),
        ({"scores": {"bleu": 80.0, "chrf": 90.0, "bleu_signature": "tok:13a"}}, "Close to the given translations"),
        ({"scores": {"bleu": 0.0, "chrf": 3.0, "bleu_signature": "tok:char"}}, "does not compare"),
        ({"scores": SCORES | {"statuses": {"ok": 197, "failed": 3}}}, "3 of 200 translations look wrong"),
        (
            {"scores": SCORES | {"statuses": {"ok": 190, "split": 10}}},
            "10 of 200 lines are longer than the model reads",
        ),
        ({"translations": ["sentence"] * 200}, "shorter than the given ones"),
        ({"translations": ["a sentence that is much longer than it"] * 200}, "longer than the given ones"),
        ({"translations": [""] * 200}, "200 of 200 translations are empty"),
        ({"translations": ["the cat the cat the cat the cat"] * 200}, "200 of 200 translations repeat themselves"),
        ({"translations": [f"satz {number} der zahlen" for number in range(200)]}, "came back as they were"),
        ({"seen": FOREIGN}, "never had, and that the model cannot read: 0 1 2"),
        ({"seen": FOREIGN}, "75 % of the words in the test lines"),
        ({"seen": FOREIGN}, "There were 300,000 training pairs"),
        ({"curve": curve([1, 9, 15, 20, 24], FALLING)}, "still getting better"),
        ({"curve": curve([1, 9, 15, 15, 15], FALLING)}, "had stopped improving"),
        ({"curve": curve([1, 9, 8, 7, 6], [3.0, 2.0, 2.1, 2.3, 2.5])}, "rose again, from 2.00 to 2.50"),
        ({"curve": curve([1, 9, 8, 7, 6], [3.0, 2.0, 2.1, 2.3, 2.5])}, "model.dropout=0.40"),
        ({"curve": curve([1, 9, 15, 20, 24], FALLING, 600.0, 7)}, "Time ran out in epoch 7 of 20; `--minutes 20`"),
        ({"curve": curve([1], [3.0], 600.0, 2)}, "Time ran out in epoch 2 of 20"),
    ],
)
def test_explanation(changes, expected):
    assert expected in " ".join(explain.explanation(outcome(**changes)).split())


def test_explanation_says_nothing_of_faults_that_are_not_there():
    text = " ".join(explain.explanation(outcome()).split())
    assert "Nothing that counting would show." in text
    for word in ("empty", "repeat", "shorter", "longer than", "Time ran out", "rose again"):
        assert word not in text


def test_results_without_scores_are_an_error(tmp_path):
    for name in ("test.src.gz", "test.tgt.gz"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(gzip.compress(b"one\ntwo\n"))
    with pytest.raises(ValueError, match="expected 2 lines"):
        explain.read_outcome(tmp_path, write(tmp_path / "out", ["one"]))
    write(tmp_path / "model" / "scores.jsonl", ['{"kind": "validation"}'])
    with pytest.raises(ValueError, match="expected scores of the test set, got none"):
        explain.read_outcome(tmp_path, write(tmp_path / "out", ["one", "two"]))


def test_summary(tmp_path):
    row = {"test": "t", "lines": 2000, "beam_size": 5, "bleu": 20.0, "chrf": 40.0}
    validations = [
        {"kind": "validation", "step": step, "epoch": 3, "seconds": 0.95 * step, "tokens_per_second": step}
        for step in (80, 100, 100)
    ]
    rows = [row | {"bleu": 1.0}, row, *validations]
    signed = [json.dumps(row | {"bleu_signature": "b|13a", "chrf_signature": "c"}) for row in rows]
    write(tmp_path / "scores.jsonl", signed)
    write(tmp_path / "runs.jsonl", ['{"peak_mib": 700}', '{"peak_mib": 1500}'])
    text = summary.summary(tmp_path, ["t", "never scored"])
    for part in (
        "BLEU 20.00  b|13a",
        "chrF 40.00  c",
        "1:35 minutes",
        "100 steps",
        "100 target subwords/s",
        "1,500 MiB",
    ):
        assert part in text
    assert summary.summary(tmp_path / "empty", ["t"]).count("\n") == 0


def test_a_program_that_fails_ends_the_recipe_after_its_record(tmp_path):
    record = tmp_path / "new" / "runs.jsonl"
    assert steps.run(sys.executable, "-c", "print('said')", record=record, capture=True) == "said\n"
    for code, ended in (("sys.exit(7)", 7), ("os.kill(os.getpid(), 9)", 137)):
        with pytest.raises(SystemExit) as caught:
            steps.run(sys.executable, "-c", f"import os, sys; {code}", record=record)
        assert caught.value.code == ended
    rows = summary.read_rows(record)
    assert [row["exit"] for row in rows] == [0, 7, 137]
    assert all(row["peak_mib"] > 1 for row in rows)


def run(recipe, *arguments, folder, **environment):
    """Run a recipe without installing anything: `nmt` and `python` are small scripts for this interpreter."""
    tools = folder / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    scripts = {
        "nmt": f"#!{sys.executable}\nfrom nmt.cli import main\nmain()\n",
        **dict.fromkeys(("python", "python3"), f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'),
    }
    for name, text in scripts.items():
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONSAFEPATH", "NMT_DATA")}
    clean |= {"PATH": f"{tools}:{os.environ['PATH']}", "NMT_INSTALL": "no"} | environment
    own = RECIPES / recipe / "run.sh"
    start = [str(own)] if own.exists() else [str(RECIPES / "run.sh"), recipe]
    command = ["bash", *start, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("recipe", "arguments", "code", "message"),
    [
        ("your-pair", [], 2, "expected two text files or one .tsv file"),
        ("your-pair", ["no.de", "no.en"], 2, "no.de: no such file"),
        ("your-pair", ["a.txt", "a.en"], 2, "a.txt: the name does not end in a language; give --source-language"),
        ("your-pair", ["shifted.de", "shifted.en", "--folder", "run"], 1, "from about line 1"),
        ("your-pair", ["a", "a.en"], 2, "a: the name does not end in a language"),
        ("your-pair", ["a.en", "a.en"], 2, "expected two languages, got en twice"),
        ("your-pair", ["a.en"], 2, "expected a second file, or one that ends in .tsv"),
        ("your-pair", ["a.en", "--flder", "x"], 2, "unrecognized arguments: --flder"),
        ("your-pair", ["a.en", "--folder"], 2, "argument --folder: expected one argument"),
        ("your-pair", ["bad.de", "a.en", "--folder", "run"], 1, "bad.de: line 1: expected UTF-8"),
        ("your-pair", ["long.de", "a.en", "--folder", "run"], 1, "expected as many source as target lines, got 2"),
        ("tatoeba", ["de", "fr"], 2, "expected de en, en de, fr en, en fr, got de fr"),
        ("tatoeba", ["de", "en"], 1, "no corpus in 'DATA_FOLDER or $NMT_DATA': expected tatoeba-deen/"),
        ("canlaws", ["en", "fr", "."], 1, "no corpus in '.'"),
        ("multi30k", ["en", "en"], 2, "got en en"),
        ("multi30k", ["en", "de", "--cell=gru"], 2, "--cell: expected lstm or mi_lstm, got gru"),
        ("canlaws", ["en", "fr", "--cell", "lstm"], 2, "--cell: expected none for this corpus, got lstm"),
        ("small-enja", ["en"], 2, "the following arguments are required: TARGET"),
        ("nothing", ["en", "de"], 2, "CORPUS: invalid choice: 'nothing'"),
    ],
)
def test_wrong_usage(recipe, arguments, code, message, tmp_path):
    for name in ("a.en", "a.txt", "a"):
        write(tmp_path / name, ["one"])
    write(tmp_path / "long.de", ["one", "two"])
    pairs = [
        (f"{'x' * (number * 37 % 101)} {number}", f"{number} {'y' * (number * 37 % 101)}") for number in range(400)
    ]
    write(tmp_path / "shifted.de", [source for source, _ in pairs[1:]])
    write(tmp_path / "shifted.en", [target for number, (_, target) in enumerate(pairs) if number != 150])
    (tmp_path / "bad.de").write_bytes(b"\xff\n")
    done = run(recipe, *arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("recipe", "words"), [("your-pair", ["--source-language"]), ("multi30k", corpora.CORPORA)])
def test_help_lists_the_options(recipe, words, tmp_path):
    done = run(recipe, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert all(option in done.stdout for option in (*words, "--folder", "--minutes", "--threads", "--set"))


def test_your_pair_from_text_to_advice(tmp_path):
    pairs = make_pairs(300, seed=5)
    random.Random(1).shuffle(pairs)
    write(tmp_path / "little corpus.en", [pair[0] for pair in pairs])
    (tmp_path / "little.de.gz").write_bytes(gzip.compress("".join(f"{pair[1]}\n" for pair in pairs).encode()))
    small = ["embedding_size=16", "hidden_size=16"]
    options = [part for setting in small for part in ("--set", f"model.{setting}")]
    options += ["--set", "training.epochs=2", "--threads", "1", "--folder", "my run"]
    done = run("your-pair", "little corpus.en", "little.de.gz", *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for part in ("BLEU", "chrF", "target subwords/s", "MiB", "How good it is", "What would help", "nmt translate"):
        assert part in done.stdout
    model = tmp_path / "my run" / "model"
    card = json.loads((model / "config.json").read_text(encoding="utf-8"))
    assert (card["data"]["source_language"], card["data"]["target_language"]) == ("en", "de")
    assert len((model / "test.de.txt").read_text(encoding="utf-8").splitlines()) == 15
    again = run("your-pair", "little corpus.en", "little.de.gz", *options, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "already finished" in again.stderr
    assert "translating" not in again.stderr.replace("translating and scoring", "")
