"""`/v1/completions`: one prompt or several, texts as choices. Must not know rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from engine.document.assemble_chat import TextAssembly
from engine.document.dialect import Assembler, Body, Piece, TextChange, Texts
from engine.document.dialect_chat import NO_TOKENS, without_logprobs
from engine.document.dialect_generic import Generic, joined, model_asked, with_field
from engine.document.parts import text_of
from engine.document.replay_chat import Chunks, replay
from engine.document.walks import arguments, fields, items, nothing, strings, text, text_or

if TYPE_CHECKING:
    from engine.document.exchange import Exchange

_PROMPT = text_or(items(text_or(nothing)))
_USER = fields({"prompt": _PROMPT, "suffix": text})
_REQUEST = fields({"prompt": _PROMPT, "suffix": text, "guided_json": arguments})
_CHOICES = fields({"choices": items(without_logprobs(fields({"text": text})))})


class TextCompletion(Generic):
    """There is one text and no roles: system text stands before the prompt, and all of it is the user's.

    A list of prompts is one request for each: what is written is written to each. Prompts of token ids stay.
    """

    has_assistant = True

    def __init__(self) -> None:
        super().__init__("text_completion", "/completions", reads=_REQUEST, says=_CHOICES)

    def texts(self, body: Body) -> Texts:
        user = "\n".join(strings(_USER, body))
        rest = strings(arguments, body["guided_json"]) if "guided_json" in body else []
        return Texts("\n".join([*([user] if user else []), *rest]), "", user, user)

    def change_prompt(self, body: Body, change: TextChange, where: str = "prompt_text") -> Body:
        if where in ("user_text", "last_user_text"):
            changed: Body = _USER(body, change)
            return changed
        return super().change_prompt(body, change, where)

    def prepend_system(self, body: Body, text: str) -> Body:
        return _each_prompt(body, lambda prompt: joined(text, prompt))

    def append_system(self, body: Body, text: str) -> Body:
        return self.prepend_system(body, text)

    def replace_system(self, body: Body, text: str) -> Body:
        return self.prepend_system(body, text)

    def add_message(self, body: Body, role: str, content: Any, at: int | None, **rest: Any) -> Body:
        said = text_of(content)
        return _each_prompt(body, lambda prompt: joined(prompt, said) if at is None or at > 0 else joined(said, prompt))

    def replace_messages(self, body: Body, messages: list[Any]) -> Body:
        said = [text_of(message.get("content")) for message in messages if isinstance(message, dict)]
        return with_field(body, "prompt", "\n\n".join(text for text in said if text))

    def assistant(self, exchange: Exchange, text: str, finish: str = "stop") -> Body:
        return {
            "id": f"cmpl-{exchange.id}",
            "object": "text_completion",
            "created": int(exchange.clock.now().timestamp()),
            "model": model_asked(exchange),
            "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}],
            "usage": dict(NO_TOKENS),
        }

    def assembler(self) -> Assembler:
        return TextAssembly()

    def replay(self, body: Body, *, include_usage: bool) -> Iterable[bytes]:
        return replay(body, include_usage=include_usage, text=True)

    def compose(
        self, pieces: Iterable[Piece], *, model: str, id: str, created: int, finish: str = "stop"
    ) -> Iterator[bytes]:
        head = {"id": id, "object": "text_completion", "created": created, "model": model}
        return Chunks(head, finish, text=True).of(pieces)


def _each_prompt(body: Body, change: Callable[[str], str]) -> Body:
    prompt = body.get("prompt")
    if prompt is None:
        return with_field(body, "prompt", change(""))
    if isinstance(prompt, str):
        return with_field(body, "prompt", change(prompt))
    if isinstance(prompt, list):
        return with_field(body, "prompt", [change(each) if isinstance(each, str) else each for each in prompt])
    return body
