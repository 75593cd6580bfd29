"""The table of corpora: what a row makes of the command line, and of the files of its corpus."""

import gzip
import sys
from itertools import product
from pathlib import Path

import pytest

from nmt.config_file import load_config

RECIPES = Path(__file__).parents[2] / "recipes"
sys.path.insert(0, str(RECIPES))

import corpora  # noqa: E402
import steps  # noqa: E402

YEARS = {"de": (2016, 2017), "fr": (2016, 2017), "cs": (2016,)}
TOGETHER = [f"test_{year}_flickr:en-{code}" for code, years in YEARS.items() for year in years]


def test_every_corpus_has_a_row_and_a_folder_of_its_own():
    assert {path.parent.name for path in RECIPES.glob("*/config.toml")} == {*corpora.CORPORA, "quickstart"}
    assert all(f"bash recipes/run.sh {name} " in (RECIPES / name / "README.md").read_text() for name in corpora.CORPORA)


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """What a recipe runs in this process, in which nothing is installed and no model comes of it."""
    (tmp_path / "recipes").symlink_to(RECIPES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NMT_DATA", raising=False)
    found = []
    monkeypatch.setattr(steps, "start", lambda **variables: [monkeypatch.setenv(*each) for each in variables.items()])
    monkeypatch.setattr(steps, "run", lambda *command, **_: found.append([str(part) for part in command]))
    return found


@pytest.mark.parametrize(
    ("arguments", "model", "tests"),
    [
        ("multi30k en de", "run/multi30k-en-de-layer_norm_lstm", ["test_2016_flickr", "test_2017_flickr"]),
        ("multi30k cs en --cell=mi_lstm", "run/multi30k-cs-en-mi_lstm", ["test_2016_flickr"]),
        ("tatoeba en fr", "run/tatoeba-en-fr", ["test"]),
        ("canlaws fr en", "run/canlaws-fr-en", ["test"]),
        ("multi30k en de,fr,cs", "run/multi30k-en-de,fr,cs-layer_norm_lstm", TOGETHER),
    ],
)
def test_what_a_corpus_runs(arguments, model, tests, commands, monkeypatch, tmp_path):
    name, source, target, *options = arguments.split()
    corpus = corpora.CORPORA[name]
    folder = tmp_path / corpus.folder(source, target)
    folder.mkdir()
    languages = [source, *target.split(",")]
    for split in {*corpus.splits, *(test.partition(":")[0] for test in tests)}:
        for language in languages:
            (folder / f"{split}.{language}.gz").touch()
    words = [name, source, target, "--threads", "3", str(tmp_path), *options, "--set", "model.dropout=0.1"]
    monkeypatch.setattr(sys, "argv", ["corpora.py", *words])
    corpora.main()
    prepare, train, *evaluate = commands
    settings = "multilingual" if len(languages) > 2 else "config"
    assert prepare[:3] == ["nmt", "prepare", f"recipes/{name}/{settings}.toml"]
    assert train[:2] == ["nmt", "train"]
    assert train[2:] == prepare[2:]
    assert [(command[1], command[4], command[-2:]) for command in evaluate] == [
        ("evaluate", test, ["--threads", "3"]) for test in tests
    ]
    config = load_config(Path(train[2]), train[4::2])
    assert (config.folder, config.training.threads, config.model.dropout) == (Path(model), 3, 0.1)
    assert config.data.directions == tuple((source, language) for language in languages[1:])
    assert {*config.data.test_sets} == {*tests}
    pairs = [files for part in config.data.parts for files in (*part.train, part.valid, *part.test.values())]
    assert all(Path(file).is_file() for pair in pairs for file in pair)


def test_teachers_and_a_student(commands, monkeypatch, tmp_path):
    for file in ("train.de.gz", "train.en.gz", "valid.de.gz", "valid.en.gz", "test.de.gz", "test.en.gz"):
        (tmp_path / file).touch()
    words = ["tatoeba", "de", "en", str(tmp_path), "--teachers", "2", "--threads", "3", "--set", "training.epochs=4"]
    monkeypatch.setattr(sys, "argv", ["corpora.py", *words])
    corpora.main()
    assert [command[1] for command in commands] == ["prepare", "train", "prepare", "train", "distill", "evaluate"]
    *_, distill, _ = commands
    trained = [load_config(Path(command[2]), command[4::2]) for command in commands[1:4:2]]
    folders = [config.folder for config in trained]
    assert [config.training.seed for config in trained] == [1, 2]
    assert folders == [Path(f"run/tatoeba-de-en/teacher-{number}") for number in (1, 2)]
    first = distill.index("--set")
    assert distill[3:first] == [
        *("--teacher", str(folders[0]), "--teacher", str(folders[1]), "--from", str(folders[0]), "--mix"),
        *("--n-best", "4", "--precision", "int8", "--threads", "3"),
    ]
    student = load_config(Path(distill[2]), distill[first + 1 :: 2])
    assert (student.folder, student.training.learning_rate) == (Path("run/tatoeba-de-en"), 1e-3)
    assert student.training.epochs == 4, "what the user says wins"
    monkeypatch.setattr(sys, "argv", ["corpora.py", *words, "--teachers", "-1"])
    with pytest.raises(SystemExit):
        corpora.main()


@pytest.fixture
def configured(commands, monkeypatch):
    """What a recipe runs, each with its configuration at that time: paths in it depend on the environment."""
    found = []

    def run(*command, **_):
        command = [str(part) for part in command]
        trains = command[1] in ("train", "distill")
        found.append(
            (command, load_config(Path(command[2]), command[command.index("--set") + 1 :: 2]) if trains else None)
        )

    monkeypatch.setattr(steps, "run", run)
    return found


def test_a_student_of_teachers_of_one_language_each(configured, monkeypatch, tmp_path):
    languages = ("de", "fr", "cs")
    for split, language in product(("train", "valid", "test_2016_flickr", "test_2017_flickr"), ("en", *languages)):
        (tmp_path / f"{split}.{language}.gz").touch()
    options = ["--teachers", "2", "--threads", "3", "--set", "data.corpora.1.weight=3", "--set", "model.dropout=0.1"]
    monkeypatch.setattr(sys, "argv", ["corpora.py", "multi30k", "en", ",".join(languages), str(tmp_path), *options])
    corpora.main()
    trained = [config for command, config in configured if command[1] == "train"]
    [(distill, student)] = [each for each in configured if each[0][1] == "distill"]
    assert [command[1] for command, _ in configured] == [*["prepare", "train"] * 6, "distill", *["evaluate"] * 5]
    assert [(config.data.directions, config.training.seed) for config in trained] == [
        ((("en", language),), seed) for language, seed in product(languages, (1, 2))
    ]
    assert [[*map(str, files)] for config in trained[::2] for files in config.data.train] == [
        [str(tmp_path / f"train.{side}.gz") for side in ("en", language)] for language in languages
    ]
    folders = [student.folder / f"teacher-{language}-{seed}" for language, seed in product(languages, (1, 2))]
    assert [config.folder for config in trained] == folders
    assert distill[3 : distill.index("--mix")] == [part for folder in folders for part in ("--teacher", str(folder))]
    assert student.data.directions == tuple(("en", language) for language in languages)
    assert [part.weight for part in student.data.parts] == [1, 3, 1]
    alone = load_config(RECIPES / "multi30k" / "multilingual.toml", [f"folder={student.folder}"])
    assert student.training.epochs == alone.training.epochs // 2, "twice the text, as many steps"
    assert {config.model.dropout for config in (*trained, student)} == {0.1}, "what the user says wins"


def test_a_student_of_both_directions(configured, monkeypatch, tmp_path):
    for split, language in product(("train", "valid", "test_2016_flickr"), ("de", "en")):
        (tmp_path / f"{split}.{language}.gz").touch()
    options = ["--diversify", "--set", "training.learning_rate=4e-4", "--threads", "3"]
    words = ["multi30k", "de", "en", str(tmp_path), *options]
    monkeypatch.setattr(sys, "argv", ["corpora.py", *words])
    corpora.main()
    assert [command[1] for command, _ in configured] == [
        *("prepare", "train", "backtranslate", "prepare", "train", "distill", "evaluate")
    ]
    (_, back), (translate, _), (_, teacher), (distill, student) = (configured[index] for index in (1, 2, 4, 5))
    pair = [str(tmp_path / f"train.{language}.gz") for language in ("de", "en")]
    model = Path("run/multi30k-de-en-layer_norm_lstm")
    assert [config.folder for config in (back, teacher, student)] == [model / "opposite", model / "teacher-1", model]
    assert [config.data.directions for config in (back, teacher, student)] == [(("en", "de"),), *[(("de", "en"),)] * 2]
    pairs = str(model / "opposite" / "pairs.tsv")
    assert translate[2:] == [
        *(str(model / "opposite"), "--input", pair[1], "--output", pairs, "--precision", "int8", "--threads", "3")
    ]
    assert [[[*map(str, each)] for each in config.data.train] for config in (back, teacher)] == [[pair[::-1]], [pair]]
    assert [[*map(str, each)] for each in student.data.train] == [pair, [pairs]]
    first = str(model / "teacher-1")
    assert distill[3 : distill.index("--mix")] == ["--teacher", first, "--from", first]
    assert (student.model.dropout, student.training.epochs) == (0.35, 6)
    assert (student.training.learning_rate, student.training.threads) == (4e-4, 3), "what the user says wins"
    assert {(each.model.dropout, each.training.epochs) for each in (back, teacher)} == {(0.4, 34)}


@pytest.mark.parametrize(
    ("words", "epochs"),
    [
        (["multi30k", "de", "en", "--teachers", "2"], [34, 34, 8]),
        (["tatoeba", "de", "en", "--diversify"], [14, 14, 2]),
        (["canlaws", "en", "fr", "--diversify"], [1, 1, 1]),
    ],
)
def test_a_student_that_begins_as_its_teacher(words, epochs, configured, monkeypatch, tmp_path):
    for split, language in product(("train", "valid", "test", "test_2016_flickr"), ("de", "en", "fr")):
        (tmp_path / f"{split}.{language}.gz").touch()
    monkeypatch.setattr(sys, "argv", ["corpora.py", *words, str(tmp_path)])
    corpora.main()
    models = [config for _, config in configured if config]
    [distill] = [command for command, _ in configured if command[1] == "distill"]
    assert [config.training.epochs for config in models] == epochs
    assert [config.training.learning_rate for config in models] == [2e-3, 2e-3, 1e-3]
    assert len({config.model.hidden_size for config in models}) == 1
    first = str(models[-1].folder / "teacher-1")
    assert distill[3:5] == ["--teacher", first]
    assert distill[distill.index("--from") + 1] == first


def test_one_target_language_to_diversify(commands, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["corpora.py", "multi30k", "en", "de,fr,cs", str(tmp_path), "--diversify"])
    with pytest.raises(SystemExit) as ended:
        corpora.main()
    assert ended.value.code == 2
    assert "--diversify: expected one language to translate to, got de,fr,cs" in capsys.readouterr().err
    assert not commands


def numbered(numbers, blank=" "):
    return "".join(f"{number}{blank}a{blank}b\n" for number in numbers)


@pytest.mark.parametrize(
    ("name", "language", "expected"),
    [
        ("iwslt15-envi", "vi", {"train": numbered(range(7)), "valid": numbered(range(7, 1007))}),
        ("small-enja", "ja", {split: numbered(range(1007), "") for split in ("train", "valid", "test")}),
        ("small-enja", "en", {split: numbered(range(1007)) for split in ("train", "valid", "test")}),
    ],
)
def test_files_made_of_those_of_a_corpus(name, language, expected, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    corpus = corpora.CORPORA[name]
    for split in corpus.splits:
        (tmp_path / f"{split}.{language}.gz").write_bytes(gzip.compress(numbered(range(1007)).encode()))
    corpora.derive(corpus, tmp_path, (language,))
    made = {path.name.split(".")[0]: path for path in Path(corpus.text).iterdir()}
    assert {split: gzip.decompress(path.read_bytes()).decode() for split, path in made.items()} == expected
    times = {path: path.stat().st_mtime_ns for path in made.values()}
    corpora.derive(corpus, tmp_path, (language,))
    assert {path: path.stat().st_mtime_ns for path in made.values()} == times
