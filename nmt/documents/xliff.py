"""XLIFF 1.2, 2.0 and 2.1: segments without a target get one; those of people stay."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Final

from nmt.decoding.translation import Status
from nmt.documents.document import Document, DocumentError, Languages, Leaving, base_language
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.mixed import Mixed, Role, Rules
from nmt.documents.xml import SPACE, Element, local, parse, write

_SURE: Final = (Status.OK, Status.SPLIT, Status.RETRIED)
_NEW: Final = frozenset({"", "new", "needs-translation", "initial"})
"""States of targets that nobody has written."""
_ROLES: Final = {
    "g": Role.PAIR,
    "pc": Role.PAIR,
    "mrk": Role.PAIR,
    "bx": Role.OPENS,
    "ex": Role.CLOSES,
    "bpt": Role.OPENS,
    "ept": Role.CLOSES,
    "sc": Role.OPENS,
    "ec": Role.CLOSES,
    "sm": Role.OPENS,
    "em": Role.CLOSES,
    "x": Role.WORD,
    "ph": Role.WORD,
}


def read(given: Given) -> Document:
    """Take a file apart.

    Raises:
        DocumentError: It is of another version, or from another language.
    """
    tree = parse(given.content, given.name)
    root = tree.getroot()
    version = root.get("version") or ""
    if not version.startswith(("1.", "2.")) or local(root) != "xliff":
        raise DocumentError(f"{given.name}: expected XLIFF 1.2 or 2.x, got version {version!r}")
    flow, left = Flow(), Leaving()
    units = _Units(Mixed(flow, Rules(_role, _collapses, _mate)), left, given.languages, given.name)
    if version.startswith("1."):
        units.add_first(root)
    else:
        units.add_second(root)
    return flow.document(lambda: write(tree), left.all())


class _Units:
    """Adds what is to be translated.

    Args:
        mixed: Takes text apart.
        left: Told what is not.
        languages: From what into what.
        name: What the file is called in errors.
    """

    def __init__(self, mixed: Mixed, left: Leaving, languages: Languages, name: str) -> None:
        self._mixed, self._left, self._languages, self._name = mixed, left, languages, name

    def add_first(self, root: Element) -> None:
        """Add the units of version 1."""
        for file in root.iter("{*}file"):
            self._check(file, "source-language", "target-language")
            for unit in file.iter("{*}trans-unit"):
                source, target = _child(unit, "seg-source", "source"), _child(unit, "target")
                state = "" if target is None else target.get("state") or ("" if _is_empty(target) else "translated")
                if self._is_left(unit, source, target, "final" if unit.get("approved") == "yes" else state):
                    continue
                assert source is not None
                self._add(source, target, unit, "state", ("translated", "needs-review-translation"))

    def add_second(self, root: Element) -> None:
        """Add the segments of version 2."""
        self._check(root, "srcLang", "trgLang")
        for segment in root.iter("{*}segment"):
            source, target = _child(segment, "source"), _child(segment, "target")
            state = segment.get("state") or ("" if target is None or _is_empty(target) else "translated")
            if not self._is_left(segment, source, target, state):
                assert source is not None
                self._add(source, target, segment, "state", ("translated", "initial"))

    def _check(self, element: Element, source: str, target: str) -> None:
        """Check the languages, and name that of the targets if nobody did."""
        for name, wanted in ((source, self._languages.source), (target, self._languages.target)):
            found = element.get(name)
            if found and wanted and base_language(found) != base_language(wanted):
                raise DocumentError(f"{self._name}: expected {name}={wanted!r}, as the model's, got {found!r}")
        if self._languages.target and not element.get(target):
            element.set(target, self._languages.target)

    def _is_left(self, unit: Element, source: Element | None, target: Element | None, state: str) -> bool:
        if source is None:
            return True
        if _is_kept(unit):
            self._left.add("segments with translate='no'", "the file says so")
            return True
        if state not in _NEW or (target is not None and not _is_empty(target) and not _same_text(source, target)):
            self._left.add("segments that have a target", "it is kept")
            return True
        return False

    def _add(
        self, source: Element, old: Element | None, unit: Element, attribute: str, states: tuple[str, str]
    ) -> None:
        target = copy.deepcopy(source)
        target.tag = str(source.tag).rpartition("}")[0] + "}target" if "}" in str(source.tag) else "target"
        for name, value in () if old is None else old.attrib.items():
            target.set(name, value)
        self._mixed.add(target, partial(self._done, source, old, unit, attribute, states))

    def _done(
        self,
        source: Element,
        old: Element | None,
        unit: Element,
        attribute: str,
        states: tuple[str, str],
        target: Element,
        status: Status,
    ) -> None:
        """Put a target in its place; the state of several segments is the worst."""
        holder = target if local(unit) == "trans-unit" else unit
        if target.getparent() is None:
            target.tail = source.tail
            if old is not None:
                unit.replace(old, target)
            else:
                source.addnext(target)
            holder.set(attribute, states[0])
        if status not in _SURE:
            holder.set(attribute, states[1])


def _child(element: Element, *names: str) -> Element | None:
    return next(
        (child for name in names for child in _children(element, name) if not _is_empty(child) or name == "target"),
        None,
    )


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if local(child) == name)


def _is_empty(element: Element) -> bool:
    return not "".join(map(str, element.itertext())).strip() and not any(
        local(each) != "mrk" for each in element.iterdescendants("*")
    )


def _same_text(source: Element, target: Element) -> bool:
    return "".join(map(str, source.itertext())).split() == "".join(map(str, target.itertext())).split()


def _is_kept(unit: Element) -> bool:
    """Whether the nearest element that says so says that nothing is to be translated."""
    for element in (unit, *unit.iterancestors()):
        if said := element.get("translate"):
            return said == "no"
    return False


def _role(element: Element) -> Role:
    name = local(element)
    if name == "mrk" and element.get("mtype") == "seg":
        return Role.BLOCK
    if element.get("mtype") == "protected" or element.get("translate") == "no":
        return Role.WORD
    return _ROLES.get(name, Role.ALONE)


def _collapses(element: Element) -> bool:
    for each in (element, *element.iterancestors()):
        if said := each.get(SPACE):
            return said != "preserve"
    return True


def _mate(element: Element) -> str:
    kind = "annotation" if local(element) in ("sm", "em") else "code"
    names = ("startRef", "rid", "id") if _role(element) is Role.CLOSES else ("rid", "id")
    return f"{kind} {next((found for name in names if (found := element.get(name))), '')}"
