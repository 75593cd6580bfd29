"""OpenNMT-py: an LSTM network of random weights, as near to ours as its options come.

E 256, H 320, 2 decoder layers, general attention, no input feeding. Its encoder has as many layers as its decoder, of
which each direction has half of the units, and its output layer stands on the decoder's 320 units: for 16 and 16
subwords 79 million products to our 81.
"""

from __future__ import annotations

import argparse
import logging
import os
from functools import cache
from pathlib import Path

import onmt.model_builder
import pyonmttok
import torch
from onmt.inference_engine import InferenceEnginePY
from onmt.inputters.inputter import vocabs_to_dict
from onmt.opts import train_opts, translate_opts
from onmt.utils.parse import ArgumentParser
from serving import LENGTH, System, options, serve

VOCABULARY = 6000
WORDS = [f"w{number}" for number in range(VOCABULARY - 4)]
SHAPE = """--encoder_type brnn --decoder_type rnn --rnn_type LSTM --layers 2 --hidden_size 320 --word_vec_size 256
    --input_feed 0 --global_attention general --share_vocab --share_embeddings --dropout 0 --bridge"""


def make(folder: str) -> None:
    """Write a checkpoint of random weights."""
    parser = ArgumentParser()
    train_opts(parser)
    asked, _ = parser.parse_known_args(["-data", "{}", "-src_vocab", "none", *SHAPE.split()])
    ArgumentParser.update_model_opts(asked)
    special = ["<unk>", "<blank>", "<s>", "</s>"]
    words = pyonmttok.build_vocab_from_tokens(WORDS, special_tokens=special)
    words.default_id = words["<unk>"]
    vocabularies = {"src": words, "tgt": words, "data_task": "seq2seq", "decoder_start_token": "<s>"}
    model = onmt.model_builder.build_base_model(asked, vocabularies)
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -0.1, 0.1)
    print(sum(parameter.numel() for parameter in model.parameters()), "parameters")
    weights = model.state_dict()
    checkpoint = {
        "model": {name: value for name, value in weights.items() if not name.startswith("generator.")},
        "generator": {
            name.removeprefix("generator."): value for name, value in weights.items() if name.startswith("generator.")
        },
        "vocab": vocabs_to_dict(vocabularies),
        "opt": asked,
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, f"{folder}/model.pt")


def load(folder: str, threads: int) -> System:
    """Read the model."""
    torch.set_num_threads(threads)
    torch.serialization.add_safe_globals([argparse.Namespace])  # what newer versions of torch ask for
    logging.disable(logging.INFO)  # it tells of every batch

    @cache
    def engine(beam: int) -> InferenceEnginePY:
        parser = ArgumentParser()
        translate_opts(parser)
        line = f"-model {folder}/model.pt -src none -beam_size {beam} -min_length {LENGTH} -max_length {LENGTH}"
        asked = parser.parse_args([*line.split(), "-batch_size", "64", "-batch_type", "sents", "-output", os.devnull])
        ArgumentParser.validate_translate_opts(asked)
        ArgumentParser._get_all_transform_translate(asked)
        ArgumentParser._validate_transforms_opts(asked)
        ArgumentParser.validate_translate_opts_dynamic(asked)
        return InferenceEnginePY(asked)

    def translate(lines: list[list[str]], beam: int) -> None:
        _, found = engine(beam).infer_list([" ".join(line) for line in lines])
        assert len(found) == len(lines)
        assert all(len(best[0].split()) == LENGTH for best in found)

    return translate


if __name__ == "__main__":
    asked = options()
    if asked.make:
        make(asked.model)
    else:
        serve(load(asked.model, asked.threads), WORDS, asked.once)
