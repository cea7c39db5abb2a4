"""What tells one record from all others, for places that must not keep one twice when it comes again.

A record's own `id` does not: clients may choose it. Must not know sinks.
"""

from __future__ import annotations

import hashlib
from uuid import UUID


def key_of(line: bytes) -> UUID:
    """The same for the same bytes: a record that comes again after an answer was lost is the same bytes.

    Two exchanges never make the same: where a client chose the id, the record's `trace` is not another's.
    """
    return UUID(bytes=hashlib.sha256(line).digest()[:16])
