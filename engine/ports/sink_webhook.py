"""`webhook`: records posted as JSON. Must not know what a record holds."""

from __future__ import annotations

import hashlib

from engine.catalogue import Example, Scope
from engine.options import option
from engine.ports.sink_http import Poster, check_address, check_headers, http_url, shown_url
from engine.ports.sinks import Retry, Sink
from engine.source import Node


class Webhook(Sink, name="webhook"):
    """Post records to a URL: an array of them as JSON, or one object where `batch` is 1.

    An answer from 200 to 299 means that they are taken. After 429, 5xx, time-outs and lost connections they come again,
    no sooner than `retry-after` asks; so they do after 401, 403, 404 and redirects, which are about the address. Any
    other answer refuses them. The header `idempotency-key` is the same for the same records.
    """

    gather = 0.5

    url: str = http_url("Where to post, in full.", short=True)
    headers: dict[str, str] = option("Headers to send; credentials best as `os.environ/NAME`.", {})
    batch: int = option("Most records of one request.", 100, minimum=1, maximum=10_000)
    retry: Retry | None = option("When to give up; default never: records wait while the receiver is down.", None)

    examples = [
        Example("records posted in batches", "hook: {webhook: 'https://example.com/records'}"),
        Example(
            "one by one, with a credential, given up after some attempts",
            "hook: {webhook: {url: 'https://example.com/records', headers: {authorization: os.environ/HOOK_TOKEN}, "
            "batch: 1, retry: {times: 5, backoff: 500ms}}}",
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        check_address(self.url, places["url"], scope)
        check_headers(self.headers, places.get("headers"), scope)
        self.label = f"webhook {shown_url(self.url)}"
        self._poster = Poster(self.url, {"content-type": "application/json", **self.headers})
        super().check(places, node, scope)

    def write(self, lines: list[bytes]) -> int:
        content = lines[0] if self.batch == 1 else b"[" + b",".join(lines) + b"]"
        self._poster.post(content, {"idempotency-key": hashlib.sha256(content).hexdigest()[:32]})
        return len(lines)

    def disconnect(self) -> None:
        self._poster.close()
