"""Several target languages in one model: what it is told to write, it writes, wherever it translates."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from commands import error_of, forked

from nmt.commands.train import run
from nmt.config import Config
from nmt.config_file import load_config
from nmt.data.preparation.prepare import PreparedData, prepare
from nmt.data.subwords import Subwords
from nmt.decoding.hypotheses import SearchOptions
from nmt.decoding.translation import TranslationSettings
from nmt.decoding.translator import Translator
from nmt.experiment import training_batches
from nmt.languages import LanguageError
from nmt.model_folder.scores import ScoresFile
from nmt.server.registry import Models

WORDS = {"a": "b c", "d": "e f", "g": "h i", "j": "k l", "m": "n o"}
"""English, and German; French is German in capitals."""
LINES = ["a d", "g a m", "j d"]


def write_text(folder: Path) -> Path:
    """Write text, and settings of a network that learns in seconds which of both languages to write."""
    generator = random.Random(1)
    corpora = []
    for name, count in (("train", 300), ("valid", 20)):
        lines = [generator.choices(sorted(WORDS), k=generator.randint(2, 4)) for _ in range(count)]
        german = [" ".join(WORDS[word] for word in line) for line in lines]
        for language, texts in (("en", map(" ".join, lines)), ("de", german), ("fr", map(str.upper, german))):
            (folder / f"{name}.{language}").write_text("".join(f"{text}\n" for text in texts))
    for language, weight in (("de", 1.0), ("fr", 2.0)):
        train, valid = ([f"{folder}/{name}.en", f"{folder}/{name}.{language}"] for name in ("train", "valid"))
        corpora.append(
            f"[[data.corpora]]\nsource_language = 'en'\ntarget_language = '{language}'\ntrain = {train}\n"
            f"valid = {valid}\ntest.same = {valid}\nweight = {weight}\n"
        )
    path = folder / "config.toml"
    path.write_text(
        f"folder = '{folder}/model'\n[data]\nvocabulary_size = 40\n{''.join(corpora)}"
        "[model]\nembedding_size = 16\nhidden_size = 16\nencoder_layers = 1\ndecoder_layers = 1\ndropout = 0.0\n"
        "[training]\nbatch_tokens = 200\nlearning_rate = 0.02\nwarmup_steps = 10\nmax_steps = 120\nepochs = 100\n"
        "validate_every = 60\nthreads = 1\nsamples = 2\n[decoding]\nbeam_size = 2\nmax_length_factor = 1.0\n"
    )
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def model(config: Path) -> Path:
    assert run(config, [])
    return config.parent / "model"


@pytest.fixture(scope="module")
def exported(model: Path) -> Path:
    path = model.parent / "model.nmt"
    done = forked("export", model, "--out", path, "--precision", "float32")
    assert done.returncode == 0, done.stderr
    return path


def is_french(texts: list[str]) -> list[bool]:
    assert all(text.strip() for text in texts)
    return [text.isupper() for text in texts]


def test_tags_are_subwords_that_no_text_has(model):
    subwords = Subwords.load(model / "joint.spm")
    assert subwords.tags == {"de": 4, "fr": 5}
    assert not {4, 5} & set(subwords.encode("a <2de> b <2fr>"))
    assert subwords.decode([4, *subwords.encode("a d")]) == "a d"


def test_prepared_sources_begin_with_their_tag(config, model):
    data = PreparedData.open(load_config(config))
    assert [part.direction for part in data.train.parts] == ["en-de", "en-fr"]
    first = data.train.parts[0].pairs
    tags = [int(data.train.pair(index)[0][0]) for index in range(len(data.train))]
    assert tags == [4] * first + [5] * (len(tags) - first)
    counts = [0, 0]
    for batch in training_batches(load_config(config), data).batches(0):
        for index in batch.indices:
            counts[int(index >= first)] += 1
    assert abs(counts[1] - 2 * counts[0]) <= 2, "French has twice the weight"


def test_validation_tells_of_each_direction(model):
    *_, last = ScoresFile(model).validations()
    for metric in ("loss", "bleu"):
        assert last[metric] == pytest.approx((last[f"{metric}_en-de"] + last[f"{metric}_en-fr"]) / 2)
    log = (model / "training.log").read_text()
    validations = [line for line in log.splitlines() if "validation at step" in line]
    assert "(en-de " in validations[-1]
    samples = [line.split("  ", 1)[1] for line in log.splitlines() if "sample en-" in line]
    valid = (model.parent / "valid.en").read_text().splitlines()
    expected = [f"sample {pair}: {valid[place]}" for pair in ("en-de", "en-fr") for place in (0, 10)]
    assert samples == expected * len(validations), "always the same ones"
    assert log.count("    translation: ") == log.count("    reference:   ") == len(samples)


@pytest.mark.parametrize("kind", ["folder", "file", "reference"])
def test_it_writes_what_it_is_told(model, exported, kind):
    search = "reference" if kind == "reference" else "native"
    made = Translator.load(exported if kind == "file" else model, search=search)
    for language in ("de", "fr"):
        translator = made.to(language.upper())
        assert (translator.target_language, translator.source_language) == (language, "en")
        assert translator.to(language) is made.to(language) is translator, "made once"
        assert is_french(translator.translate(LINES)) == [language == "fr"] * 3
        assert translator.translate(LINES) == Translator.load(model, to=language).translate(LINES)
    with pytest.raises(LanguageError, match="expected one of the languages that the model writes, de, fr; got none"):
        made.translate(LINES)
    with pytest.raises(LanguageError, match="got 'nl'"):
        made.to("nl")
    assert repr(made.to("de")).startswith("<Translator en-de: ")
    assert repr(made).startswith("<Translator en-mul: ")


def test_scores_and_links_are_those_of_the_words(model):
    german, french = (Translator.load(model, to=language) for language in ("de", "fr"))
    [line] = german.translate(LINES[:1])
    pairs = [(LINES[0], line)]
    [low], [high] = french.score(pairs), german.score(pairs)
    assert high.log_probability > low.log_probability
    shown = german.attention(LINES[0], line)
    assert shown.weights.shape == (len(shown.target), len(shown.source))
    assert "<2de>" not in shown.source
    [found] = german.translate_detailed(LINES[:1], TranslationSettings(alignments=True))
    assert {source for source, _ in found.alignment} <= {0, 1}
    [searched] = german.translate_detailed(LINES[:1])
    assert searched.hypotheses[0].log_probability == pytest.approx(high.log_probability, abs=1e-4)


def test_tags_never_come_of_a_search(model):
    translator = Translator.load(model, to="de")
    options = SearchOptions(beam_size=16, n_best=16, forbidden=(0, 1, 2, *range(6, 36)))
    [found] = translator.network.search([[10]], [3], options, 1)
    assert found
    assert not {4, 5} & {token for each in found for token in each.tokens}
    [without] = Translator.load(model).network.search([[10]], [3], options, 1)
    assert {4, 5} <= {token for each in without for token in each.tokens}, "which would come otherwise"


def test_commands(model, exported, tmp_path):
    lines = "".join(f"{line}\n" for line in LINES).encode()
    for where in (model, exported):
        for to in ("de", "FR"):
            done = forked("translate", where, "--to", to, stdin=lines)
            assert is_french(done.stdout.splitlines()) == [to == "FR"] * 3
        told = error_of(forked("translate", where, stdin=lines))
        assert told == "--to: expected one of the languages that the model writes, de, fr; got none"
        assert error_of(forked("translate", where, "--to", "nl", stdin=lines)).endswith("de, fr; got 'nl'")
        assert "languages           en-de, en-fr\n" in forked("info", where).stdout
    found = json.loads(forked("info", model, "--json").stdout)["languages"]
    assert found == {"source": "en", "target": "mul", "directions": ["en-de", "en-fr"]}
    card = (model / "README.md").read_text()
    assert "# Translation model, en to de and fr\n" in card
    assert "| languages | en to de, en to fr |" in card
    assert "nmt translate THIS_FOLDER --to de <" in card
    source, target = tmp_path / "a.en", tmp_path / "a.fr"
    source.write_bytes(lines)
    target.write_text("B C\nH I\nK L\n")
    assert forked("score", model, source, target, "--to", "fr").stdout.count("\n") == 3
    page = tmp_path / "page.html"
    page.write_text("<p>a <b>d</b></p>")
    assert forked("translate-file", model, page, tmp_path / "out.html", "--to", "fr").returncode == 0
    assert (tmp_path / "out.html").read_text().partition("<")[2].isascii()
    tuned = forked("tune", model, "--keep")
    assert tuned.stdout.count("BLEU") == 11
    assert (
        forked("backtranslate", model, "--to", "de", "--input", source, "--output", tmp_path / "x.tsv").returncode == 0
    )


def test_test_sets_are_of_a_language(model):
    german = forked("evaluate", model, "--test", "same", "--to", "de")
    assert german.stdout.startswith("BLEU ")
    assert forked("evaluate", model, "--test", "same:en-de").stdout == german.stdout
    assert {row["test"] for row in ScoresFile(model).tests()} == {"same:en-de"}
    assert "| same:en-de, bleu | " in (model / "README.md").read_text()
    several = forked("evaluate", model, "--test", "same")
    assert several.returncode == 2
    assert "--test same: several test sets in the model's settings; they name: same:en-de, same:en-fr" in several.stderr
    files = [f"--{side}={model.parent}/valid.{code}" for side, code in (("source", "en"), ("reference", "fr"))]
    assert forked("evaluate", model, *files, "--to", "fr").stdout.startswith("BLEU ")
    assert "got none" in error_of(forked("evaluate", model, *files))


def test_adapting_to_one_of_its_languages(model, tmp_path):
    text = [f"{model.parent}/valid.{code}" for code in ("en", "fr")]
    path = tmp_path / "adapted.toml"
    data = f"[data]\nsource_language = 'en'\ntarget_language = 'fr'\ntrain = {text}\nvalid = {text}\n"
    training = "[training]\nmax_steps = 2\nthreads = 1\n"
    path.write_text(f"folder = '{tmp_path}/adapted'\nstart_from = '{model}'\n{data}{training}")
    assert run(path, [])
    adapted = Translator.load(tmp_path / "adapted")  # knows one language, which nobody need say
    assert is_french(adapted.translate(LINES)) == [True] * 3
    other = forked("train", path, "--set", "data.target_language=nl", "--set", f"folder={tmp_path}/other")
    assert f"target_language: expected de or fr, as {model} has it, got nl" in other.stderr


def test_a_student_of_both_languages(model, config, tmp_path):
    path = tmp_path / "student.toml"
    path.write_text(config.read_text().replace(f"{config.parent}/model", f"{tmp_path}/student"))
    done = forked("distill", path, "--teacher", model, "--set", "training.max_steps=2")
    assert done.returncode == 0, done.stderr
    for number, french in enumerate((False, True)):
        taught = (tmp_path / "student" / f"{number}-distilled.tsv").read_text().splitlines()
        assert is_french([line.partition("\t")[2] for line in taught]) == [french] * len(taught)


def test_many_languages_to_one_need_no_tag(config, tmp_path):
    text = config.read_text().replace("target_language = 'de'", "target_language = 'fr'")
    path = tmp_path / "config.toml"
    path.write_text(text.replace("source_language = 'en'", "source_language = 'de'", 1).replace("/model'", "/many'"))
    many: Config = load_config(path)
    assert (many.data.source_language, many.data.target_language) == ("mul", "fr")
    prepare(many)
    assert PreparedData.open(many).source_subwords.tags == {}


def test_a_server_offers_every_direction(exported, tmp_path):
    served = Models([exported])
    assert [each[:2] for each in served.directions()] == [("en", "de"), ("en", "fr")]
    for target in ("de", "FR"):
        with served.use("en", target) as lease:
            found = lease.translator.with_threads(1).translate_detailed(LINES)
        assert is_french([each.text for each in found]) == [target == "FR"] * 3
    usage = served.usage()
    assert (usage.models, usage.open, usage.opened) == (1, 1, 1), "one model, opened once"
    folder = tmp_path / "models"
    done = forked("models", "add", folder, exported)
    assert done.stderr.count("lists en-mul.nmt: en to ") == 2
    assert forked("models", "verify", folder).stdout.count("\tok\t") == 2
    with Models([folder]).use("en", "fr") as lease:
        assert is_french([each.text for each in lease.translator.translate_detailed(LINES)]) == [True] * 3
    assert error_of(forked("models", "add", folder, exported, "--target", "nl")).endswith(
        "expected one of en-de, en-fr, as it translates, got -nl"
    )
    assert forked("models", "add", folder, exported, "--target", "de", "--replace").returncode == 0
    assert {each[:2] for each in Models([folder]).directions()} == {("en", "de"), ("en", "fr")}
