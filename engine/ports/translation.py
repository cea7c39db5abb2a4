"""What a client says in one API, for an upstream that has only the other: the interface, and who keeps it.

Another package could take the place of the one behind it. Must not know HTTP, rules or transports.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

from engine.document.dialect import Body

API_OF_KIND = {"openai": "completion", "azure": "completion", "anthropic": "messages"}
"""The one API, by the call type of its clients, that a kind of upstream has where it is said to have only one."""


MISSHAPEN = (AttributeError, LookupError, TypeError, ValueError)
"""What reading a body raises that has not the shape of its API; translators read on without asking at every step."""


class Untranslatable(Exception):
    """Something that the other API has no words for, and that is not left away; `field` is its place in the body."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UpstreamTold(Exception):
    """An upstream told an error where an answer was to come."""

    def __init__(self, body: Body) -> None:
        super().__init__("the upstream told an error")
        self.body = body


class Events(Protocol):
    """One stream on its way; UpstreamTold for an error in it, Untranslatable for what cannot be said."""

    def take(self, data: str) -> bytes:
        """What the client gets for the data of one event of the upstream."""

    def finish(self) -> bytes:
        """What it still gets when the upstream's stream has ended; nothing where that was too early."""


class Translator(Protocol):
    """Between the clients of one API and the upstreams of another; keeps nothing of any exchange."""

    path: str  # of the upstream's API

    def request(self, body: Body) -> Body:
        """A client's request for the upstream; Untranslatable names what has no words there."""

    def answer(self, body: Body) -> Body:
        """A whole answer of the upstream for the client; UpstreamTold where it is an error."""

    def events(self, asked: Body) -> Events:
        """A stream of the upstream for the client, who sent `asked`."""


@cache
def translator(client: str | None, kind: str) -> Translator | None:
    """Who translates between clients of a call type and upstreams of a kind; None where nothing needs to be."""
    match client, API_OF_KIND.get(kind):
        case "completion", "messages":
            from engine.ports.translation_chat import ChatToMessages

            return ChatToMessages()
        case "messages", "completion":
            from engine.ports.translation_messages import MessagesToChat

            return MessagesToChat()
    return None


def refuse(what: str, field: str) -> None:
    """Say that a field cannot be translated."""
    raise Untranslatable(f"{what} has no words in the API of the upstream that this request is for", field)


def check_fields(body: Body, said: frozenset[str], place: str = "") -> Body:
    """The members of an object that say something; Untranslatable for one that is not known to be sayable."""
    spoken = {name: value for name, value in body.items() if value is not None}
    for name in spoken:
        if name not in said:
            refuse(f"`{place}{name}`", f"{place}{name}")
    return spoken


def listed(value: Any, place: str) -> list[Body]:
    """A list of objects; Untranslatable for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Untranslatable(f"`{place}` must be a list of objects", place)
    return value


def check_choice(given: Body, known: tuple[str, ...]) -> Body:
    """A request whose choice of tools is one that both APIs have; without it where there are no tools."""
    choice = given.get("tool_choice", "auto")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if kind not in known:
        refuse(f"`tool_choice` {kind!r}", "tool_choice")
    if given.get("tools"):
        return given
    if kind not in ("auto", "none"):
        raise Untranslatable("`tool_choice` without `tools`", "tool_choice")
    return {name: value for name, value in given.items() if name not in ("tool_choice", "parallel_tool_calls")}


def check_pairs(calls: list[str], results: list[str]) -> None:
    """Every tool call has its result and the reverse, or the translator would invent and leave away."""
    for names, others, lack in ((calls, results, "result"), (results, calls, "call")):
        missing = next((name for name in names if name not in others), None)
        if missing is not None:
            raise Untranslatable(f"`messages`: tool call `{missing}` has no {lack}", "messages")
    if len(set(calls)) < len(calls) or len(set(results)) < len(results):
        raise Untranslatable("`messages`: two tool calls, or results, have the same id", "messages")
