"""A record as a row of a table in PostgreSQL, and that table. Must not know how rows get there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from engine.ports.record_key import key_of

COLUMNS = {
    "uid": "uuid PRIMARY KEY",
    "time": "timestamptz NOT NULL",
    "id": "text NOT NULL",
    "trace_id": "text",
    "call_type": "text",
    "key": "text",
    "team": "text",
    "user_name": "text",
    "model_requested": "text",
    "model": "text",
    "upstream": "text",
    "status": "integer",
    "error_type": "text",
    "error_code": "text",
    "matched": "text[] NOT NULL",
    "decided_by": "text",
    "tags": "text[] NOT NULL",
    "prompt_tokens": "bigint",
    "completion_tokens": "bigint",
    "total_tokens": "bigint",
    "cost": "double precision",
    "cache_hit": "boolean",
    "total_ms": "double precision",
    "record": "jsonb NOT NULL",
}
Row = tuple[Any, ...]


def quoted(table: str) -> str:
    """The name of a table, with or without a schema before it, as SQL has it."""
    return ".".join(f'"{part}"' for part in table.split("."))


def creation(table: str) -> str:
    """Makes the table, with an index for what is asked most."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    index = f"{table.rpartition('.')[2][:50]}_time"
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({columns});"
        f'CREATE INDEX IF NOT EXISTS "{index}" ON {quoted(table)} ("time")'
    )


def insertion(table: str) -> str:
    """Adds a row, unless it is there already: a batch comes again when its acknowledgement was lost."""
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    values = ", ".join(f"${number}" for number in range(1, len(COLUMNS) + 1))
    return f'INSERT INTO {quoted(table)} ({columns}) VALUES ({values}) ON CONFLICT ("uid") DO NOTHING'  # noqa: S608  a checked name, and names of our own


def row_of(line: bytes) -> Row:
    """The row of a record. NUL, which PostgreSQL keeps in no text, becomes U+FFFD."""
    key = key_of(line)
    record = msgspec.json.decode(line)
    if b"\\u0000" in line:
        record = _without_nul(record)
        line = msgspec.json.encode(record)
    usage, error = record.get("usage") or {}, record.get("error") or {}
    return (
        key,
        _moment(record),
        str(record["id"]),
        (record.get("trace") or {}).get("trace_id"),
        *(_text(record.get(name)) for name in ("call_type", "key", "team", "user")),
        *(_text(record.get(name)) for name in ("model_requested", "model", "upstream")),
        _whole(record.get("status"), 31),
        _text(error.get("type")),
        _text(error.get("code")),
        [str(name) for name in record.get("matched") or ()],
        _text(record.get("decided_by")),
        [str(tag) for tag in record.get("tags") or ()],
        *(_whole(usage.get(name), 63) for name in ("prompt_tokens", "completion_tokens", "total_tokens")),
        _fraction(record.get("cost")),
        bool(record.get("cache_hit")),
        _fraction((record.get("timing") or {}).get("total_ms")),
        line.decode(),
    )


def _moment(record: dict[str, Any]) -> datetime:
    """When the exchange began, to the microsecond where the record has it."""
    began = (record.get("trace") or {}).get("began")
    return datetime.fromisoformat(record["time"]) if began is None else datetime.fromtimestamp(began, UTC)


def _text(value: Any) -> str | None:
    """A text; of what clients may send where a text belongs, its JSON."""
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def _whole(value: Any, bits: int) -> int | None:
    """A number that has room in a column; any number may come from an upstream."""
    return value if isinstance(value, int) and -(2**bits) <= value < 2**bits else None


def _fraction(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(item) for name, item in value.items()}
    return [_without_nul(item) for item in value] if isinstance(value, list) else value
