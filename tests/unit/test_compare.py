"""`nmt evaluate` and `nmt compare`: scores, verdicts, the page, and what is refused."""

from __future__ import annotations

import html.parser
import json
import shutil
from pathlib import Path

import pytest

from nmt.commands import compare as comparing
from nmt.commands import evaluate as evaluating
from nmt.commands.asked import SearchSettings
from nmt.commands.asked import TestSet as Chosen
from nmt.config import ConfigError
from nmt.data.text import CorpusError
from nmt.evaluation import EvaluationError
from nmt.evaluation.page import Sentence, mark_differences, render_page
from nmt.evaluation.paired import compare, verdict

MODEL = Path(__file__).parents[1] / "data" / "model-v1"
SEARCH = SearchSettings(beam_size=2, threads=1)
PHRASES = Chosen("phrases")
PAIRS = [("red dog sees old cat", "pe mi so nu ka"), ("big sun has red dog", "nu ka ti ra lo"), ("\u2603 x", "wrong")]


def make_model(folder: Path, **data: object) -> Path:
    """Copy the model, with other settings of the data, and so without digests."""
    shutil.copytree(MODEL, folder)
    content = json.loads((folder / "config.json").read_text())
    content["data"] |= data
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "SHA256SUMS").unlink()
    return folder


