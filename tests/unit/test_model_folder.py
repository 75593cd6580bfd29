"""The model folder: what is written is read again, and what is damaged is told in one line."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from ended import ended_at_every_moment
from small import make_config

import nmt
from nmt.decoding.translator import Translator
from nmt.model.seq2seq import Seq2Seq
from nmt.model.shapes import parameter_shapes
from nmt.model_folder.card import ModelCard, note_score, render_card
from nmt.model_folder.digests import check_digests
from nmt.model_folder.files import ModelError
from nmt.model_folder.header import read_header
from nmt.model_folder.weights import load_model, parameters_of, save_model, write_tensors


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    config = make_config()
    card = ModelCard({"training pairs": 29000}, {"test BLEU": "35.00"}, "Made in a test.")
    save_model(tmp_path, config, Seq2Seq.from_config(config, 11, 11), (11, 11), card, {})
    return tmp_path


def test_round_trip(folder):
    torch.manual_seed(0)
    written = Seq2Seq.from_config(make_config(), 11, 11)
    state = torch.get_rng_state()
    config, read = load_model(folder, Seq2Seq.from_config, parameter_shapes)
    assert torch.equal(torch.get_rng_state(), state)
    assert config == make_config()
    assert not read.training
    assert dict(read.named_parameters()).keys() == dict(written.named_parameters()).keys()
    for name, parameter in written.named_parameters():
        assert torch.equal(parameter, read.get_parameter(name))
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "config.json",
        "model.safetensors",
    ]


def test_the_card(folder):
    text = (folder / "README.md").read_text()
    today = datetime.now(UTC).date()
    assert re.search(rf"\| made \| on {today.year}-..-.. with nmt {re.escape(nmt.__version__)} \|", text)
    assert "| licence | not stated |" in text
    assert re.search(r"\| trained on \| \S.* \|", text)
    licensed = make_config().model_copy(update={"license": "CC-BY |4.0\n"})
    assert "| licence | CC-BY \\|4.0 |" in render_card(licensed, 1, (11, 11), ModelCard())


@pytest.mark.parametrize("scores", [{}, {"validation loss": "2.0"}])
def test_scores_are_noted_on_the_card(scores, tmp_path):
    card = tmp_path / "README.md"
    card.write_text(render_card(make_config(), 1, (11, 11), ModelCard({}, scores)))
    note_score(card, "test, bleu", "20.00 (nrefs:1|tok:13a)")
    note_score(card, "test, chrf", "40.00")
    note_score(card, "test, bleu", "21.00 (nrefs:1|tok:13a)")
    table = card.read_text().partition("## Scores")[2].partition("## Use")[0]
    rows = [line for line in table.splitlines() if line]
    assert rows[:2] == ["| | |", "|---|---|"]
    assert rows[2:] == [
        *(f"| {name} | {value} |" for name, value in scores.items()),
        "| test, chrf | 40.00 |",
        "| test, bleu | 21.00 (nrefs:1\\|tok:13a) |",
    ]


@pytest.mark.parametrize("content", [b"my own words\n", b"\xff\xfe"])
def test_a_card_that_is_not_ours_stays(content, tmp_path):
    (tmp_path / "README.md").write_bytes(content)
    note_score(tmp_path / "README.md", "test, bleu", "1.0")
    assert (tmp_path / "README.md").read_bytes() == content


def test_names_on_disk_are_those_of_the_first_version(folder):
    kept = Path(__file__).parents[1] / "data" / "model-v1" / "model.safetensors"
    of_second_layer = {name for name in read_header(folder / "model.safetensors").tensors if ".layers.1." in name}
    general = {"decoder.attention.query_projection.weight"}  # the first version's attention was of this kind
    now = read_header(folder / "model.safetensors").tensors.keys() - of_second_layer
    assert now == read_header(kept).tensors.keys() - general
    network = Seq2Seq.from_config(make_config(), 11, 11)
    assert parameters_of(network)["decoder.initial.weight"] is network.decoder.bridge.weight


def test_card(folder):
    card = (folder / "README.md").read_text()
    for text in ("src to tgt", "29,000", "35.00", "Made in a test.", "11 subwords, joint", "nmt translate"):
        assert text in card


def damage_config(folder):
    (folder / "config.json").write_text("{")


def unknown_setting(folder):
    config = json.loads((folder / "config.json").read_text())
    config["model"]["colour"] = "red"
    (folder / "config.json").write_text(json.dumps(config))


def other_width(folder):
    config = json.loads((folder / "config.json").read_text())
    config["model"]["hidden_size"] = 9
    (folder / "config.json").write_text(json.dumps(config))


def more_layers(folder):
    config = json.loads((folder / "config.json").read_text())
    config["model"]["decoder_layers"] = 3
    (folder / "config.json").write_text(json.dumps(config))


def cut_short(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def not_a_model(folder):
    write_tensors(folder / "model.safetensors", {"x": torch.zeros(1)})


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"config\.json: missing"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"model\.safetensors: missing"),
        (damage_config, r"config\.json: "),
        (unknown_setting, r"config\.json: model\.colour"),
        (other_width, r"expected \[36, 6\], got \[32, 6\]"),
        (more_layers, r"decoder\.layers\.2\.\S+ is missing"),
        (cut_short, r"model\.safetensors: damaged"),
        (not_a_model, r"no vocabulary sizes"),
    ],
)
def test_damage_is_told_in_one_line(folder, harm, message):
    (folder / "SHA256SUMS").unlink()
    harm(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(folder, Seq2Seq.from_config, parameter_shapes)
    assert "\n" not in str(caught.value)


def test_the_digests_are_those_of_sha256sum(folder):
    config, model = load_model(folder, Seq2Seq.from_config, parameter_shapes)
    save_model(folder, config, model, model.vocabulary_sizes, ModelCard(), {"joint.spm": b"subwords"})
    names = ["joint.spm", "config.json", "model.safetensors"]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    assert (folder / "SHA256SUMS").read_text() == "".join(lines)


def removed(path):
    path.unlink(missing_ok=True)


def damaged(path):
    path.write_bytes(b"subwordz")


def replaced_by_a_pipe(path):
    os.mkfifo(path)


@pytest.mark.parametrize("harm", [removed, damaged, replaced_by_a_pipe])
def test_subwords_that_were_lost_are_written_again_and_get_no_good_name_by_damage(folder, harm):
    config, model = load_model(folder, Seq2Seq.from_config, parameter_shapes)
    harm(folder / "joint.spm")
    save_model(folder, config, model, model.vocabulary_sizes, ModelCard(), {"joint.spm": b"subwords"})
    assert (folder / "joint.spm").read_bytes() == b"subwords"
    assert check_digests(folder)


def test_what_is_loaded_must_be_listed(folder):
    (folder / "source.spm").write_bytes(b"of no use to these settings, and not read")
    assert check_digests(folder)
    (folder / "joint.spm").write_bytes(b"planted")
    with pytest.raises(ModelError, match=r"SHA256SUMS: does not list joint\.spm, which is part of the model"):
        load_model(folder, Seq2Seq.from_config, parameter_shapes)


def test_a_model_that_is_not_written_to_the_end_is_none(folder, tmp_path_factory):
    """Killed while a model is written over another, at any change of a name: the folder holds one of both, or none."""
    config, model = load_model(folder, Seq2Seq.from_config, parameter_shapes)
    before = model.output_bias.detach().clone()
    with torch.no_grad():
        model.output_bias += 1.0
    replace, unlink = Path.replace, Path.unlink

    def save(place, left):
        def stopping(function):
            def call(*arguments, **keywords):
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return function(*arguments, **keywords)

            return call

        Path.replace, Path.unlink = stopping(replace), stopping(unlink)
        save_model(place, config, model, model.vocabulary_sizes, ModelCard(), {})
        os._exit(0)

    found = []
    while not found or found[-1] != "finished":
        place = shutil.copytree(folder, tmp_path_factory.mktemp("copy") / "model")
        child = os.fork()
        if child == 0:
            save(place, [len(found)])
        finished = os.waitpid(child, 0)[1] == 0
        try:
            bias = load_model(place, Seq2Seq.from_config, parameter_shapes)[1].output_bias
            found.append("finished" if finished else "new" if torch.equal(bias, model.output_bias) else "old")
            assert found[-1] != "old" or torch.equal(bias, before)
        except ModelError as error:
            found.append("none" if str(error).startswith(f"{place / 'model.safetensors'}: missing") else str(error))
    assert found == sorted(found, key=["old", "none", "new", "finished"].index)
    assert {"old", "none", "finished"} <= set(found)


def test_a_full_disk_leaves_the_model_that_was_there(folder, monkeypatch):
    config, model = load_model(folder, Seq2Seq.from_config, parameter_shapes)
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        save_model(folder, config, model, model.vocabulary_sizes, ModelCard(), {})
    monkeypatch.undo()
    load_model(folder, Seq2Seq.from_config, parameter_shapes)


def test_no_folder(tmp_path):
    with pytest.raises(ModelError, match="no such model folder"):
        load_model(tmp_path / "nowhere", Seq2Seq.from_config, parameter_shapes)


def test_a_model_of_an_earlier_version_translates_as_it_did():
    folder = Path(__file__).parents[1] / "data" / "model-v1"
    assert check_digests(folder)
    lines = ["red dog sees old cat", "", "big sun has red dog"]
    assert Translator.load(folder, threads=1).translate(lines) == ["pe mi so nu ka", "", "nu ka ti ra lo"]


def test_a_signal_at_any_moment_ends_the_loading_of_a_model():
    folder = Path(__file__).parents[1] / "data" / "model-v1"
    Translator.load(folder, 1)  # imports what it needs
    assert sum(ended_at_every_moment(lambda: Translator.load(folder, 1))) > 1000
