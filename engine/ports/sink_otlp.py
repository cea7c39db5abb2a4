"""`otlp`: records as spans for any OpenTelemetry backend. Must not know how a record becomes a span."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote

from engine.catalogue import Example, Scope
from engine.options import option
from engine.ports.otlp_form import Span, span_of
from engine.ports.sink_http import check_address, check_headers, http_url
from engine.ports.spans import TRACES, SpanSink, check_address_of
from engine.source import Node

_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
_ENDPOINT, _TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


def _from_environment(scope: Scope) -> dict[str, str]:
    """Headers as OpenTelemetry writes them into one variable: `name=value,name=value`, percent-encoded."""
    told = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or os.environ.get(_HEADERS) or ""
    pairs = [pair.partition("=") for pair in told.split(",") if "=" in pair]
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def _sendable(header: tuple[str, str]) -> bool:
    return all(text.isascii() and text.isprintable() for text in header) and " " not in header[0]


class Otlp(SpanSink, name="otlp"):
    """Send each record as a span to an OpenTelemetry collector or backend (OTLP over HTTP, as JSON).

    Spans follow the GenAI semantic conventions; what each rule did is an event of the span. Texts are in them where
    `log_to` asked for content. A client's `traceparent` is joined, and the upstream becomes a part of the span.
    """

    endpoint: str = http_url(
        "Address of the collector; `/v1/traces` is added where it is missing. Default: the variable "
        "`OTEL_EXPORTER_OTLP_ENDPOINT`, else `http://localhost:4318`.",
        lambda scope: os.environ.get(_ENDPOINT) or "http://localhost:4318",
        short=True,
    )
    headers: dict[str, str] = option(
        "Headers of every post, such as a credential. Default: the variable `OTEL_EXPORTER_OTLP_HEADERS`.",
        _from_environment,
    )
    service_name: str = option(
        "`service.name` of the spans. Default: the variable `OTEL_SERVICE_NAME`, else `pointsman`.",
        lambda scope: os.environ.get("OTEL_SERVICE_NAME") or "pointsman",
        minLength=1,
    )
    resource: dict[str, str] = option("More resource attributes, such as `deployment.environment.name`.", {})

    examples = [
        Example("a collector on this machine", "traces: otlp"),
        Example(
            "a backend with a credential",
            "traces: {otlp: {endpoint: 'https://otlp.example.com', headers: {x-api-key: os.environ/OTLP_KEY}, "
            "resource: {deployment.environment.name: production}}}",
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        before = len(scope.problems)
        url = self.endpoint.rstrip("/")
        url = url if url.endswith(TRACES) else url + TRACES
        if "endpoint" in places:
            check_address(url, places["endpoint"], scope)
        else:
            told = os.environ.get(_TRACES_ENDPOINT)
            url = told or url
            check_address_of(_TRACES_ENDPOINT if told else _ENDPOINT, url, node, scope)
        check_headers(self.headers, places.get("headers"), scope)
        if "headers" not in places and not all(map(_sendable, self.headers.items())):
            scope.problem(
                "bad-header",
                f"the variable `{_HEADERS}` holds a header that cannot be sent",
                node.span,
                help="write it like `name=value,name=value`, percent-encoded",
            )
        if len(scope.problems) == before:
            self.connect(url, self.headers, {"service.name": self.service_name, **self.resource})
            super().check(places, node, scope)

    def span(self, record: dict[str, Any]) -> Span:
        return span_of(record)
