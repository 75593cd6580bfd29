"""Model files: what is in them, as the page about them says; that they translate as their folder does; and damage."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from typer.testing import CliRunner

from nmt.cli import app
from nmt.decoding.chance import xxh64
from nmt.decoding.exporting import contents_of
from nmt.decoding.model_file import is_model_file, settings_of
from nmt.decoding.translation import TranslationSettings
from nmt.decoding.translator import Translator
from nmt.model.native import PRECISIONS
from nmt.model_folder.files import ModelError
from nmt.model_folder.shortlist import write_shortlist

FOLDER = Path(__file__).parents[1] / "data" / "model-v1"
WRITTEN_BEFORE = FOLDER.parent / "model-v1-int8.nmt"
"""What `nmt export` of version 0.1.0 made of it; the native tests of text use it, too."""
LINES = ["The old dog sees the small cat.", "", "one two three", "☃", "pe mi so nu ka"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model file in each precision."""
    folder = tmp_path_factory.mktemp("files")
    paths = {precision: folder / f"{precision}.nmt" for precision in PRECISIONS}
    for precision, path in paths.items():
        path.write_bytes(contents_of(FOLDER, precision))
    return paths


def nmt(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.stdout


def everything(translator: Translator) -> tuple[object, ...]:
    pairs = list(zip(LINES, reversed(LINES), strict=True))
    detailed = translator.translate_detailed(LINES, TranslationSettings(n_best=2, beam_size=3, alignments=True))
    return detailed, translator.score(pairs), translator.attention(LINES[0], LINES[2]).weights.tolist()


@pytest.mark.parametrize("precision", sorted(PRECISIONS))
def test_a_file_is_as_good_as_its_folder(files: dict[str, Path], precision: str) -> None:
    of_file = Translator.load(files[precision], threads=1)
    of_folder = Translator.load(FOLDER, threads=1, precision=precision)
    assert everything(of_file) == everything(of_folder)
    assert repr(of_file) == repr(of_folder)
    assert of_file.network.precision == precision


def test_files_of_earlier_versions_open() -> None:
    before = Translator.load(WRITTEN_BEFORE, threads=1)
    assert everything(before) == everything(Translator.load(FOLDER, threads=1, precision="int8"))


def read_as_the_page_says(path: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Type, rows, columns and content of each section."""
    content = path.read_bytes()
    magic, version, order, size, count, zeros, of_table, of_header = struct.unpack_from("<8sIIQQ16sQQ", content)
    assert (magic, version, order, size, zeros) == (b"\x89NMT\r\n\x1a\n", 1, 0x01020304, len(content), bytes(16))
    assert of_header == xxh64(content[:56])
    assert of_table == xxh64(content[64 : 64 + 128 * count])
    sections = {}
    for number in range(count):
        name, kind, zero, rows, columns, begin, digest = struct.unpack_from("<88sIIQQQQ", content, 64 + 128 * number)
        assert (zero, begin % 64) == (0, 0)
        if kind in (2, 6):
            length = -(-rows // 16) * 16 * (-(-columns // 4) * 4 if kind == 2 else -(-columns // 2) * 2 * 2)
        else:
            length = rows * columns * {0: 1, 1: 4, 3: 8, 4: 8}[kind]
        data = content[begin : begin + length]
        assert digest == xxh64(data)
        sections[name.rstrip(b"\0").decode("ascii")] = (kind, rows, columns, data)
    return sections


def unpacked(rows: int, columns: int, panels: bytes, kind: type[np.generic], piece: int) -> NDArray[np.generic]:
    """[rows, columns] of [rows / 16][columns / piece][16][piece]."""
    blocks = np.frombuffer(panels, kind).reshape(-(-rows // 16), -(-columns // piece), 16, piece)
    return blocks.transpose(0, 2, 1, 3).reshape(-(-rows // 16) * 16, -1)[:rows, :columns]


def test_the_page_tells_how_to_read_it(files: dict[str, Path]) -> None:
    weights = load_file(FOLDER / "model.safetensors")
    whole, rounded, halved = (read_as_the_page_says(files[each]) for each in ("float32", "int8", "bfloat16"))
    for sections, precision in ((whole, 0), (rounded, 1), (halved, 2)):
        assert sections["joint.spm"][3] == (FOLDER / "joint.spm").read_bytes()
        assert struct.unpack("<14q", sections["network"][3])[2] == precision
        assert struct.unpack("<5d", sections["search"][3])[0] == 5
        assert json.loads(sections["config.json"][3])["data"]["source_language"] == "en"
        assert json.loads(sections["origin.json"][3])["sha256"].keys() == {"joint.spm", "model.safetensors"}
    for name, values in weights.items():
        kind, rows, columns, data = whole[name]
        assert kind == 1
        np.testing.assert_array_equal(np.frombuffer(data, np.float32).reshape(rows, columns), np.atleast_2d(values))
        kind, rows, columns, data = rounded[name]
        assert (kind, rows, columns) == (1 if values.ndim == 1 else 2, *np.atleast_2d(values).shape)
        if kind == 2:
            scales = np.frombuffer(rounded[f"{name}.scales"][3], np.float32)
            integers = unpacked(rows, columns, data, np.int8, 4)
            assert (abs(integers * scales[:, None] - values) <= scales[:, None] * 0.5001).all()
            assert (abs(integers.astype(int)).max(axis=1) == 127).all()
            kind, rows, columns, data = halved[name]
            upper = unpacked(rows, columns, data, np.uint16, 2).astype(np.uint32) << 16
            assert kind == 6
            np.testing.assert_allclose(upper.view(np.float32), values, rtol=2**-8)


def test_it_is_for_passing_on(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "model"))
    (folder / "SHA256SUMS").unlink()
    settings = json.loads((folder / "config.json").read_text())
    settings["folder"] = "/home/somebody/models/secret"
    settings["data"] |= {"train": [["/home/somebody/a.en", "/home/somebody/a.de"]], "test": {"x": ["/srv/t.tsv"]}}
    (folder / "config.json").write_text(json.dumps(settings))
    path = tmp_path / "model.nmt"
    nmt("export", folder, "--out", path)
    content = path.read_bytes()
    assert b"somebody" not in content
    assert b"/srv" not in content
    assert contents_of(folder, "int8") == content
    config = settings_of(path)
    assert config.data.train == ((Path("a.en"), Path("a.de")),)
    assert config.data.test == {"x": (Path("t.tsv"),)}


def test_the_commands_take_it(files: dict[str, Path], tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("".join(f"{line}\n" for line in LINES))
    target.write_text("some thing\n" * len(LINES))
    for precision, path in files.items():
        copy = Path(shutil.copytree(FOLDER, tmp_path / precision))
        for command in (["translate", "--input", source], ["evaluate", "--source", source, "--reference", target]):
            name, *rest = map(str, command)
            as_folder = nmt(name, copy, *rest, "--precision", precision)
            assert nmt(name, path, *rest) == as_folder
            assert nmt(name, path, *rest, "--precision", precision) == as_folder
    assert nmt("score", files["float32"], source, target) == nmt("score", FOLDER, source, target)
    compared = nmt("compare", files["int8"], target, "--source", source, "--reference", target)
    assert str(files["int8"]) in compared
    assert is_model_file(files["int8"])
    assert not is_model_file(target)


def test_info(files: dict[str, Path]) -> None:
    text = nmt("info", files["int8"])
    for part in ("en to tgt", "int8", "encoder.layers.weight_hh_l0", "joint.spm", "every section is as written"):
        assert part in text
    found = json.loads(nmt("info", files["int8"], "--json"))
    assert found["bytes"] == files["int8"].stat().st_size
    assert found["sections"]["output_bias"]["type"] == "float32"
    assert found["parameters"] == json.loads(nmt("info", FOLDER, "--json"))["parameters"]["values"]


def test_a_file_in_use_may_be_replaced(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "model.nmt"
    nmt("export", FOLDER, "--out", path)
    before = path.stat()
    translator = Translator.load(path, threads=1)
    found = translator.translate(LINES)
    nmt("export", FOLDER, "--precision", "float32", "--out", path)
    assert path.stat().st_ino != before.st_ino
    assert translator.translate(LINES) == found
    link = tmp_path / "link.nmt"
    link.symlink_to(path)
    nmt("export", FOLDER, "--out", link)
    assert link.is_symlink()
    assert path.read_bytes() == files["int8"].read_bytes()
    assert not list(tmp_path.glob(".nmt-*"))


def test_a_shortlist_comes_along(files: dict[str, Path], tmp_path: Path) -> None:
    folder, path = Path(shutil.copytree(FOLDER, tmp_path / "model")), tmp_path / "model.nmt"
    size = Translator.load(FOLDER, threads=1).target_subwords.size
    ids = np.arange(size, dtype=np.int32)
    lists = {"first": np.arange(size + 1) * 3, "candidates": np.repeat(ids, 3)[::-1].copy(), "frequent": ids[::-1]}
    write_shortlist(folder, {name: np.ascontiguousarray(each) for name, each in lists.items()}, (size, size))
    nmt("export", folder, "--shortlist", "--out", path)
    lines = ["red dog sees old cat", "big cat has red sun", "old sun has big dog"]
    by_file = [Translator.load(path, threads=1, shortlist=count).translate(lines) for count in (0, 4)]
    by_folder = [
        Translator.load(folder, threads=1, precision="int8", shortlist=count).translate(lines) for count in (0, 4)
    ]
    assert by_file == by_folder
    assert by_file[0] != by_file[1]
    with pytest.raises(ModelError, match="has no shortlist; `nmt export --shortlist` puts it in"):
        Translator.load(files["int8"], threads=1, shortlist=4)
    with pytest.raises(ModelError, match="nmt shortlist"):
        contents_of(FOLDER, "int8", shortlist=True)


def refused(path: Path, **options: str) -> str:
    with pytest.raises((ModelError, OSError)) as error:
        Translator.load(path, threads=1, **options)  # type: ignore[arg-type]
    message = str(error.value)
    assert str(path) in message
    return message


def test_what_is_no_model_file(files: dict[str, Path], tmp_path: Path) -> None:
    assert "no such model folder or file" in refused(tmp_path / "none")
    text, pipe = tmp_path / "text", tmp_path / "pipe"
    text.write_text("Not a model, but some text that is longer than the header of a file would be.\n")
    assert "as `nmt export` writes it" in refused(text)
    os.mkfifo(pipe)
    assert "a named pipe" in refused(pipe)
    assert "expected int8" in refused(files["int8"], precision="float32")
    assert "take its folder" in refused(files["int8"], search="reference")
    for wrong, part in ((pipe, "a named pipe"), (tmp_path, "a folder")):
        done = CliRunner().invoke(app, ["export", str(FOLDER), "--out", str(wrong)])
        assert done.exit_code == 1
        assert part in done.output


def test_every_changed_byte_is_told(files: dict[str, Path], tmp_path: Path) -> None:
    content, path = files["int8"].read_bytes(), tmp_path / "damaged"
    rng = np.random.default_rng(1)
    for place in [*range(64), *rng.integers(64, len(content), 150).tolist()]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        refused(path)
    for size in [0, 1, 63, 64, *rng.integers(65, len(content), 30).tolist()]:
        path.write_bytes(content[:size])
        refused(path)


def test_parts_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.nmt"
    settings = json.dumps(json.loads((FOLDER / "config.json").read_bytes()), separators=(",", ":"))
    for before, after, part in (
        ('"format_version":1', '"format_version":9', "format_version"),
        ('"attention":"general"', '"attention":"dot"', "as the settings say"),
        ('"joint_vocabulary":true', '"joint_vocabulary":false', "source.spm"),
        (settings, "{", "not a JSON file"),
    ):
        assert before in settings
        changed = settings.replace(before, after)
        with monkeypatch.context() as patched:
            patched.setattr("nmt.decoding.exporting.as_json", lambda _, text=changed: text)
            path.write_bytes(contents_of(FOLDER, "int8"))
        assert part in refused(path)
