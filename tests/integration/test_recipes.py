"""The recipes: how a corpus is split, settings chosen and results explained, and a whole run on made-up text."""

import gzip
import json
import math
import os
import random
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make_pairs

from nmt.config_file import load_config
from nmt.data.subwords import train_subwords
from nmt.data.text import CorpusError, read_pairs

RECIPES = Path(__file__).parents[2] / "recipes"
sys.path[:0] = [str(RECIPES), str(RECIPES / "your-pair")]

import choose  # noqa: E402
import corpora  # noqa: E402
import explain  # noqa: E402
import more_text  # noqa: E402
import outcome as outcomes  # noqa: E402
import penalty  # noqa: E402
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
    assert choose.seen_languages(files, ["src", "tgt"]) == ["src", "ja"]
    assert choose.seen_languages(files[::-1], ["src", "de"]) == ["ja", "de"]
    assert choose.seen_languages(files, ["en", "ja"]) == ["en", "ja"]


def test_settings_say_the_languages_of_each_direction():
    assert choose.language_settings("de", "en", ()) == {"data.source_language": "de", "data.target_language": "en"}
    ways = [{"source_language": "src", "target_language": "tgt"}, {"source_language": "tgt", "target_language": "src"}]
    assert choose.language_settings("de", "en", ways) == {
        "data.corpora.0.source_language": "de",
        "data.corpora.0.target_language": "en",
        "data.corpora.1.source_language": "en",
        "data.corpora.1.target_language": "de",
    }


@pytest.mark.parametrize(
    ("pairs", "preset"),
    [(1, "5k"), (9_999, "5k"), (10_000, "20k"), (50_000, "50k"), (161_827, "200k"), (400_000, "1M"), (10**8, "1M")],
)
def test_preset_by_size(pairs, preset):
    assert choose.preset_for(pairs, shared=False) == preset
    assert choose.preset_for(pairs, shared=True) == ("5k-both" if preset == "5k" else preset)


def side(text, lines=20_000):
    return choose.Side(lines, choose.Counter(text.replace(" ", "")))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (side("the dog runs"), side("der hund rennt"), {}),
        (side("the dog runs"), side("собака бежит"), {"data.joint_vocabulary": "false"}),
        (side("the dog", 2_500), side("the hund", 2_500), {"training.epochs": "60"}),
        (side("the dog", 500), side("the hund", 500), {"data.vocabulary_size": "750", "training.epochs": "300"}),
        (side("the dog", 10), side("the hund", 10), {"data.vocabulary_size": "750", "training.epochs": "400"}),
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
    assert config.data.parts
    assert all(part.train for part in config.data.parts)
    assert (config.folder, config.training.threads) == (Path("elsewhere"), 1)


SCORES = {"bleu": 31.4, "chrf": 55.0, "bleu_signature": "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2"}
AGAIN = ["bash", "/my project/run.sh", "/a corpus.de", "/a.en", "--set", "training.threads=1"]


@pytest.fixture(scope="module")
def vocabulary():
    return train_subwords([f"satz {number} der zahlen" for number in range(200)], 40)


@pytest.fixture
def outcome(vocabulary, monkeypatch):
    """A run's outcome, with some things changed."""
    monkeypatch.setattr(explain, "better_penalty", lambda outcome, shorter: None)

    def make(**changes):
        sources = [f"satz {number} der zahlen" for number in range(200)]
        references = [f"sentence {number} of the numbers" for number in range(200)]
        fields = {
            "folder": Path("/my run"),
            "sources": sources,
            "references": references,
            "translations": [*references[:150], *(f"sentence {number} of a number" for number in range(150, 200))],
            "scores": SCORES,
            "curve": [],
            "training": {"early_stopping_metric": "bleu", "epochs": 20, "max_minutes": 10.0, "dropout": 0.3},
            "text": outcomes.TrainingText(frozenset(" ".join(sources).split()), 4500, 7, ""),
            "epoch_tokens": 10_000,
            "again": [*AGAIN, "--target-text", "/more.en"],
        }
        made = outcomes.Outcome(**(fields | changes))
        vars(made)["subwords"] = vocabulary
        return made

    return make


def curve(bleu, loss, seconds=100.0, epoch=20):
    """Validations at even distances, the last one after so many seconds, in that epoch."""
    count = len(bleu)
    return [
        {
            "bleu": score,
            "loss": nats,
            "seconds": seconds * number / count,
            "step": 1000 * number // count,
            "epoch": max(1, math.ceil(epoch * number / count)),
            "tokens_per_second": 100.0,
        }
        for number, (score, nats) in enumerate(zip(bleu, loss, strict=True), start=1)
    ]


