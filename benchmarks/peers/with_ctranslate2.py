"""CTranslate2: Transformers of random weights, made by its own specification."""

from __future__ import annotations

from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.specs import TransformerSpec
from serving import LENGTH, System, options, serve

VOCABULARY = 6000
SIZES = {  # d_model, feed-forward, heads, layers of each side
    "small": (256, 1024, 4, 3),
    "base": (512, 2048, 8, 6),
}
WORDS = [f"w{number}" for number in range(VOCABULARY - 3)]


def make(folder: str, name: str) -> None:
    """Write a model of random weights; quantization happens when it is loaded, or is stored beside it."""
    size, inner, heads, layers = SIZES[name]
    chosen = np.random.default_rng(1)

    def matrix(layer: object, rows: int, columns: int) -> None:
        layer.weight = chosen.uniform(-1, 1, (rows, columns)).astype(np.float32) * columns**-0.5  # type: ignore[attr-defined]
        layer.bias = np.zeros(rows, np.float32)  # type: ignore[attr-defined]

    def norm(layer: object) -> None:
        layer.gamma, layer.beta = np.ones(size, np.float32), np.zeros(size, np.float32)  # type: ignore[attr-defined]

    for precision in ("float32", "int8"):
        spec = TransformerSpec.from_config(layers, heads)
        table = chosen.uniform(-1, 1, (VOCABULARY, size)).astype(np.float32) * size**-0.5
        spec.encoder.embeddings[0].weight = table
        spec.decoder.embeddings.weight = table
        spec.decoder.projection.weight = table
        spec.decoder.projection.bias = np.zeros(VOCABULARY, np.float32)
        for side in (spec.encoder, spec.decoder):
            norm(side.layer_norm)
            for layer in side.layer:
                matrix(layer.self_attention.linear[0], 3 * size, size)
                matrix(layer.self_attention.linear[1], size, size)
                norm(layer.self_attention.layer_norm)
                matrix(layer.ffn.linear_0, inner, size)
                matrix(layer.ffn.linear_1, size, inner)
                norm(layer.ffn.layer_norm)
        for layer in spec.decoder.layer:
            for linear, rows in zip(layer.attention.linear, (size, 2 * size, size), strict=True):
                matrix(linear, rows, size)
            norm(layer.attention.layer_norm)
        tokens = ["<unk>", "<s>", "</s>", *WORDS]
        spec.register_source_vocabulary(tokens)
        spec.register_target_vocabulary(tokens)
        spec.validate()
        spec.optimize(precision)
        Path(folder, precision).mkdir(parents=True, exist_ok=True)
        spec.save(f"{folder}/{precision}")


def load(folder: str, precision: str, threads: int, workers: int) -> System:
    """Read a model."""
    translator = ctranslate2.Translator(
        f"{folder}/{precision}",
        compute_type=precision,
        intra_threads=threads,
        inter_threads=workers,
    )

    def translate(lines: list[list[str]], beam: int) -> None:
        translator.translate_batch(
            lines,
            beam_size=beam,
            min_decoding_length=LENGTH,
            max_decoding_length=LENGTH,
            max_batch_size=-(-len(lines) // workers),
        )

    return translate


if __name__ == "__main__":
    asked = options()
    if asked.make:
        make(asked.model, Path(asked.model).name)
    else:
        serve(load(asked.model, asked.precision, asked.threads, asked.workers), WORDS, asked.once)
