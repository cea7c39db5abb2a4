"""A record as a line of JSON. Must not know what is in it or where it goes."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import msgspec

log = logging.getLogger("pointsman.sinks")

Record = dict[str, Any]
_HALF = re.compile(r"[\ud800-\udfff]")
_encode = msgspec.json.Encoder(enc_hook=str).encode


def line_of(record: Record) -> bytes | None:
    """The line, without its end; None, after saying so, when there is none."""
    try:
        try:
            return _encode(record)
        except UnicodeEncodeError:  # half a surrogate pair, which a callback may have brought in
            plain = msgspec.to_builtins(record, enc_hook=str)
            return _HALF.sub("\ufffd", json.dumps(plain, ensure_ascii=False)).encode()
    except Exception as error:  # noqa: BLE001  one record that is no JSON must not stop the others
        log.warning("record %s is no JSON: %s", record.get("id"), error)
        return None