FALLING = [3.0, 2.5, 2.2, 2.0, 1.9]
RISING = [3.0, 2.0, 2.1, 2.3, 2.5]
RISEN = [1, 9, 15, 20, 24]
FOREIGN = [f"satz {number} ꙮ" for number in range(200)]
SHIFTED = "the target comes 1 line too late: its line 66 looks like the translation of line 65"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "150 are exactly as given, 0 nearly so (chrF 80 or more), and"),
        ({}, "There were 4,500 training pairs"),
        (
            {"translations": ["something else"] * 200},
            "Of these, 0 are exactly as given, 0 nearly so (chrF 80 or more), and",
        ),
        ({"scores": SCORES | {"bleu_signature": "nrefs:1|tok:char|x"}}, "does not compare"),
        ({"scores": SCORES | {"statuses": {"ok": 197, "failed": 3}}}, "3 of 200 translations look wrong"),
        (
            {"scores": SCORES | {"statuses": {"ok": 190, "split": 10}}},
            "10 of 200 lines are longer than the model reads",
        ),
        ({"translations": ["sentence"] * 200}, "shorter than the given ones"),
        ({"translations": ["a sentence that is much longer than it"] * 200}, "longer than the given ones"),
        ({"translations": [""] * 200}, "200 of 200 translations are empty"),
        ({"translations": ["the cat the cat the cat the cat"] * 200}, "200 of 200 translations repeat themselves"),
        (
            {"translations": [f"satz {number} der zahlen" for number in range(200)]},
            "200 of 200 lines came back as they were; 7 of the 4,500 training pairs have two equal sides",
        ),
        ({"sources": FOREIGN}, "the model cannot read: ꙮ"),
        (
            {"sources": [*(f"satz {number} der zahlen" for number in range(150)), *["ein anderes wort"] * 50]},
            "50 test lines have a word that the training text has not: their chrF is 69 on average, that of the others",
        ),
        ({"curve": curve(RISEN, FALLING)}, "twice as many epochs show how much"),
        ({"curve": curve([1, 9, 15, 15, 15], FALLING)}, "had stopped improving"),
        ({"curve": curve([1, 9, 8, 7, 6], RISING)}, "rose again, from 2.00 to 2.50"),
        ({"curve": curve(RISEN, FALLING, 600.0, 7)}, "Time ran out in epoch 7 of 20."),
        ({"curve": curve([1], [3.0], 600.0, 1)}, "Time ran out in epoch 1 of 20."),
    ],
)
def test_explanation(changes, expected, outcome):
    assert expected in " ".join(explain.explanation(outcome(**changes)).split())


def commands(text):
    """The commands of an explanation: what stands on a line of its own."""
    return [line.strip() for line in text.splitlines() if line.startswith("      ")]


@pytest.mark.parametrize(
    ("changes", "folder", "options"),
    [
        ({"curve": curve(RISEN, FALLING)}, "/my run", ["--set", "training.epochs=40", "--minutes", "4"]),
        ({"curve": curve([1, 9, 8, 7, 6], RISING)}, "/my run-dropout-0.4", ["--set", "model.dropout=0.4"]),
        # 1,000 steps in 10 minutes; an epoch has 1,000 / 6 at most, so that 20 take 33.3 minutes
        ({"curve": curve([1] * 7, [3.0] * 7, 600.0, 7)}, "/my run", ["--minutes", "34"]),
        # in the first epoch: 60,000 subwords, of which nine tenths count, of 200,000 in 20 epochs
        ({"curve": curve([1], [3.0], 600.0, 1), "epoch_tokens": 200_000}, "/my run", ["--minutes", "741"]),
    ],
)
def test_advice_is_computed_and_can_be_pasted(changes, folder, options, outcome):
    [command] = commands(explain.explanation(outcome(**changes)))
    assert shlex.split(command) == [*AGAIN, "--target-text", "/more.en", "--folder", folder, *options]


def test_more_text_is_advised_where_there_was_none_and_pairs_are_few(outcome):
    [command] = commands(explain.explanation(outcome(again=AGAIN)))
    assert shlex.split(command) == [*AGAIN, "--folder", "/my run-more", "--target-text", "FILE"]
    many = outcomes.TrainingText(frozenset(), more_text.PAIRS, 0, "")
    assert commands(explain.explanation(outcome(again=AGAIN, text=many))) == []
    wrong = outcomes.TrainingText(frozenset(), 4500, 0, SHIFTED)
    assert commands(explain.explanation(outcome(again=AGAIN, text=wrong))) == []


