"""The fields that bodies are known to have, for the static checks. Must not know expressions or rules."""

from __future__ import annotations

from typing import Any, Literal

Side = Literal["request", "response"]


def members(call_types: frozenset[str], side: Side) -> Any:
    """The shape of a body that any of these call types may have, in the words of `Root.shape`; None: open.

    A mapping has the members that are known (`*`: any other name), a one-element list the shape of its elements, a
    tuple the shapes that a value may have. A field that no call type of the rule has is a likely mistake, no certain
    one: APIs grow.
    """
    return None
