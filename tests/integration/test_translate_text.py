"""`nmt translate` with text as people have it: placeholders, capitals, terms, HTML."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nmt
from nmt.cli import app

FOLDER = Path(__file__).parents[1] / "data" / "model-v1"


def run(*arguments: str | Path, stdin: str, code: int = 0) -> tuple[str, str]:
    done = CliRunner().invoke(app, ["translate", str(FOLDER), *map(str, arguments)], input=stdin.encode())
    assert done.exit_code == code, done.stderr
    return done.stdout, done.stderr


def test_lines_keep_what_is_kept_and_nothing_else_changes() -> None:
    lines = [
        "The old dog sees the small cat.",
        "",
        "☃",
        "{name} sees %d cats.",
        "THE OLD DOG",
        "a\u2028b",
        "{a}",
        "5 kg \tx",
    ]
    out, _ = run("--text", stdin="".join(f"{line}\n" for line in lines))
    translated = out.split("\n")
    assert len(translated) == len(lines) + 1
    assert translated[0] == run(stdin=f"{lines[0]}\n")[0].rstrip("\n")
    assert translated[1:3] == ["", "☃"]
    assert (translated[3].count("{name}"), translated[3].count("%d")) == (1, 1)
    assert translated[4] == translated[4].upper()
    assert translated[6] == "{a}"
    assert "5 kg" in translated[7]
    assert run("--text", stdin="{a}\n") == ("{a}\n", "")


def test_glossary(tmp_path: Path) -> None:
    terms = tmp_path / "terms.tsv"
    terms.write_text("dog\tWolf\ncat\n")
    text = "The old dog sees the small cat.\n"
    [row] = run("--glossary", terms, "--format", "json", "--scores", "--alignments", stdin=json.dumps({"text": text}))[
        0
    ].splitlines()
    found = json.loads(row)
    assert "Wolf" in found["translation"].title()
    assert "cat" in found["translation"]
    assert isinstance(found["score"], float)
    terms.write_bytes(b"<tbx>")
    assert f"{terms}: line 1: expected XML" in run("--glossary", terms, stdin=text, code=1)[1]


def test_html(tmp_path: Path) -> None:
    page = '<!DOCTYPE html>\n<p class="a">The old <b>dog</b> sees the small cat.</p>\n<script>a < b</script>\n'
    out, _ = run("--html", stdin=page)
    assert out.startswith('<!DOCTYPE html>\n<p class="a">')
    assert out.endswith("</p>\n<script>a < b</script>\n")
    assert (out.count("<b>"), out.count("</b>")) == (1, 1)
    translator = nmt.Translator.load(FOLDER, threads=1)
    [done] = nmt.TextTranslator.for_model(translator).translate(translator, [page], "html", glossary=nmt.Glossary())
    assert done.text == out
    source = tmp_path / "page.html"
    source.write_bytes(b"<p>\xff")
    assert f"{source}: expected UTF-8, got byte 0xff at 3" in run("--html", "--input", source, stdin="", code=1)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--html", "--status"], "--html: expected a page"),
        (["--text", "--plot", "a.svg"], "--plot: expected none with --text"),
        (["--glossary", "a.tsv", "--n-best", "2", "--format", "tsv"], "--n-best: expected none with"),
        (["--glossary", "missing.tsv"], "missing.tsv: No such file"),
    ],
)
def test_mistakes_are_told(arguments: list[str], message: str) -> None:
    code = 1 if "missing.tsv" in arguments else 2
    assert message in " ".join(run(*arguments, stdin="a\n", code=code)[1].replace("│", " ").split())