def test_translations_that_look_wrong_can_be_listed(outcome):
    changed = outcome(scores=SCORES | {"statuses": {"failed": 3}})
    [command] = commands(explain.explanation(changed))
    assert shlex.split(command)[1:] == ["translate", "/my run/model", "--input", "/my run/data/test.src.gz", "--status"]


@pytest.mark.parametrize("better", [None, penalty.Better(1.3, 20.0, 22.5)])
def test_a_length_penalty_is_advised_where_it_was_better(better, outcome, monkeypatch):
    tried = []
    monkeypatch.setattr(explain, "better_penalty", lambda outcome, shorter: tried.append(shorter) or better)
    text = explain.explanation(outcome(translations=["sentence"] * 200))
    assert tried == [True]
    assert ("--length-penalty 1.3" in text) == (better is not None)
    assert ("gives BLEU 22.5 instead of 20.0" in " ".join(text.split())) == (better is not None)
    tried.clear()
    explain.explanation(outcome())
    assert tried == []


@pytest.mark.parametrize(("score", "found"), [(9.0, 1.6), (0.5, None)])
def test_length_penalties_are_tried_on_validation_text(score, found, outcome, tmp_path, monkeypatch):
    references = [f"sentence number {number} of all the many numbers here" for number in range(60)]
    (tmp_path / "data").mkdir()
    for side, lines in (("src", references), ("tgt", references)):
        (tmp_path / "data" / f"valid.{side}.gz").write_bytes(gzip.compress("\n".join(lines).encode()))

    class Model:
        config = load_config(None, ["folder=x", "data.train=a.tsv", "data.valid=b.tsv"])

        def translate(self, lines, length_penalty=1.0):
            words = 5 + round(score * (length_penalty - 1.0))
            return [" ".join(line.split()[: max(words, 1)]) for line in lines]

    monkeypatch.setattr(penalty.Translator, "load", lambda folder, threads: Model())
    better = penalty.better_penalty(outcome(folder=tmp_path), shorter=True)
    assert (better and better.penalty) == found
    assert better is None or better.bleu > better.before


def test_of_misaligned_text_nothing_else_is_advised(outcome):
    text = outcomes.TrainingText(frozenset(), 4500, 0, SHIFTED)
    said = explain.explanation(outcome(text=text, curve=curve(RISEN, FALLING, 600.0, 7)))
    assert f"In the training text, {SHIFTED}" in " ".join(said.split())
    assert commands(said) == []
    assert "Time ran out" not in said


def test_stronger_dropout_is_not_advised_without_end(outcome):
    training = {"early_stopping_metric": "bleu", "epochs": 20, "max_minutes": 10.0, "dropout": 0.6}
    said = explain.explanation(outcome(training=training, curve=curve([1, 9, 8, 7, 6], RISING)))
    assert "rose again" in said
    assert commands(said) == []


def test_samples_are_shown_from_good_to_bad(outcome):
    shown = explain.explanation(outcome()).partition("from good to bad")[2]
    scores = [int(line.rpartition(" ")[2]) for line in shown.splitlines() if "better than" in line]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 100 > scores[-1]


def test_words_are_not_looked_for_where_there_are_no_spaces(outcome):
    made = outcome(sources=["犬が歩いている。"] * 200)
    assert made.with_new_words() == [False] * 200


def test_training_text(tmp_path):
    files = [write(tmp_path / side, lines) for side, lines in (("a", ["Ein Haus!", "x"]), ("b", ["A house!", "x"]))]
    assert outcomes.read_training_text(tuple(files)) == outcomes.TrainingText(frozenset({"ein", "haus", "x"}), 2, 1, "")


def test_explanation_says_nothing_of_faults_that_are_not_there(outcome):
    text = " ".join(explain.explanation(outcome()).split())
    assert "Nothing that counting would show." in text
    for word in ("empty", "repeat", "shorter", "longer than", "Time ran out", "rose again"):
        assert word not in text


def test_presets_are_as_the_table_says():
    """And give the results of the other table the time that they took."""
    readme = (RECIPES / "your-pair" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"\| `([\w-]+)` \| [^|]* \| ([\d,]+) \| (\d) \+ (\d) layers of (\d+) \| ([\d.]+) \| (\d+) min", readme
    )
    limits = {}
    for name, size, encoder, decoder, hidden, dropout, minutes in rows:
        preset = tomllib.loads((RECIPES / "your-pair" / "presets" / f"{name}.toml").read_text(encoding="utf-8"))
        model = preset["model"]
        assert preset["data"]["vocabulary_size"] == int(size.replace(",", ""))
        assert (model["encoder_layers"], model["decoder_layers"]) == (int(encoder), int(decoder))
        assert (model["hidden_size"], model["dropout"]) == (int(hidden), float(dropout))
        assert preset["training"]["max_minutes"] == int(minutes)
        limits[name] = int(minutes)
    names = [name for _, name in choose.PRESETS]
    expected = [each for name in names for each in (choose.BOTH_WAYS.get(name), name) if each]
    assert sorted(limits) == sorted([*expected, choose.MORE])
    results = re.findall(r"\| (\w+) \| (\d+):(\d+), (?:all|\d+ of)", readme)
    assert len(results) == 3
    for name, minutes, seconds in results:
        assert int(minutes) + int(seconds) / 60 <= limits[name] + 0.2  # the last validation comes after the limit


