"""W3C trace context: the trace that a client's request belongs to, and the span that this exchange is in it.

Must not know who is told of spans.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_RECORDED = "01"  # the flag of a trace that somebody records


class Trace(NamedTuple):
    """A span: its trace, its own id, the client's span that it is a part of, and since when it is one."""

    trace_id: str
    span_id: str
    parent_id: str | None
    flags: str
    began: float  # seconds since 1970

    @property
    def traceparent(self) -> str:
        """The header that makes whoever is asked next a part of this span."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def trace_of(traceparent: str | None, began: float = 0.0) -> Trace:
    """A new span in the trace of a `traceparent` header; in a trace of its own where that is missing or malformed."""
    found = _TRACEPARENT.match(traceparent) if traceparent is not None else None
    if found is None or (found[1] == "00" and found[5]):
        fresh = os.urandom(24).hex()
        return Trace(fresh[:32], fresh[32:], None, _RECORDED, began)
    return Trace(found[2], os.urandom(8).hex(), found[3], found[4], began)
