"""What a dialect is: everything the gateway must know of an API's bodies, so that one rule holds in all of them.

Bodies are values: no method changes one in place; a changed body is a new one that shares what did not change. Every
method must take any JSON object without raising: a field of the wrong type contributes nothing. Must not know rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from engine.document.answers import Refusal

if TYPE_CHECKING:
    from engine.document.exchange import Exchange

Body = dict[str, Any]
TextChange = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Texts:
    """The text of a request whatever its dialect; parts joined with a newline.

    `prompt` is every string the model will read: all roles, tool-call arguments and results, tool names,
    descriptions and schemas. `system` includes `developer`; an unknown role counts as `user`.
    """

    prompt: str = ""
    system: str = ""
    user: str = ""
    last_user: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says: the assistant's text, its tool-call arguments, its reasoning; choices joined by newline."""

    completion: str = ""
    tool: str = ""
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: the text after `data:`, that after `event:`, and its bytes, comments and all."""

    data: str = ""
    name: str | None = None
    raw: bytes = b""


@dataclass(slots=True)
class Piece:
    """A piece of a streamed answer before it has a wire form: the `stream:` entries of a test, the demo's words."""

    text: str | None = None
    choice: int = 0
    tool: int | None = None
    name: str | None = None
    arguments: str | None = None
    reasoning: str | None = None
    usage: dict[str, Any] | None = None
    raw: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Assembler(Protocol):
    """Makes of the events of a stream the body that the same answer would have had whole."""

    def feed(self, event: Event) -> None:
        """Take one event; malformed ones are noted, never raised."""

    @property
    def body(self) -> Body | None:
        """The whole body so far; None before the first event."""

    @property
    def usage(self) -> dict[str, Any] | None:
        """`prompt_tokens completion_tokens total_tokens` as far as the stream told them."""

    @property
    def complete(self) -> bool:
        """True once the stream said that it ended (`[DONE]`, `message_stop`, `response.completed`)."""

    @property
    def error(self) -> dict[str, Any] | None:
        """The error object of an in-band error event."""


class Dialect(Protocol):
    """One API's bodies."""

    call_type: str
    upstream_path: str  # after the base URL, such as `/chat/completions`
    has_assistant: bool  # False: `reject_with_message` is a 400 here
    gives_bytes: bool  # an answer may be no JSON: sound, subtitles, plain text

    # the request
    def texts(self, body: Body) -> Texts: ...
    def opaque(self, body: Body) -> list[str]: ...
    def prepend_system(self, body: Body, text: str) -> Body: ...
    def append_system(self, body: Body, text: str) -> Body: ...
    def replace_system(self, body: Body, text: str) -> Body: ...
    def add_message(self, body: Body, role: str, content: Any, at: int | None, **rest: Any) -> Body:
        """`at` is an index into the messages; None is the end. `rest` are further members, such as `tool_calls`."""
        ...

    def replace_messages(self, body: Body, messages: list[Any]) -> Body: ...
    def change_prompt(self, body: Body, change: TextChange, where: str = "prompt_text") -> Body:
        """Every string of the text named by `where` (`prompt_text system_text user_text last_user_text`) changed."""
        ...

    # answers of our own
    def assistant(self, exchange: Exchange, text: str, finish: str = "stop") -> Body: ...
    def error(self, refusal: Refusal, request_id: str) -> Body: ...
    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """The error inside a started stream, as wire bytes."""
        ...

    # the answer
    def said(self, body: Body) -> Said: ...
    def usage(self, body: Body) -> dict[str, Any] | None:
        """Tokens in every dialect's common words, with `cached_tokens`/`reasoning_tokens` where told; else None."""
        ...

    def change_answer(self, body: Body, change: TextChange, where: str = "") -> Body:
        """Every string of `completion_text`, `tool_text` or `reasoning_text` changed; with no name, of all of them."""
        ...

    # streams
    def assembler(self) -> Assembler: ...
    def replay(self, body: Body, *, include_usage: bool) -> Iterable[bytes]:
        """A whole body as the complete event sequence of a stream, as wire bytes (one item an event)."""
        ...

    def compose(
        self, pieces: Iterable[Piece], *, model: str, id: str, created: int, finish: str = "stop"
    ) -> Iterable[bytes]:
        """Pieces put into the wire form of a stream with a proper start and end, one item an event."""
        ...
