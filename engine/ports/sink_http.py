"""Posts a sink's batches over HTTP, and says of each answer whether it was taken, may come again, or is refused.

httpx is imported when the first batch is posted, in the sink's own thread. Must not know what is posted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping as MappingOf
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.catalogue import Scope
from engine.options import MISSING, Advice, option
from engine.ports.sinks import SinkDown, SinkRefused
from engine.source import Mapping, Node

if TYPE_CHECKING:
    import httpx

CONNECT, TOTAL = 5.0, 10.0  # seconds; nothing a sink does takes longer
_MOST_ANSWER = 1_048_576  # bytes of an answer that are read
_SHOWN = 200  # characters of an answer that a message shows
_URL = Advice("write it like `https://example.com/records`")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_HEADER_VALUE = re.compile(r"[\t -~]*\Z")

# About the sender or the address, not about the records: they wait until it is mended.
_NOT_NOW = frozenset({401, 403, 404, 407, 408, 425, 429})


def http_url(doc: str, default: Any = MISSING, **facts: Any) -> Any:
    """Declare the option of an address that is posted to."""
    return option(doc, default, pattern="^https?://[^ /]+[^ ]*$", advice=_URL, **facts)


def check_address(url: str, node: Node, scope: Scope) -> None:
    """A problem where nothing can ever be posted to an address."""
    try:
        if urlsplit(url).hostname and urlsplit(url).port != 0:
            return
    except ValueError:
        pass
    scope.problem("wrong-type", "this is no address that can be posted to", node.span, help=_URL.help)


def check_headers(headers: MappingOf[str, str], node: Node | None, scope: Scope) -> None:
    """Problems for headers that cannot be sent; never shows their values, which may be credentials."""
    for key, value in node if isinstance(node, Mapping) else ():
        name = str(key.value)
        if not _HEADER_NAME.match(name):
            help = "letters, digits and hyphens, as in `x-team`"
            scope.problem("bad-header", f"`{name}` is no name of a header", key.span, help)
        elif not _HEADER_VALUE.match(headers.get(name, "")):
            help = "plain characters on one line; encode others"
            scope.problem("bad-header", f"the value for header `{name}` cannot be sent", value.span, help)


def shown_url(url: str) -> str:
    """An address as messages may show it: without credentials and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Poster:
    """Posts to one address, over connections that are kept. Made anywhere, used in one thread."""

    def __init__(self, url: str, headers: MappingOf[str, str], total: float = TOTAL) -> None:
        self._url = url
        self._headers = {"user-agent": "pointsman", **headers}
        self._total = total
        self._client: httpx.Client | None = None

    def post(self, content: bytes, headers: MappingOf[str, str] | None = None) -> bytes:
        """The answer to a batch that was taken; SinkDown when it may come again, SinkRefused when never."""
        import httpx

        if self._client is None:
            self._client = httpx.Client(timeout=httpx.Timeout(self._total, connect=min(CONNECT, self._total)))
        try:
            with self._client.stream(
                "POST", self._url, content=content, headers={**self._headers, **(headers or {})}
            ) as answer:
                body = self._read(answer, time.monotonic() + self._total)
        except (httpx.HTTPError, httpx.InvalidURL) as wrong:
            raise SinkDown(f"{shown_url(self._url)}: {str(wrong) or type(wrong).__name__}") from wrong
        _judge(shown_url(self._url), answer, body)
        return body

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _read(self, answer: httpx.Response, until: float) -> bytes:
        """What was answered, as far as it is wanted: an answer that drips for ever holds up no sink."""
        body = b""
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > _MOST_ANSWER:
                break
            if time.monotonic() > until:
                raise SinkDown(f"{shown_url(self._url)}: its answer took more than {self._total:g} s")
        return body


def _judge(url: str, answer: httpx.Response, body: bytes) -> None:
    status = answer.status_code
    if 200 <= status < 300:
        return
    words = " ".join(body[: 4 * _SHOWN].decode("utf-8", "replace").split())[:_SHOWN]
    text = "".join(char if char.isprintable() else "\ufffd" for char in words)
    why = f"{url} answered {status}" + (f": {text}" if text else "")
    if status < 400 or status >= 500 or status in _NOT_NOW:
        raise SinkDown(why, retry_after(answer.headers.get("retry-after", "")))
    raise SinkRefused(why)


def retry_after(value: str) -> float:
    """The seconds that a `retry-after` header asks for; 0 when it says nothing that can be read."""
    if value.strip().isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
