"""Marian with 8-bit integers, in the library that browsers translate with: a student of the shape that they ship.

E 256, 6 layers of encoder, 2 of decoder whose recurrence is an SSRU, feed-forward 1,536, 8 heads, all embeddings tied;
weights at random. Eos is made impossible, and `max-length-factor` ends every translation a step before the length of
its source with eos. It takes text, and makes its subwords by SentencePiece: that is in its times, and in no other's.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path

import numpy as np
import sentencepiece
from serving import LENGTH, System, options, serve

SIZE, INNER, HEADS, ENCODER, DECODER = 256, 1536, 8, 6, 2
NETWORK = f"""type: transformer
input-types: [sequence, sequence]
dim-vocabs: [{{vocabulary}}, {{vocabulary}}]
dim-emb: {SIZE}
dim-rnn: {SIZE}
enc-type: bidirectional
enc-cell: gru
enc-cell-depth: 1
enc-depth: {ENCODER}
dec-cell: ssru
dec-cell-base-depth: 2
dec-cell-high-depth: 1
dec-depth: {DECODER}
skip: false
layer-normalization: false
right-left: false
tied-embeddings: false
tied-embeddings-src: false
tied-embeddings-all: true
transformer-heads: {HEADS}
transformer-no-projection: false
transformer-no-bias: false
transformer-no-affine: false
transformer-train-position-embeddings: false
transformer-dim-ffn: {INNER}
transformer-decoder-dim-ffn: 0
transformer-ffn-depth: 2
transformer-decoder-ffn-depth: 0
transformer-ffn-activation: relu
transformer-dim-aan: {INNER}
transformer-aan-depth: 2
transformer-aan-activation: swish
transformer-aan-nogate: false
transformer-decoder-autoreg: rnn
transformer-tied-layers: []
transformer-guided-alignment-layer: last
transformer-preprocess: ""
transformer-postprocess: dan
transformer-postprocess-emb: d
transformer-postprocess-top: ""
lemma-dim-emb: 0
output-omit-bias: false
bert-train-type-embeddings: true
bert-type-vocab-size: 2
ulr: false
ulr-dim-emb: 0
ulr-trainable-transformation: false
version: v1.9.56
"""
SEARCH = """models: [{folder}/model.npz]
vocabs: [{folder}/vocabulary.spm, {folder}/vocabulary.spm]
beam-size: {beam}
normalize: 1.0
word-penalty: 0
max-length-break: 128
mini-batch-words: {words}
workspace: 128
max-length-factor: 0.94
skip-cost: true
cpu-threads: {workers}
quiet: true
quiet-translation: true
gemm-precision: {precision}
ssplit-mode: sentence
"""
GEMM = {"float32": "float32", "int8": "int8shiftAll"}


def make(folder: str, subwords: str) -> None:
    """Write weights and the vocabulary, a SentencePiece model."""
    chosen = np.random.default_rng(1)
    processor = sentencepiece.SentencePieceProcessor(model_file=subwords)
    vocabulary = processor.get_piece_size()
    weights: dict[str, np.ndarray] = {}

    def matrix(name: str, bias: str, rows: int, columns: int) -> None:
        weights[name] = chosen.uniform(-1, 1, (rows, columns)).astype(np.float32) * rows**-0.5
        weights[bias] = np.zeros((1, columns), np.float32)

    def norm(name: str) -> None:
        weights[f"{name}_ln_scale"] = np.ones((1, SIZE), np.float32)
        weights[f"{name}_ln_bias"] = np.zeros((1, SIZE), np.float32)

    def attention(name: str) -> None:
        for part in "qkvo":
            matrix(f"{name}_W{part}", f"{name}_b{part}", SIZE, SIZE)
        norm(f"{name}_Wo")

    def feed_forward(name: str) -> None:
        matrix(f"{name}_W1", f"{name}_b1", SIZE, INNER)
        matrix(f"{name}_W2", f"{name}_b2", INNER, SIZE)
        norm(f"{name}_ffn")

    matrix("Wemb", "decoder_ff_logit_out_b", SIZE, vocabulary)
    weights["Wemb"] = np.ascontiguousarray(weights["Wemb"].T)
    weights["decoder_ff_logit_out_b"][0, processor.eos_id()] = -1e6
    for layer in range(1, ENCODER + 1):
        attention(f"encoder_l{layer}_self")
        feed_forward(f"encoder_l{layer}_ffn")
    for layer in range(1, DECODER + 1):
        matrix(f"decoder_l{layer}_rnn_W", "unused", SIZE, SIZE)
        matrix(f"decoder_l{layer}_rnn_Wf", f"decoder_l{layer}_rnn_bf", SIZE, SIZE)
        norm(f"decoder_l{layer}_rnn_ffn")
        attention(f"decoder_l{layer}_context")
        feed_forward(f"decoder_l{layer}_ffn")
    del weights["unused"]
    print(sum(weight.size for weight in weights.values()), "parameters")
    settings = np.frombuffer(NETWORK.format(vocabulary=vocabulary).encode() + b"\0", np.int8)
    Path(folder).mkdir(parents=True, exist_ok=True)
    np.savez(f"{folder}/model.npz", **weights, **{"special:model.yml": settings})
    Path(folder, "vocabulary.spm").write_bytes(Path(subwords).read_bytes())


def words_of(folder: str) -> list[str]:
    """Words that are one subword each."""
    processor = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/vocabulary.spm")
    pieces = map(processor.id_to_piece, range(processor.get_piece_size()))
    words = [piece[1:] for piece in pieces if piece[0] == "\u2581" and piece[1:].isalpha() and piece[1:].islower()]
    return [word for word in words if len(processor.encode(word)) == 1]


def load(folder: str, precision: str, workers: int) -> System:
    """Read the model."""
    # The package asks a server for its list of models as soon as it is imported; its extension does not.
    found = importlib.util.find_spec("bergamot")
    assert found is not None
    assert found.submodule_search_locations is not None
    sys.path.insert(0, found.submodule_search_locations[0])
    import _bergamot as bergamot  # noqa: PLC0415

    service = bergamot.Service(bergamot.ServiceConfig(workers, 0, "off"))
    quick = bergamot.ResponseOptions(False, False, False, False)

    @cache
    def model(beam: int) -> bergamot.TranslationModel:
        words = 64 // workers * (LENGTH + 1)  # so that 64 sentences are a batch for each worker
        return service.modelFromConfig(
            SEARCH.format(folder=folder, beam=beam, workers=workers, words=words, precision=GEMM[precision])
        )

    def translate(lines: list[list[str]], beam: int) -> None:
        found = service.translate(model(beam), bergamot.VectorString([" ".join(line) for line in lines]), quick)
        assert len(found) == len(lines)

    return translate


if __name__ == "__main__":
    asked = options()
    if asked.make:
        make(asked.model, asked.subwords)
    else:
        serve(load(asked.model, asked.precision, asked.workers), words_of(asked.model), asked.once)
