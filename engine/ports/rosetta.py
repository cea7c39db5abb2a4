"""The translator `llm-rosetta`, and nothing else of ours: bodies and events from one API to the other as it gives them.

The only module that imports the package, when first used. What it loses, and what is done about that, stands beside
those who call this one. Must not know HTTP, rules, or what a client may ask.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from engine.document.dialect import Body
from engine.ports.translation import Untranslatable

CHAT, MESSAGES = "OpenAIChatConverter", "AnthropicConverter"


class Rosetta:
    """From the bodies of one API to those of another; `source` and `target` are CHAT and MESSAGES, or the reverse."""

    def __init__(self, source: str, target: str) -> None:
        package = import_module("llm_rosetta")  # an extra, and absent where nobody translates
        self._from = vars(package)[source]()
        self._to = vars(package)[target]()
        self._context = package.ConversionContext
        self._stream = package.StreamContext

    def request(self, body: Body) -> Body:
        """A request in the target's words."""
        context = self._context()
        try:
            said = self._from.request_from_provider(body, context=context)
            told, _ = self._to.request_to_provider(said, context=context)
        except Exception as wrong:  # it raises what comes, from KeyError to its own
            raise Untranslatable(f"the request cannot be translated: {wrong}") from wrong
        found: Body = told
        return found

    def answer(self, body: Body) -> Body:
        """A whole answer in the target's words."""
        context = self._context()
        try:
            said = self._from.response_from_provider(body, context=context)
            told: Body = self._to.response_to_provider(said, context=context)
        except Exception as wrong:
            raise Untranslatable(f"the answer cannot be translated: {wrong}") from wrong
        return told

    def stream(self) -> RosettaStream:
        """A stream of answers, event by event."""
        return RosettaStream(self._from, self._to, self._stream(), self._stream())


class RosettaStream:
    """One stream; it remembers what its events need of those before them."""

    def __init__(self, source: Any, target: Any, read: Any, written: Any) -> None:
        self._from, self._to, self._read, self._written = source, target, read, written

    def take(self, event: Body) -> list[Body]:
        """The target's events that an event of the source makes."""
        try:
            return [
                made
                for said in self._from.stream_response_from_provider(event, self._read)
                for made in self._made(said)
            ]
        except Exception as wrong:
            raise Untranslatable(f"an event cannot be translated: {wrong}") from wrong

    def end(self) -> list[Body]:
        """What the target's stream still lacks when the source's is over."""
        return [] if self._written.is_ended else self._made({"type": "stream_end"})

    def _made(self, said: Any) -> list[Body]:
        made = self._to.stream_response_to_provider(said, self._written)
        return [event for event in (made if isinstance(made, list) else [made]) if event]
