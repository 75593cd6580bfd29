"""A model folder made into the contents of a model file (docs/model_file.md); imports no torch."""

from __future__ import annotations

import json
from pathlib import Path

from nmt.config import Config
from nmt.config_data import CorpusConfig, DataConfig
from nmt.config_file import as_json
from nmt.data.subwords import load_subwords, subword_contents
from nmt.decoding.model_file import ORIGIN_SECTION, SHORTLIST_SECTIONS
from nmt.decoding.native import finite_parameters
from nmt.model.model_file import SearchNumbers, Values, make_model_file
from nmt.model.shapes import NetworkShape, parameter_shapes
from nmt.model_folder.files import CONFIG_FILE, MODEL_FILE, read_settings, require_vocabulary
from nmt.model_folder.parameters import open_model
from nmt.model_folder.shortlist import read_shortlist
from nmt.reading import sha256
from nmt.values import version


def contents_of(folder: Path, precision: str, shortlist: bool = False) -> bytes:
    """Make the contents of a model folder's file.

    Args:
        folder: The model folder.
        precision: What to round weights to.
        shortlist: Whether to put the folder's shortlist in.

    Raises:
        ModelError, SubwordError: The model cannot be read.
        OSError: A file cannot be read.
    """
    model = open_model(folder, parameter_shapes)
    config, sizes = read_settings(folder), model.header.vocabulary_sizes
    names = config.data.subword_files
    subwords = load_subwords(folder, names)
    require_vocabulary(folder, (subwords[0].size, subwords[1].size), sizes)
    origin = {"version": version(), "sha256": {name: sha256(folder / name) for name in (*names, MODEL_FILE)}}
    parts: dict[str, bytes | Values] = {
        CONFIG_FILE: as_json(_passed_on(config)).encode(),
        ORIGIN_SECTION: json.dumps(origin, indent=2).encode() + b"\n",
        **subword_contents(names, subwords),
    }
    if shortlist:
        lists = read_shortlist(folder, sizes)
        contents = Values("int64", lists.first), Values("int32", lists.candidates), Values("int32", lists.frequent)
        parts.update(zip(SHORTLIST_SECTIONS, contents, strict=True))
    decoding = config.decoding
    search = SearchNumbers(
        decoding.beam_size,
        decoding.length_penalty,
        decoding.max_length_factor,
        decoding.max_length_extra,
        config.data.max_length,
    )
    with finite_parameters(model) as tensors:
        return make_model_file(NetworkShape.of(config, sizes), tensors, precision, parts, search)


def _passed_on(config: Config) -> Config:
    """Leave out what is of the machine that the model was trained on: folders of files."""
    corpora = tuple(each.model_copy(update=_texts(each)) for each in config.data.corpora)
    here = config.data.model_copy(update={**_texts(config.data), "corpora": corpora})
    return config.model_copy(update={"data": here, "folder": Path(config.folder.name or ".")})


def _texts(data: DataConfig | CorpusConfig) -> dict[str, object]:
    return {
        "train": tuple(_names(corpus) for corpus in data.train),
        "valid": data.valid and _names(data.valid),
        "test": {name: _names(corpus) for name, corpus in data.test.items()},
    }


def _names(corpus: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(Path(path.name) for path in corpus)
