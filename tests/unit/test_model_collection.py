"""Folders of models: what they hold, what is put into them, and what in them is not to be trusted."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import pytest
from many_models import DATA, model_content, model_folder, put
from typer.testing import CliRunner

from nmt.cli import app
from nmt.lock import locked
from nmt.model_folder.files import ModelError
from nmt.reading import sha256
from nmt.server.listing import list_models
from nmt.server.registry import Models, UnknownDirectionError
from nmt.server.registry_file import RegistryError, read_registry

LINES = ["w0 w1 w2"]
GOOD = '[[model]]\nfile = "de-en.nmt"\nsource = "de"\ntarget = "en"\n'


def nmt(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["models", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def translated(models: Models, source: str = "de", target: str = "en") -> int:
    with models.use(source, target) as model:
        return len(model.translator.translate_detailed(LINES))


def said(models: Models) -> list[str]:
    with models.use("de", "en") as model:
        return [each.text for each in model.translator.translate_detailed(LINES)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "models"
    place.mkdir()
    put(place / "de-en.nmt", "de", "en")
    return place


def test_models_are_added_listed_and_verified(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "models"
    file = put(tmp_path / "some file.nmt", "de", "en", "float32")
    trained = model_folder(tmp_path / "trained", "en", "fr", "CC-BY-4.0")
    assert nmt("add", folder, file, "--name", 'A "name"\x7f', "--tag", "news", "--tag", "small")[0] == 0
    assert nmt("add", folder, trained, "--target", "fr-CA")[0] == 0
    code, output, errors = nmt("list", folder, "--json")
    assert (code, errors) == (0, "")
    found = json.loads(output)
    assert (found["registry"], found["problems"]) == (True, [])
    german, french = found["models"]
    assert german == {
        "source": "de",
        "target": "en",
        "file": "de-en.nmt",
        "bytes": file.stat().st_size,
        "name": 'A "name"\x7f',
        "license": "CC0-1.0",
        "sha256": sha256(file),
        "tags": ["news", "small"],
    }
    assert (french["file"], french["target"], french["license"]) == ("en-fr-CA.nmt", "fr-CA", "CC-BY-4.0")
    assert (folder / "en-fr-CA.nmt").read_bytes() == model_content_of(trained)
    code, output, errors = nmt("list", folder)
    assert code == 0
    assert [line.split()[:2] for line in output.splitlines()] == [["de-en", "de-en.nmt"], ["en-fr-CA", "en-fr-CA.nmt"]]
    code, output, errors = nmt("verify", folder)
    assert (code, errors) == (0, "")
    assert [line.split("\t")[2] for line in output.splitlines()] == ["ok", "ok"]
    assert translated(Models([folder]), "en", "fr_ca") == 1


def model_content_of(folder: Path) -> bytes:
    from nmt.decoding.exporting import contents_of  # noqa: PLC0415

    return contents_of(folder, "int8")


def test_a_model_takes_the_place_of_another_and_no_request_is_lost(folder: Path, tmp_path: Path) -> None:
    other = put(tmp_path / "other.nmt", "DE", "en", "float32")
    models = Models([folder])
    with models.use("de", "en") as old:
        code, _, errors = nmt("add", folder, other)
        assert code == 1
        assert "de-en.nmt: translates DE to en already; expected --replace" in errors
        assert nmt("add", folder, other, "--replace")[0] == 0
        [row] = read_registry(folder) or ()
        assert (folder / row.file).read_bytes() == other.read_bytes()
        assert not (folder / "de-en.nmt").exists()
        assert len(old.translator.translate_detailed(LINES)) == 1
    models.close()
    assert translated(models) == 1  # the old list names a file that is gone: the new one is read
    assert models.refresh() is None
    assert sorted(path.name for path in folder.iterdir()) == [".lock", row.file, "models.toml"]


def test_what_was_there_before_the_list_is_listed(folder: Path, tmp_path: Path) -> None:
    model_folder(folder / "trained", "en", "fr")
    assert nmt("add", folder, put(tmp_path / "new.nmt", "en", "cs"))[0] == 0
    assert nmt("add", folder, folder / "de-en.nmt", "--replace", "--name", "here")[0] == 0
    rows = read_registry(folder) or ()
    assert [(row.file, row.name, row.sha256 is None) for row in rows] == [
        ("de-en.nmt", "here", False),
        ("en-cs.nmt", "", False),
        ("trained", "", True),  # has no digests
    ]


@pytest.mark.parametrize("what", ["cut", "changed", "nothing", "no model", "missing", "another adds", "a model"])
def test_what_cannot_be_added_leaves_nothing(folder: Path, tmp_path: Path, what: str) -> None:
    new = tmp_path / "new.nmt"
    content = model_content("en", "fr")
    if what != "missing":
        new.write_bytes(
            {"cut": content[:-1], "changed": content[:-1] + b"?", "nothing": b"", "no model": b"text"}.get(
                what, content
            )
        )
    if what == "another adds":
        with locked(folder):
            code, _, errors = nmt("add", folder, new)
        (folder / ".lock").unlink()
    elif what == "a model":
        code, _, errors = nmt("add", DATA / "model-v1", new)
        assert "expected a folder of models" in errors
    else:
        code, _, errors = nmt("add", folder, new)
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith("nmt: error: ")
    assert {path.name for path in folder.iterdir()} <= {"de-en.nmt", ".lock"}
    (DATA / "model-v1" / ".lock").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[model]\n", "models.toml: not a TOML file"),
        ("\xff", "models.toml: not a TOML file"),
        (GOOD + "colour = 1\n", "models.toml: model number 1 colour: extra inputs are not permitted"),
        (GOOD + GOOD.replace('"de"', '"../de"'), "models.toml: model number 2 source: "),
        (GOOD + 'sha256 = "abc"\n', "models.toml: model number 1 sha256: "),
        (GOOD.replace('target = "en"', ""), "models.toml: model number 1 target: field required"),
    ],
)
def test_a_damaged_list_is_told_and_the_old_one_stays(folder: Path, text: str, says: str) -> None:
    models = Models([folder])
    (folder / "models.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(RegistryError, match=says):
        Models([folder])
    assert [says in problem for problem in models.refresh() or ()] == [True]
    assert translated(models) == 1
    assert models.refresh() is None
    (folder / "models.toml").write_text(GOOD + 'name = "now"\n')
    assert models.refresh() == ()
    assert models.directions()[0].name == "now"
    code, _, errors = nmt("list", folder)
    assert (code, errors) == (0, "")


@pytest.mark.parametrize("file", ["../outside.nmt", "{outside}", "link.nmt", "links/x.nmt", "tree", ".", "", "a/../.."])
def test_nothing_outside_of_the_folder_is_read(folder: Path, tmp_path: Path, file: str) -> None:
    outside = put(tmp_path / "outside.nmt", "en", "fr")
    (folder / "link.nmt").symlink_to(outside)
    (folder / "links").symlink_to(tmp_path)
    model_folder(folder / "tree", "en", "fr")
    spm = next((folder / "tree").glob("*.spm"))
    spm.rename(tmp_path / "spm")
    spm.symlink_to(tmp_path / "spm")
    named = file.format(outside=outside)
    (folder / "models.toml").write_text(GOOD + f'[[model]]\nfile = "{named}"\nsource = "en"\ntarget = "fr"\n')
    if file:
        models = Models([folder])
        [problem] = models.problems
        assert "leads out of" in problem
        assert [each.target for each in models.directions()] == ["en"]
    else:
        with pytest.raises(RegistryError, match="model number 2 file"):
            Models([folder])
    (folder / "models.toml").unlink()
    assert sorted("leads out of" in each for each in Models([folder]).problems) == [True, True]


def test_a_link_that_is_changed_after_it_was_looked_at(folder: Path, tmp_path: Path) -> None:
    link = folder / "en-fr.nmt"
    link.symlink_to(put(folder / ".inside", "en", "fr"))
    models = Models([folder])
    assert translated(models, "en", "fr") == 1
    models.close()
    link.unlink()
    link.symlink_to(put(tmp_path / "outside.nmt", "en", "fr"))
    with pytest.raises(UnknownDirectionError):
        translated(models, "en", "fr")
    (folder / "models.toml").symlink_to(tmp_path / "models.toml")
    (tmp_path / "models.toml").write_text(GOOD)
    with pytest.raises(RegistryError, match="leads out of the folder"):
        Models([folder])


@pytest.mark.parametrize("source", ["../de", "/etc/passwd", "de-en.nmt", "de\0", "", "de/../de", "%2e%2e", "de" * 5000])
def test_requests_name_languages_and_never_files(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    models = Models([folder])
    monkeypatch.setattr("nmt.server.shelf.Shelf.take", None)
    monkeypatch.setattr("pathlib.Path.stat", None)
    with pytest.raises(UnknownDirectionError) as told, models.use(source, "en"):
        pass
    monkeypatch.undo()
    assert len(str(told.value)) < 300
    assert str(told.value).isprintable()


def test_odd_names(folder: Path) -> None:
    names = ["a b.nmt", "-rf.nmt", "ünï.nmt", "a\nb.nmt", "%2e%2e.nmt", "'\"$(x).nmt", "\udcff.nmt", "x" * 200]
    for number, name in enumerate(names):
        put(folder / "new", "en", f"x{chr(97 + number)}").replace(folder / name)
    (folder / "bad\n\x1b[31m.nmt").write_bytes(b"no model")
    (folder / "pipe.nmt").unlink(missing_ok=True)
    os.mkfifo(folder / "pipe.nmt")
    (folder / "folder.nmt").mkdir()
    models = Models([folder])
    assert len(models.directions()) == 1 + len(names)
    assert all(translated(models, each.source, each.target) == 1 for each in models.directions())
    assert len(models.problems) == 3
    assert all(problem.isprintable() for problem in models.problems)
    code, output, errors = nmt("list", folder)
    assert (code, len(output.splitlines()), len(errors.splitlines())) == (0, 1 + len(names), 3)
    assert nmt("verify", folder)[0] == 1


def test_a_digest_that_is_another(folder: Path) -> None:
    put(folder / "en-fr.nmt", "en", "fr")
    (folder / "models.toml").write_text(
        GOOD
        + f'sha256 = "{"0" * 64}"\n'
        + GOOD.replace("de-en", "en-fr").replace('"en"', '"fr"').replace('"de"', '"en"')
    )
    models = Models([folder])
    with pytest.raises(ModelError, match=r"de-en\.nmt: expected the SHA-256 000"):
        translated(models)
    assert translated(models, "en", "fr") == 1
    code, output, errors = nmt("verify", folder)
    assert (code, len(output.splitlines())) == (1, 1)
    assert "expected the SHA-256" in errors
    (folder / "models.toml").write_text(GOOD + f'sha256 = "{sha256(folder / "de-en.nmt")}"\n')
    assert models.refresh() == ()
    assert translated(models) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no copies that nobody can change")
def test_a_file_that_is_written_over_or_cut_short_in_place_harms_nobody(folder: Path) -> None:
    process = os.fork()  # which the system would end, if it read beyond the end of a file
    if not process:
        try:
            models = Models([folder])
            before = said(models)
            os.truncate(folder / "de-en.nmt", 5000)
            assert said(models) == before
            [problem] = models.refresh() or ()
            assert problem.startswith(f"{folder}/de-en.nmt: ")
            assert problem.endswith("; the old model stays")
            (folder / "de-en.nmt").write_bytes(b"\0" * 100_000)
            assert models.refresh()
            assert said(models) == before
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def test_a_folder_that_is_removed(folder: Path) -> None:
    models = Models([folder])
    with models.use("de", "en") as model:
        (folder / "de-en.nmt").unlink()
        folder.rmdir()
        assert len(models.refresh() or ()) == 1
        assert translated(models) == 1
        assert len(model.translator.translate_detailed(LINES)) == 1
    folder.mkdir()
    put(folder / "de-en.nmt", "de", "en")
    assert models.refresh() == ()
    assert translated(models) == 1


def test_two_models_for_the_same_languages(folder: Path) -> None:
    put(folder / "other.nmt", "DE", "EN")
    found = list_models([folder])
    assert [entry.path.name for entry in found.entries] == ["de-en.nmt"]
    assert found.problems == (f"{folder}/other.nmt: translates DE to EN, as {folder}/de-en.nmt does; not served",)