def write_pairs(path: Path, pairs: list[tuple[str, str]]) -> str:
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs))
    return str(path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model", test={"phrases": write_pairs(tmp_path / "pairs.tsv", PAIRS)})


# nmt evaluate


def test_a_row_is_added_for_each_evaluation(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model / "scores.jsonl").write_text('{"kind": "vali')  # training was killed here
    evaluating.run(model, PHRASES, tmp_path / "out", SEARCH)
    said = capsys.readouterr()
    torn, line = (model / "scores.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert torn == '{"kind": "vali'
    assert (row["kind"], row["test"], row["lines"], row["beam_size"]) == ("test", "phrases", 3, 2)
    assert (row["length_penalty"], row["retry"]) == (1.0, True)
    assert sum(row["statuses"].values()) == 3
    assert row["lines_per_second"] == pytest.approx(3 / row["seconds"], rel=0.2)
    assert said.out.startswith(f"BLEU {row['bleu']:.2f}  nrefs:1|")
    assert "lines/s; 2 ok, 1 " in said.err
    assert (tmp_path / "out").read_text().splitlines()[:2] == [PAIRS[0][1], PAIRS[1][1]]


def test_overlap_is_told_where_it_was_counted(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for lines, told in ((3, True), (4, False)):  # another number of lines: another test set than the one prepared
        overlap = evaluating.Overlap(lines=lines, sources=2, pairs=1)
        monkeypatch.setattr(evaluating, "read_overlap", lambda folder, found=overlap: {"phrases": found})
        evaluating.run(model, PHRASES, None, SEARCH)
        assert ("1 of 3 lines are also in the training text, and 2 if" in capsys.readouterr().err) == told
        row = json.loads((model / "scores.jsonl").read_text().splitlines()[-1])
        assert (row.get("overlap_pairs") == 1) == told


def test_test_sets_that_cannot_be_used(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--test other: no such test set in the model's settings; they name: phrases"):
        evaluating.run(model, Chosen("other"), None, SEARCH)
    (tmp_path / "pairs.tsv").write_text("")
    with pytest.raises(EvaluationError, match=r"pairs\.tsv: expected lines to translate, got an empty file"):
        evaluating.run(model, PHRASES, None, SEARCH)
    (tmp_path / "pairs.tsv").unlink()
    with pytest.raises(CorpusError, match=r"--test phrases: .*pairs\.tsv: no such file; give --source"):
        evaluating.run(model, PHRASES, None, SEARCH)


# nmt compare


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_model_and_a_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_lines(tmp_path / "other.txt", ["pe mi", "", "<script>alert('x')</script>"])
    page = tmp_path / "page.html"
    comparing.run((other, model), PHRASES, page, SEARCH)
    out = capsys.readouterr().out
    assert "test = phrases, 3 lines\n" in out
    assert "\nBLEU: " in out
    assert "seed:12345" in out
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text.replace("<mark>", "").replace("</mark>", "")


def test_two_models_and_two_files(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparing.run((model, model), PHRASES, None, SEARCH)
    assert "BLEU: A and B say the same\n" in capsys.readouterr().out
    files = Chosen(None, (write_lines(tmp_path / "s", ["a"] * 3), write_lines(tmp_path / "r", ["x y z", "u v", "w"])))
    good, bad = write_lines(tmp_path / "good", ["x y z", "u v", "w"]), write_lines(tmp_path / "bad", ["q"] * 3)
    comparing.run((good, bad), files, None, SEARCH, "zh")
    assert "tok:zh" in capsys.readouterr().out


def test_shifted_references_and_translations_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lengths = [1 + number * 37 % 101 for number in range(301)]
    sources = write_lines(tmp_path / "s", ["x" * length for length in lengths[:300]])
    right = write_lines(tmp_path / "right", ["y" * length for length in lengths[:300]])
    late = write_lines(tmp_path / "late", ["y" * length for length in lengths[1:]])
    told = "looks like the translation of line"
    for reference, system, names in (
        (right, right, []),
        (late, right, [late]),
        (right, late, [late]),
        (late, late, [late] * 2),
    ):
        comparing.run((system, right), Chosen(None, (sources, reference)), None, SEARCH, "en")
        warnings = [line for line in capsys.readouterr().err.splitlines() if told in line]
        assert len(warnings) == len(names)
        assert all(
            line.startswith("nmt: warning: ") and f"{name}: " in line
            for line, name in zip(warnings, names, strict=True)
        )


def test_what_cannot_be_compared(model: Path, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "lines", ["a", "b"])
    with pytest.raises(EvaluationError, match="lines: expected 3 lines, one for each of phrases, got 2"):
        comparing.run((model, lines), PHRASES, None, SEARCH)
    with pytest.raises(ConfigError, match="--test phrases: needs a model"):
        comparing.run((lines, lines), PHRASES, None, SEARCH)
    other = make_model(tmp_path / "other", test={"phrases": write_pairs(tmp_path / "other.tsv", PAIRS[:2])})
    with pytest.raises(EvaluationError, match=r"mean different text by it, .*pairs\.tsv and .*other\.tsv"):
        comparing.run((model, other), PHRASES, None, SEARCH)
    chinese = make_model(tmp_path / "zh", target_language="zh", test={"phrases": str(tmp_path / "pairs.tsv")})
    with pytest.raises(EvaluationError, match="tgt and zh: BLEU with tokenisers 13a and zh cannot be compared"):
        comparing.run((model, chinese), PHRASES, None, SEARCH)


def test_a_real_difference_is_told_from_chance() -> None:
    references = [f"the {number} red cats sit on the old mat of house {number * 7}" for number in range(200)]
    worse = [line.replace("red cats", "dog") for line in references]
    mixed = [line.replace("old", "new") if number % 2 else line for number, line in enumerate(references)]
    other = [line if number % 2 else line.replace("old", "new") for number, line in enumerate(references)]
    found = compare(worse, references, references, samples=200)[0]
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert verdict(found, 200).startswith(f"BLEU: B is better by {found.delta:.2f}, p = 0.005: unlikely")
    assert compare(worse, references, references, samples=200)[0] == found  # the seed is fixed
    assert verdict(compare(references, worse, references, samples=200)[1], 200).startswith("chrF2: A is better by ")
    assert "no difference that this test set can show" in verdict(
        compare(mixed, other, references, samples=200)[0], 200
    )
    few = compare(worse[:3], references[:3], references[:3], samples=50)[0]
    assert verdict(few, 3) == "BLEU: no verdict on 3 lines, 100 are needed"
    assert "no verdict on 99" in verdict(compare(worse[:99], references[:99], references[:99], samples=50)[0], 99)
    changed = compare([*worse[:19], *references[19:]], references, references, samples=200)[0]
    assert changed.p_value is not None
    assert changed.p_value < 0.05
    assert verdict(changed, 200) == "BLEU: no verdict, A and B differ in 19 lines alone, 20 are needed"
    changed = compare([*worse[:20], *references[20:]], references, references, samples=200)[0]
    assert "B is better" in verdict(changed, 200)
    with pytest.raises(EvaluationError, match="expected 2 translations of system B"):
        compare(["a", "b"], ["a"], ["a", "b"])
    with pytest.raises(EvaluationError, match="got none"):
        compare([], [], [])


# The page


class Checker(html.parser.HTMLParser):
    """Notes elements and attributes, and makes sure that elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_escapes_everything() -> None:
    nasty = '<script src="http://x/y.js">&"\'\x00</script><img onerror=x>'
    sentences = [
        Sentence(1, nasty, nasty, nasty, nasty + " z", 10.0, 20.0),
        Sentence(2, "שלום", "مرحبا بالعالم", "مرحبا", "بالعالم", 90.0, 10.0),
        Sentence(3, "same", "same", "same", "same", 100.0, 100.0),
    ]
    differences = compare([nasty, "a", "b"], [nasty, "c", "b"], [nasty, "a", "b"], samples=20)
    text = render_page(nasty, (nasty, "B"), differences, sentences)
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    tags = {tag for tag, _ in checker.seen}
    assert tags & {"script", "img", "link", "iframe", "a", "svg"} == set()
    assert all({"src", "href", "onerror"}.isdisjoint(attributes) for _, attributes in checker.seen)
    assert sum(attributes.get("dir") == "auto" for _, attributes in checker.seen) == 8  # four texts of two sentences
    assert "\x00" not in text
    assert "prefers-color-scheme: dark" in text
    assert text.index("line 2, A is better by 80.0 chrF") < text.index("line 1, B is better by 10.0 chrF")
    assert "2 of 3 lines" in text
    assert "the same in both: 1." in text


def test_words_that_differ_are_marked() -> None:
    a, b = mark_differences("the old cat sat", "the new cat sat <down>")
    assert a == "the <mark>old</mark> cat sat"
    assert b == "the <mark>new</mark> cat sat<mark> &lt;down&gt;</mark>"
    assert mark_differences("我今天早上在公园里看见了一只小小的猫", "我今天早上在公园里看见了一只小小的狗")[1].endswith(
        "的<mark>狗</mark>"
    )
    assert mark_differences("", "x") == ("", "<mark>x</mark>")
    assert "<mark>" not in mark_differences("a " * 3000, "b " * 3000)[0]
