"""PowerPoint's presentations (Office Open XML): the text of slides and of their notes."""

from __future__ import annotations

from nmt.documents.document import Document, Leaving
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.office import Parts, add_drawings, add_paragraphs


def read(given: Given) -> Document:
    """Take a presentation apart."""
    parts = Parts(given)
    flow, left = Flow(), Leaving()
    for tree in parts.trees("presentationml", ("slide", "notesSlide")):
        add_paragraphs(tree, flow)
    add_drawings(parts, flow, left)
    left.add("comments", "they are about the slides, not part of them", parts.count("presentationml", "comments"))
    parts.leave(left)
    return flow.document(parts.written, left.all())
