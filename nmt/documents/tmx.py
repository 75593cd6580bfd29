"""Translation memories (TMX): units that lack the target language get a variant in it."""

from __future__ import annotations

import copy
from functools import partial
from typing import Final

from nmt.decoding.translation import Status
from nmt.documents.document import Document, DocumentError, Leaving, base_language
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.mixed import Mixed, Role, Rules
from nmt.documents.xml import LANGUAGE, Element, local, parse, write

_ROLES: Final = {
    "bpt": Role.OPENS,
    "ept": Role.CLOSES,
    "hi": Role.PAIR,
    "ph": Role.WORD,
}
_OF_THE_SOURCE: Final = ("creationdate", "creationid", "changedate", "changeid", "usagecount", "lastusagedate")


def read(given: Given) -> Document:
    """Take a memory apart.

    Raises:
        DocumentError: The languages are not known, or nothing is in the source language.
    """
    source, target = given.languages
    if not source or not target:
        raise DocumentError(f"{given.name}: expected a model that knows its languages, which tell what is to be added")
    tree = parse(given.content, given.name, doctype=True)
    flow, left = Flow(), Leaving()
    mixed = Mixed(flow, Rules(lambda element: _ROLES.get(local(element), Role.ALONE), mate=_mate))
    found = 0
    for unit in tree.iter("tu"):
        by_language = {base_language(_language(variant)): variant for variant in reversed(unit.findall("tuv"))}
        variant = by_language.get(base_language(source))
        if variant is None:
            left.add("units without the source language", f"expected a variant in {source}")
            continue
        found += 1
        if base_language(target) in by_language:
            left.add("units that have the target language", "it is kept")
            continue
        segment = variant.find("seg")
        if segment is not None:
            added = copy.deepcopy(segment)
            mixed.add(added, partial(_put, unit, variant, target))
    if not found and tree.find(".//tu") is not None:
        raise DocumentError(f"{given.name}: expected units in the model's language, {source}, got none")
    return flow.document(lambda: write(tree), left.all())


def _put(unit: Element, source: Element, target: str, segment: Element, _: Status) -> None:
    """Add a variant behind the source's, written in the same way."""
    if segment.getparent() is not None:
        return
    variant = copy.copy(source)
    for child in list(variant):
        variant.remove(child)
    name = LANGUAGE if LANGUAGE in source.attrib else "lang"
    variant.set(name, target)
    for attribute in _OF_THE_SOURCE:
        if attribute in variant.attrib:
            del variant.attrib[attribute]
    segment.tail = source.text if source.text and not source.text.strip() else None
    variant.append(segment)
    old = unit.findall("tuv")[-1]
    before = old.getprevious()
    variant.tail, old.tail = old.tail, unit.text if before is None else before.tail
    unit.insert(unit.index(old) + 1, variant)


def _language(variant: Element) -> str:
    return variant.get(LANGUAGE) or variant.get("lang") or ""


def _mate(element: Element) -> str:
    return element.get("i") or ""
