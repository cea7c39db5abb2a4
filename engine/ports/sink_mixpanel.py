"""`mixpanel`: records as Mixpanel's events. Must not know what an event says."""

from __future__ import annotations

from base64 import b64encode

import msgspec

from engine.catalogue import Example, Scope
from engine.options import Advice, Leaf, option
from engine.ports.mixpanel_form import event_of
from engine.ports.sink_http import Poster, check_address, http_url, shown_url
from engine.ports.sinks import Sink
from engine.ports.spans import fitting
from engine.source import Node

_MOST_BYTES = 1_900_000  # of records in one post; Mixpanel takes 2,000 events and, in its older words, 2 MB


_NUMBER = Leaf(  # one that comes from the environment is a text
    {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+$"}], "examples": [1234]},
    Advice("it stands in the settings of the project"),
)


class Mixpanel(Sink, name="mixpanel"):
    """Send each record to Mixpanel's import API as an event `LLM Response`.

    The property `llm_response` is the answer where `log_to` asked for content, else its id, model, finish reasons and
    usage. The event's user is the record's, else the name of its key.
    """

    gather = 0.5

    token: str | None = option("Token of the project, best as `os.environ/NAME`.", None, minLength=1)
    project_id: int | str | None = option("Number of the project, with a service account.", None, reads=_NUMBER)
    username: str | None = option("Name of a service account.", None, minLength=1)
    secret: str | None = option("Secret of the service account, best as `os.environ/NAME`.", None, minLength=1)
    host: str = http_url(
        "Address of the API; for data that stays in Europe or India `https://api-eu.mixpanel.com` or `https://api-in.…`.",
        "https://api.mixpanel.com",
    )

    examples = [
        Example("with the token of a project", "events: {mixpanel: {token: os.environ/MIXPANEL_TOKEN}}"),
        Example(
            "with a service account, in Europe",
            "events: {mixpanel: {host: 'https://api-eu.mixpanel.com', project_id: 1234, username: gateway, "
            "secret: os.environ/MIXPANEL_SECRET}}",
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        before = len(scope.problems)
        account = {"project_id": self.project_id, "username": self.username, "secret": self.secret}
        missing = [name for name, value in account.items() if value is None]
        opening = node.span.at(node.span.start, min(node.span.start + 1, node.span.end))
        if self.token is not None and len(missing) < len(account):
            given = next(name for name in account if name not in missing)
            scope.problem(
                "one-of",
                "`token` and a service account are two ways to sign in",
                places[given].span,
                help="keep `token`, or `project_id`, `username` and `secret`",
            )
        elif self.token is None and missing:
            wanted = "token" if len(missing) == len(account) else missing[0]
            scope.problem(
                "missing-key",
                f"`mixpanel` needs `{wanted}`",
                opening,
                help="write `token: os.environ/…`, or all of `project_id`, `username` and `secret`",
            )
        if "host" in places:
            check_address(self.host, places["host"], scope)
        if len(scope.problems) > before:
            return
        user = f"{self.token}:" if self.token is not None else f"{self.username}:{self.secret}"
        project = "" if self.project_id is None else f"&project_id={self.project_id}"
        headers = {
            "authorization": f"Basic {b64encode(user.encode()).decode()}",
            "content-type": "application/json",
            "accept": "application/json",
        }
        self.label = f"mixpanel {shown_url(self.host)}"
        self._poster = Poster(f"{self.host.rstrip('/')}/import?strict=1{project}", headers)
        super().check(places, node, scope)

    def write(self, lines: list[bytes]) -> int:
        """One post. Events that Mixpanel rejects are found by trying halves; the others keep the same `$insert_id`."""
        count = fitting(lines, _MOST_BYTES)
        events = [msgspec.json.encode(event_of(line, msgspec.json.decode(line))) for line in lines[:count]]
        self._poster.post(b"[" + b",".join(events) + b"]")
        return count

    def disconnect(self) -> None:
        self._poster.close()