def test_home_in_an_option(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    parsed = steps.option_parser("usage", "what it does").parse_args(["--folder=~/x", "--set=folder=y"])
    assert parsed.settings == ["folder=/home/me/x", "folder=y"]


def test_results_without_scores_are_an_error(tmp_path):
    for name in ("test.src.gz", "test.tgt.gz"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(gzip.compress(b"one\ntwo\n"))
    with pytest.raises(ValueError, match="expected 2 lines"):
        outcomes.read_outcome(tmp_path, write(tmp_path / "out", ["one"]), [])
    way = {"source_language": "de", "target_language": "en"}
    for data, other in (({}, "test:de-en"), ({"corpora": [way]}, "test")):
        write(tmp_path / "model" / "config.json", [json.dumps({"data": data})])
        write(tmp_path / "model" / "scores.jsonl", ['{"kind": "validation"}', json.dumps({"test": other})])
        with pytest.raises(ValueError, match="expected scores of the test set, got none"):
            outcomes.read_outcome(tmp_path, write(tmp_path / "out", ["one", "two"]), [])


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


CELLS = "lstm, mi_lstm, layer_norm_lstm, layer_norm_mi_lstm"


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
        *(
            ("your-pair", ["bad.de", "a.en", "--minutes", minutes], 2, "--minutes: expected a number above 0, got")
            for minutes in ("0", "-3", "nan", "inf", "1e999", "half an hour", "")
        ),
        *(
            ("multi30k", ["en", "de", "--threads", threads], 2, "--threads: expected a whole number above 0, got")
            for threads in ("0", "2.5", "all")
        ),
        *(
            ("your-pair", ["bad.de", "a.en", "--set", setting], 2, "--set: expected SECTION.KEY=VALUE, such as")
            for setting in ("model.dropout", "=0.3", "")
        ),
        ("your-pair", ["bad.de", "a.en", "--set", "model.droput=0.3"], 2, "model.droput: no such section or setting"),
        ("your-pair", ["bad.de", "a.en", "--set", "data.corpora.1.wait=2"], 2, "data.corpora.wait: no such section"),
        *(
            ("your-pair", ["bad.de", "a.en", "--set", f"{key}={value}"], 2, f"--set: {key}: input should be")
            for key, value in (
                ("model.dropout", "1.5"),
                ("model.cell", "rnn"),
                ("training.epochs", "many"),
                ("data.split_digits", "perhaps"),
            )
        ),
        ("your-pair", ["bad.de", "a.en", "--folder", "run"], 1, "bad.de: line 1: expected UTF-8"),
        ("your-pair", ["long.de", "a.en", "--folder", "run"], 1, "expected as many source as target lines, got 2"),
        ("tatoeba", ["de", "fr"], 2, "expected de en, en de, fr en, en fr, got de fr"),
        ("tatoeba", ["de", "en"], 1, "no corpus in 'DATA_FOLDER or $NMT_DATA': expected tatoeba-deen/"),
        ("canlaws", ["en", "fr", "."], 1, "no corpus in '.'"),
        ("multi30k", ["en", "en"], 2, "got en en"),
        ("multi30k", ["en", "de", "--cell=gru"], 2, f"--cell: expected {CELLS}, got gru"),
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
    ways = [(each["source_language"], each["target_language"]) for each in card["data"]["corpora"]]
    assert ways == [("en", "de"), ("de", "en")]
    for way in ("en-de", "de-en"):
        assert f"test:{way}, 15 lines" in done.stdout
        assert len((model / f"test.{way}.txt").read_text(encoding="utf-8").splitlines()) == 15
    [command] = [line for line in done.stdout.splitlines() if "translation.txt" in line]
    nmt = [sys.executable, "-m", "nmt", *shlex.split(command)[1:]]
    assert subprocess.run(nmt, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    assert len((tmp_path / "my run" / "translation.txt").read_text(encoding="utf-8").splitlines()) == 15
    assert "to en: with --to en in place of --to de" in done.stdout
    again = run("your-pair", "little corpus.en", "little.de.gz", *options, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "already finished" in again.stderr
    assert "translating" not in again.stderr.replace("translating and scoring", "")


def test_your_pair_with_text_of_the_target_language_alone(tmp_path):
    pairs = make_pairs(500, seed=5)
    random.Random(1).shuffle(pairs)
    for name, number in (("little.en", 0), ("little.de", 1)):
        write(tmp_path / name, [pair[number] for pair in pairs[:300]])
    write(tmp_path / "more.txt", [pair[1] for pair in pairs])
    options = [part for name in ("embedding_size", "hidden_size") for part in ("--set", f"model.{name}=16")]
    options += ["--set", "training.epochs=2", "--threads", "1", "--folder", "run", "--target-text", "more.txt"]
    done = run("your-pair", "little.en", "little.de", *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "9/9" in done.stderr
    assert "--to" not in done.stdout  # it translates one way
    data, model = tmp_path / "run" / "data", tmp_path / "run" / "model"
    text = gzip.decompress((data / "more.tgt.gz").read_bytes()).decode().splitlines()
    assert set(text) == {pair[1] for pair in pairs} - {pair[1] for pair in pairs[:300]}
    rows = [line.split("\t") for line in (data / "more.tsv").read_text(encoding="utf-8").splitlines()]
    assert rows
    assert all(source.startswith("◊ ") and target in text for source, target in rows)
    corpora = json.loads((model / "config.json").read_text(encoding="utf-8"))["data"]["corpora"]
    assert [(each["source_language"], each["target_language"]) for each in corpora] == [("en", "de")] * 2
    back = json.loads((tmp_path / "run" / "back" / "model" / "config.json").read_text(encoding="utf-8"))
    assert back["data"]["corpora"][0]["target_language"] == "en"
    again = run("your-pair", "little.en", "little.de", *options, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "made already" in again.stderr
    assert again.stderr.count("already finished") == 2
    write(tmp_path / "more.txt", [pair[1] for pair in pairs[::2]])
    other = run("your-pair", "little.en", "little.de", *options, folder=tmp_path)
    assert other.returncode == 1
    assert "belongs to other text" in other.stderr
    assert all((tmp_path / "run" / name / "checkpoints").is_dir() for name in split.MODELS)


def test_what_is_taken_of_more_text():
    lines = ["Ein Haus.", "", "ein Haus", "Der Hund!", "  ", "Das Meer", "Der Mond"]
    known = more_text.hashes_of(iter(["", "der hund"]))
    assert more_text.chosen(iter(lines), known, 9).tolist() == [True, False, False, False, False, True, True]

    def two(text):
        taken = more_text.chosen(iter(text), known, 2)
        return {split.normalised(line) for line, is_taken in zip(text, taken, strict=True) if is_taken}

    assert len(two(lines)) == 2
    assert two(lines) == two(lines[::-1])  # which are taken does not depend on their places
    assert more_text.chosen(iter([]), known, 2).tolist() == []


def test_more_text_beside_many_pairs_is_an_error(tmp_path):
    write(tmp_path / "more.txt", ["Ein Haus."])
    (tmp_path / "split.json").write_text(json.dumps({"counts": {"train": more_text.PAIRS}}))
    with pytest.raises(more_text.CorpusError, match="expected fewer than 32,000 training pairs"):
        more_text.take_in(tmp_path, [tmp_path / "more.txt"])


@pytest.mark.parametrize("model", split.MODELS)
def test_pairs_do_not_change_under_a_model(model, tmp_path):
    files = [write(tmp_path / name, [f"{name} {number}" for number in range(200)]) for name in ("a.de", "a.en")]
    data = tmp_path / "run" / "data"
    split.split(data, files)
    (tmp_path / "run" / model / "checkpoints").mkdir(parents=True)
    split.split(data, files)  # as it was
    write(files[0], [f"other {number}" for number in range(200)])
    with pytest.raises(CorpusError, match="belongs to other text"):
        split.split(data, files)


def test_text_cannot_be_added_to_a_model_of_the_pairs_alone(tmp_path):
    more = write(tmp_path / "more.en", ["Another sentence."])
    (tmp_path / "run" / "data").mkdir(parents=True)
    (tmp_path / "run" / "data" / "split.json").write_text(json.dumps({"counts": {"train": 9}}))
    (tmp_path / "run" / "model" / "checkpoints").mkdir(parents=True)
    with pytest.raises(CorpusError, match="belongs to other text"):
        more_text.take_in(tmp_path / "run" / "data", [more])
