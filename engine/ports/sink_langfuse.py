"""`langfuse`: records as Langfuse's traces. Must not know how a record becomes one."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import Any

from engine.catalogue import Example, Scope
from engine.options import option
from engine.ports.langfuse_form import langfuse_span
from engine.ports.otlp_form import Span
from engine.ports.sink_http import check_address, http_url
from engine.ports.spans import TRACES, SpanSink, check_address_of
from engine.source import Node

_CLOUD = "https://cloud.langfuse.com"


class Langfuse(SpanSink, name="langfuse"):
    """Send each record to Langfuse as a trace with one generation: tokens, cost, session, tags, errors.

    Texts are in it where `log_to` asked for content. The client's `metadata.session_id` becomes the session. A client
    that sends a `traceparent` has its own trace continued.
    """

    host: str = http_url(
        "Address of Langfuse. Default: the variable `LANGFUSE_BASE_URL` or `LANGFUSE_HOST`, else its European cloud.",
        lambda scope: os.environ.get("LANGFUSE_BASE_URL") or os.environ.get("LANGFUSE_HOST") or _CLOUD,
    )
    public_key: str | None = option(
        "Public key of the project. Default: the variable `LANGFUSE_PUBLIC_KEY`.",
        lambda scope: os.environ.get("LANGFUSE_PUBLIC_KEY"),
    )
    secret_key: str | None = option(
        "Secret key of the project, best as `os.environ/NAME`. Default: the variable `LANGFUSE_SECRET_KEY`.",
        lambda scope: os.environ.get("LANGFUSE_SECRET_KEY"),
    )
    environment: str | None = option(
        "Environment that traces are filed under. Default: the variable `LANGFUSE_TRACING_ENVIRONMENT`.",
        lambda scope: os.environ.get("LANGFUSE_TRACING_ENVIRONMENT"),
        pattern="^(?!langfuse)[a-z0-9_-]{1,40}$",
    )

    examples = [
        Example(
            "keys from the usual variables",
            "traces: {langfuse: {public_key: os.environ/LANGFUSE_PUBLIC_KEY, "
            "secret_key: os.environ/LANGFUSE_SECRET_KEY}}",
        ),
        Example(
            "a Langfuse of one's own",
            "traces: {langfuse: {host: 'http://langfuse.internal:3000', public_key: pk-lf-1, "
            "secret_key: os.environ/LANGFUSE_SECRET_KEY, environment: staging}}",
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        before = len(scope.problems)
        for name, value in (("public_key", self.public_key), ("secret_key", self.secret_key)):
            if not value:
                scope.problem(
                    "missing-key",
                    f"`langfuse` needs `{name}`",
                    node.span.at(node.span.start, min(node.span.start + 1, node.span.end)),
                    help=f"set the variable `LANGFUSE_{name.upper()}`, or write `{name}: os.environ/…`",
                )
        if "host" in places:
            check_address(self.host, places["host"], scope)
        else:
            check_address_of("LANGFUSE_BASE_URL", self.host, node, scope)
        if len(scope.problems) > before:
            return
        credentials = b64encode(f"{self.public_key}:{self.secret_key}".encode()).decode()
        headers = {"authorization": f"Basic {credentials}", "x-langfuse-ingestion-version": "4"}
        self.connect(f"{self.host.rstrip('/')}/api/public/otel{TRACES}", headers, {"service.name": "pointsman"})
        super().check(places, node, scope)

    def span(self, record: dict[str, Any]) -> Span:
        return langfuse_span(record, self.environment)
