"""What sinks that make spans of records have in common: they post batches of them to an OTLP endpoint.

Must not know what a span says.
"""

from __future__ import annotations

import json
import logging
import sys
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from engine.catalogue import Scope
from engine.ports.otlp_form import Span, encoded
from engine.ports.sink_http import Poster, shown_url
from engine.ports.sinks import Sink
from engine.source import Node

log = logging.getLogger("pointsman.sinks")

TRACES = "/v1/traces"
_MOST_BYTES = 4_000_000  # of records in one post: collectors take a few megabytes
_JSON = {"content-type": "application/json"}


class SpanSink(Sink):
    """A sink for spans. Subclasses say where they go and what is told beside what every span tells."""

    traces: ClassVar[bool] = True
    gather = 0.5

    def connect(self, url: str, headers: Mapping[str, str], resource: Mapping[str, Any]) -> None:
        """Where spans go, and what is said of all of them; called by `check` before its `super().check`."""
        self.label = f"{self.name} {shown_url(url)}"
        self._poster = Poster(url, {**_JSON, **headers})
        self._resource = {"service.version": version(), **resource}
        self._said: tuple[bool, str] = False, ""

    @abstractmethod
    def span(self, record: dict[str, Any]) -> Span:
        """The span that a record is."""

    def write(self, lines: list[bytes]) -> int:
        count = fitting(lines, _MOST_BYTES)
        spans = [self.span(msgspec.json.decode(line)) for line in lines[:count]]
        self._judge(self._poster.post(encoded(spans, self._resource, version())))
        return count

    def disconnect(self) -> None:
        self._poster.close()

    def _judge(self, answer: bytes) -> None:
        """Spans of a batch that was taken may have been rejected: by OTLP's rules they are not sent again."""
        try:
            told = json.loads(answer or b"{}")["partialSuccess"]
            rejected, why = int(told.get("rejectedSpans", 0)), str(told.get("errorMessage", ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return  # an answer in another form says nothing but that the batch was taken
        self.note_rejected(rejected)
        if (told := (rejected > 0, why)) not in (self._said, (False, "")):
            log.warning(
                "sink %s: %d spans of a batch were rejected: %s", self.label, rejected, why[:200] or "no reason"
            )
            self._said = told


def fitting(lines: list[bytes], most: int) -> int:
    """How many of the first lines have at most `most` bytes together; one at least."""
    count, size = 1, len(lines[0])
    while count < len(lines) and size + len(lines[count]) <= most:
        size += len(lines[count])
        count += 1
    return count


def version() -> str:
    """The version of pointsman, which stands in the package itself; modules import only what is below them."""
    return str(vars(sys.modules["engine"])["__version__"])


def check_address_of(variable: str, url: str, node: Node, scope: Scope) -> None:
    """A problem where an address that is not written, but in the environment, cannot be posted to."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        scope.problem(
            "wrong-type",
            f"the variable `{variable}` holds no address that can be posted to",
            node.span,
            help="write it like `https://example.com`",
        )
