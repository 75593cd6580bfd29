"""Names of HTML: which elements are inline, which are not translated, which attributes are text."""

from __future__ import annotations

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


VOID: Final = _names(
    "area base basefont bgsound br col command embed frame hr img input keygen link meta param source track wbr"
)
"""Elements without an end tag."""

INLINE: Final = _names(
    """a abbr acronym b bdi bdo big blink cite data del dfn em font i img input ins label mark marquee meter nobr output
    progress q s small span strike strong sub time tt u wbr ruby rb rtc slot"""
)
"""Elements inside sentences; all others end them."""

WORDS: Final = _names("code kbd samp var math")
"""Elements inside sentences that are not translated: they stand for a word."""

PICTURES: Final = _names("script style svg rt rp noembed noframes iframe object canvas audio video map template sup")
"""Elements anywhere that are not translated, and stand for none; text goes on behind them."""

UNTOUCHED: Final = _names("pre textarea xmp plaintext listing")
"""Elements that end sentences and are not translated."""

_BLOCKS: Final = _names(
    """address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer form h1 h2 h3
    h4 h5 h6 header hgroup hr main menu nav ol p pre search section summary table ul"""
)
ENDED_BY: Final = {
    "p": _BLOCKS,
    "li": _names("li"),
    "dt": _names("dt dd"),
    "dd": _names("dt dd"),
    "td": _names("td th tr tbody thead tfoot"),
    "th": _names("td th tr tbody thead tfoot"),
    "tr": _names("tr tbody thead tfoot"),
    "thead": _names("tbody tfoot"),
    "tbody": _names("tbody tfoot"),
    "option": _names("option optgroup"),
    "optgroup": _names("optgroup"),
    "head": _names("body"),
}
"""Elements that end without an end tag, and what begins then."""
ENDERS: Final = frozenset().union(*ENDED_BY.values())

TEXT_ATTRIBUTES: Final = _names(
    "alt title placeholder aria-label aria-description aria-placeholder aria-roledescription"
)
"""Attributes that are text, of any element."""

LABELLED: Final = _names("option optgroup track")
"""Elements whose `label` is text."""

BUTTONS: Final = _names("button submit reset")
"""Types of `input` whose `value` is text."""

DESCRIPTIONS: Final = _names(
    "description og:title og:description og:image:alt twitter:title twitter:description twitter:image:alt"
)
"""Names of `meta` whose `content` is text."""
