"""Folding: text as a reader sees it, so that look-alikes of a word are found as that word.

Must not know who compares the folded texts.
"""

from __future__ import annotations

import re
from unicodedata import normalize

# Everything that takes no room when shown: controls but white space, soft hyphen, joiners, direction marks, variation
# selectors, tags, fillers. Ranges instead of a walk over all of Unicode, which costs 150 ms at start.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def fold(text: str) -> str:
    """NFKC, invisible characters removed, case folded; folding twice changes nothing more."""
    if text.isascii():
        return _INVISIBLE.sub("", text).lower()
    # Twice, as Unicode's own NFKC_Casefold: folding may make text that normalizes further, and the other way round.
    for _ in range(2):
        text = normalize("NFKC", _INVISIBLE.sub("", normalize("NFKD", text)).casefold())
    return text


def ignoring_case(text: str) -> str:
    """Text for a comparison in which case does not count."""
    return text.casefold()
