"""A FastAPI application over CTranslate2, beside which `benchmarks/serving.py` measures ours.

with_fastapi.py MODEL PORT WORKERS THREADS BEAM. It does by hand what ours does, since CTranslate2 makes no batch of
several calls: WORKERS threads, each with THREADS of CTranslate2's, take what waits and translate it together. Weights
are random, so that a translation is made to have as many tokens as its source; in a batch, as many as its sources have
on average.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ctranslate2
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from with_ctranslate2 import WORDS

MOST = 64  # sentences of a batch

model, port, workers, threads, beam = sys.argv[1], *map(int, sys.argv[2:])
translator = ctranslate2.Translator(model, compute_type="int8", intra_threads=threads, inter_threads=workers)
waiting: deque[tuple[list[str], asyncio.Future[str]]] = deque()
changed = threading.Condition()


class Asked(BaseModel):
    """A request."""

    q: str
    source: str
    target: str


def work(loop: asyncio.AbstractEventLoop) -> None:
    """Translate what waits, and never wait for more."""
    while True:
        with changed:
            changed.wait_for(lambda: waiting)
            batch = [waiting.popleft() for _ in range(min(MOST, -(-len(waiting) // workers)))]
        length = max(1, round(sum(len(tokens) for tokens, _ in batch) / len(batch)))
        found = translator.translate_batch(
            [tokens for tokens, _ in batch], beam_size=beam, min_decoding_length=length, max_decoding_length=length
        )
        texts = [" ".join(each.hypotheses[0]) for each in found]
        loop.call_soon_threadsafe(tell, [future for _, future in batch], texts)


def tell(futures: list[asyncio.Future[str]], texts: list[str]) -> None:
    """Hand translations to their requests."""
    for future, text in zip(futures, texts, strict=True):
        if not future.done():
            future.set_result(text)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start the workers."""
    for _ in range(workers):
        threading.Thread(target=work, args=(asyncio.get_running_loop(),), daemon=True).start()
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/translate")
async def translate(asked: Asked) -> dict[str, Any]:
    """Translate: a subword for about 4 letters."""
    tokens = [WORDS[sum(map(ord, word)) % len(WORDS)] for word in asked.q.split() for _ in range(1 + len(word) // 6)]
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with changed:
        waiting.append((tokens, future))
        changed.notify()
    return {"translatedText": await future}


uvicorn.run(app, port=port, log_level="warning", access_log=False)
