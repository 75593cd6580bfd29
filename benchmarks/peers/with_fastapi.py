"""A plain FastAPI application over CTranslate2, beside which `benchmarks/serving.py` measures ours.

with_fastapi.py MODEL PORT THREADS BEAM. Every request is a call of its own, and CTranslate2 has a worker for each core.
Weights are random, so that a translation is made to have as many tokens as its source.
"""

from __future__ import annotations

import sys
from typing import Any

import ctranslate2
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from with_ctranslate2 import WORDS

model, port, threads, beam = sys.argv[1], *map(int, sys.argv[2:])
translator = ctranslate2.Translator(model, compute_type="int8", intra_threads=1, inter_threads=threads)
app = FastAPI()


class Asked(BaseModel):
    """A request."""

    q: str
    source: str
    target: str


@app.post("/translate")
def translate(asked: Asked) -> dict[str, Any]:
    """Translate: a subword for about 4 letters."""
    tokens = [WORDS[sum(map(ord, word)) % len(WORDS)] for word in asked.q.split() for _ in range(1 + len(word) // 8)]
    length = max(1, len(tokens))
    [found] = translator.translate_batch(
        [tokens], beam_size=beam, min_decoding_length=length, max_decoding_length=length
    )
    return {"translatedText": " ".join(found.hypotheses[0])}


uvicorn.run(app, port=port, log_level="warning", access_log=False)
