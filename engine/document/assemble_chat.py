"""The whole body of a stream of chat or text completion chunks. Must not know how chunks are written."""

from __future__ import annotations

from typing import Any

from engine.document.assemble import Assembly, Grown, index_of
from engine.document.dialect import Body
from engine.document.usage import usage_of

_GROWING = ("content", "refusal", "reasoning_content", "reasoning")
_APART = frozenset({"choices", "object", "usage"})


class ChatAssembly(Assembly):
    """Chunks of `chat.completion.chunk`, any number of choices.

    Complete at `[DONE]`, and also when every choice seen has a `finish_reason`: not all servers say `[DONE]`.
    """

    object = "chat.completion"

    def __init__(self) -> None:
        super().__init__()
        self._head: Body = {}
        self._usage: dict[str, Any] | None = None
        self._choices: dict[int, Choice] = {}

    def take(self, body: Body) -> None:
        """Take one chunk."""
        for name, value in body.items():
            if name not in _APART and self._head.get(name) is None:
                self._head[name] = value
        self._last = body
        usage = body.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        choices = body.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._take_choice(choice)

    def _take_choice(self, told: dict[str, Any]) -> None:
        index = index_of(told)
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice(index)
        choice.take(told)
        if choice.finish is not None:
            self.complete = self.complete or all(each.finish is not None for each in self._choices.values())

    @property
    def body(self) -> Body | None:
        """The whole completion so far; None before the first chunk."""
        if self._last is None:
            return None
        made = {**self._head, "object": self.object}
        made["choices"] = [self._whole(self._choices[index]) for index in sorted(self._choices)]
        if self._usage is not None:
            made["usage"] = self._usage
        whole: Body = self.mended(made)
        return whole

    @property
    def usage(self) -> dict[str, Any] | None:
        """Tokens in common words, once the stream told them."""
        return usage_of(self._usage)

    def _whole(self, choice: Choice) -> dict[str, Any]:
        return choice.as_message()


class TextAssembly(ChatAssembly):
    """Chunks of `text_completion`."""

    object = "text_completion"

    def _whole(self, choice: Choice) -> dict[str, Any]:
        return choice.as_text()


class Choice:
    """One choice as it grows."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.finish: Any = None
        self._texts = Grown()
        self._message: dict[str, Any] = {}
        self._calls: dict[int, Call] = {}
        self._function: Call | None = None
        self._audio: dict[str, Any] = {}
        self._logprobs: dict[str, Any] | None = None
        self._beside: dict[str, Any] = {}

    def take(self, told: dict[str, Any]) -> None:
        """Take a choice of one chunk."""
        for name, value in told.items():
            if name == "text" and isinstance(value, str):
                self._texts.add("text", value)
            elif name == "logprobs":
                self._logprobs = _longer(self._logprobs, value)
            elif name not in ("delta", "index", "finish_reason") and value is not None:
                self._beside[name] = value
        if told.get("finish_reason") is not None:
            self.finish = told["finish_reason"]
        delta = told.get("delta")
        for name, value in delta.items() if isinstance(delta, dict) else ():
            self._take_delta(name, value)

    def _take_delta(self, name: str, value: Any) -> None:
        if name in _GROWING and isinstance(value, str):
            self._texts.add(name, value)
        elif name == "tool_calls" and isinstance(value, list):
            for told in value:
                if isinstance(told, dict):
                    self._calls.setdefault(index_of(told), Call()).take(told)
        elif name == "function_call" and isinstance(value, dict):
            self._function = self._function or Call()
            self._function.take({"function": value})
        elif name == "audio" and isinstance(value, dict):
            self._take_audio(value)
        elif isinstance(value, list) and isinstance(self._message.get(name), list):
            self._message[name] = self._message[name] + value
        elif value is not None and not (name == "role" and name in self._message):
            self._message[name] = value

    def _take_audio(self, told: dict[str, Any]) -> None:
        for name, value in told.items():
            old = self._audio.get(name)
            grows = name in ("data", "transcript") and isinstance(value, str) and isinstance(old, str)
            self._audio[name] = old + value if grows else value

    def as_message(self) -> dict[str, Any]:
        """The choice of a whole chat completion."""
        message: dict[str, Any] = {"role": "assistant", "content": None, **self._message}
        grown = self._texts.all()
        grown.pop("text", None)
        message.update((name, value) for name, value in grown.items() if value or name == "content")
        if self._calls:
            message["tool_calls"] = [self._calls[index].whole() for index in sorted(self._calls)]
        if self._function is not None:
            message["function_call"] = self._function.whole().get("function", {})
        if self._audio:
            message["audio"] = self._audio
        if message["content"] == "" and any(message.get(name) for name in ("tool_calls", "function_call", "refusal")):
            message["content"] = None  # chunks begin with an empty text where a whole answer has null
        return self._with_rest({"index": self.index, "message": message})

    def as_text(self) -> dict[str, Any]:
        """The choice of a whole text completion."""
        return self._with_rest({"index": self.index, "text": self._texts.text("text")})

    def _with_rest(self, made: dict[str, Any]) -> dict[str, Any]:
        return {**self._beside, **made, "logprobs": self._logprobs, "finish_reason": self.finish}


class Call:
    """One tool call as it grows: `function` with `arguments`, or `custom` with `input`."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._inner: dict[str, dict[str, Any]] = {}
        self._texts = Grown()

    def take(self, told: dict[str, Any]) -> None:
        """Take the delta of a call."""
        for name, value in told.items():
            if isinstance(value, dict) and name in ("function", "custom"):
                self._take_inner(name, value)
            elif name != "index" and value is not None:
                self._head[name] = value

    def _take_inner(self, kind: str, told: dict[str, Any]) -> None:
        inner = self._inner.setdefault(kind, {})
        for name, value in told.items():
            if name in ("arguments", "input") and isinstance(value, str):
                self._texts.add(name, value)
            elif value is not None:
                inner[name] = value

    def whole(self) -> dict[str, Any]:
        """The call of a whole answer."""
        made = dict(self._head)
        for kind, inner in self._inner.items():
            grows = "input" if kind == "custom" else "arguments"
            made[kind] = {**inner, grows: self._texts.text(grows)}
        return made


def _longer(old: dict[str, Any] | None, new: Any) -> dict[str, Any] | None:
    """Log probabilities of one more chunk: every list in them goes on."""
    if not isinstance(new, dict):
        return old
    made = dict(old or {})
    for name, value in new.items():
        before = made.get(name)
        made[name] = before + value if isinstance(before, list) and isinstance(value, list) else value or before
    return made
