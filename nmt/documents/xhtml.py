"""What the elements of XHTML are to the text around them."""

from __future__ import annotations

from typing import Final

from nmt.decoding.translation import Status
from nmt.documents.document import Languages
from nmt.documents.flow import Flow
from nmt.documents.mixed import Role
from nmt.documents.xml import LANGUAGE, Element, Tree, local
from nmt.text.segments import Segment, plain

_BLOCK_NAMES: Final = (
    "address article aside blockquote body caption center col colgroup dd details dialog div dl dt fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li link main menu meta nav noscript ol "
    "optgroup option p section select summary table tbody td tfoot th thead title tr ul"
)
_BLOCKS: Final = frozenset(_BLOCK_NAMES.split())
_LEFT: Final = frozenset(("pre", "script", "style", "svg", "template", "textarea"))
_WORDS: Final = frozenset(("code", "kbd", "math", "samp", "tt", "var"))
_POINTS: Final = frozenset(("area", "audio", "canvas", "embed", "iframe", "img", "input", "object", "video", "wbr"))
_ATTRIBUTES: Final = ("alt", "title")


def role(element: Element) -> Role:
    """Return what an element is to the text around it."""
    name = local(element).lower()
    if element.get("translate") == "no" or "notranslate" in (element.get("class") or "").split():
        return Role.LEFT if name in _BLOCKS else Role.WORD
    if name in _BLOCKS:
        return Role.BLOCK
    if name in _LEFT:
        return Role.LEFT
    if name in _WORDS:
        return Role.WORD
    if name == "br":
        return Role.BREAK
    return Role.ALONE if name in _POINTS else Role.PAIR


def add_attributes(tree: Tree, flow: Flow) -> None:
    """Add attributes that are read: what stands for pictures, and hints."""
    for element in tree.iter("*"):
        for name in _ATTRIBUTES:
            value = element.get(name)
            if value and element.get("translate") != "no":
                _add_attribute(flow, element, name, value)


def _add_attribute(flow: Flow, element: Element, name: str, value: str) -> None:
    def fill(segment: Segment, _: Status) -> None:
        element.set(name, plain(segment))

    flow.add([" ".join(value.split())], fill)


def set_language(tree: Tree, languages: Languages) -> None:
    """Say in which language a page is now, where it said so before."""
    root = tree.getroot()
    for name in ("lang", LANGUAGE):
        if root.get(name) and languages.change(root.get(name) or ""):
            root.set(name, languages.target)
