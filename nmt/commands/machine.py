"""`nmt info` without a model: what this machine has to compute with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import typer

import nmt
from nmt.model.machine import describe_machine
from nmt.values import shown_bytes


def run(as_json: bool) -> None:
    """Print what there is.

    Args:
        as_json: Print one JSON object instead of text.
    """
    found = {"version": nmt.__version__, **describe_machine()}
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(_text(found)))


def _text(found: Mapping[str, Any]) -> Iterator[str]:
    cuda = found["cuda"]
    yield f"{'nmt':<20}{found['version']}"
    yield f"{'CPU':<20}{found['cores']} cores, {', '.join(found['instruction_sets'])}"
    built = "" if cuda["built"] else "not built: "
    yield f"{'CUDA library':<20}{built}{cuda['library']}"
    yield f"{'CUDA driver':<20}{cuda['driver'] or 'none'}"
    if cuda["problem"]:
        yield f"{'cards':<20}none: {cuda['problem']}"
    for card in cuda["cards"]:
        name = f"{card['name']}, {shown_bytes(card['memory'])}, compute capability {card['capability']}"
        yield f"{'cuda:' + str(card['index']):<20}{name}"
        if card["products"]:
            yield f"{'':<20}large products: {card['products']}"
        if card["problem"]:
            yield f"{'':<20}not usable: {card['problem']}"
