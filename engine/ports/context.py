"""What a callback in Python sees and may do: a view of the exchange under the names of the language.

Must not know how callbacks are found.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from engine.document.answers import Answer, Assistant, Refusal
from engine.document.exchange import Exchange
from engine.document.paths import same
from engine.document.roots import ROOTS
from engine.phases import ATTEMPT, FAILURE, MODERATION, REQUEST, RESPONSE, STREAM, Phase

REFUSING = frozenset({REQUEST, ATTEMPT, MODERATION, RESPONSE, STREAM, FAILURE})
CHANGING = frozenset({"request", "response"})


class Context:
    """The roots of the document as attributes, and what a callback may do.

    `request` and `response` are copies that may be changed in place or assigned; what was changed counts once the
    method returns. Every other attribute is for reading.
    """

    def __init__(self, exchange: Exchange, phase: Phase) -> None:
        self._exchange = exchange
        self._phase = phase
        self._copies: dict[str, Any] = {}
        self._answer: Answer | None = None
        self._noted = False
        self._ended = False

    @property
    def request(self) -> Any:
        """The body of the request, to be changed in place."""
        return self._copy("request")

    @request.setter
    def request(self, body: Any) -> None:
        self._copies["request"] = body

    @property
    def response(self) -> Any:
        """`status`, `headers` and `body` of the answer, to be changed in place; None before there is one."""
        return self._copy("response")

    @response.setter
    def response(self, response: Any) -> None:
        self._copies["response"] = response

    @property
    def text(self) -> str:
        """In phase `stream`: the text at hand so far: of the answer, of a tool's arguments, or of reasoning."""
        said = self._exchange.streamed
        return "" if said is None else said.completion or said.tool or said.reasoning

    def reject(self, message: str, status: int = 400, type: str | None = None, code: str | None = None) -> None:
        """Refuse the exchange with an error in the client's shape; the first refusal of a method counts."""
        if not 400 <= status <= 599:
            raise ValueError(f"the status of a refusal is between 400 and 599, not {status!r}")
        self._decide(Refusal(status, str(message), type=type, code=code or "rule_rejected", source="rule"))

    def reject_with_message(self, text: str) -> None:
        """Answer with a text as if the assistant had said it; 400 where the endpoint has no assistant."""
        if self._exchange.dialect.has_assistant:
            self._decide(Assistant(str(text)))
        else:
            self._decide(Refusal(400, str(text), code="rule_rejected", source="rule"))

    def set_var(self, name: str, value: Any) -> None:
        """Keep a JSON value for later rules, as `vars.name`."""
        self._check()
        self._exchange.vars[str(name)] = copied(value, f"vars.{name}")
        self._noted = True

    def tag(self, *names: str) -> None:
        """Label the exchange."""
        self._check()
        for name in names:
            if name not in self._exchange.tags:
                self._exchange.tags.append(str(name))
                self._noted = True

    def settle(self) -> bool:
        """Put changed copies into the exchange; True when anything was changed or noted."""
        self._check()
        changed = self._noted
        for name, value in self._copies.items():
            if not same(value, getattr(self._exchange, name)):
                if not isinstance(value, dict):
                    raise TypeError(f"`context.{name}` must stay an object, found {kind(value)}")
                setattr(self._exchange, name, copied(value, name))
                changed = True
        return changed

    def answer(self) -> Answer | None:
        """What the method decided."""
        return self._answer

    def end(self) -> None:
        """From now on nothing changes any more: the exchange has gone on, without a method that took too long."""
        self._ended = True

    def _check(self) -> None:
        if self._ended:
            raise RuntimeError("the exchange went on without this callback: it took too long, or kept its context")

    def _copy(self, name: str) -> Any:
        if name not in self._copies:
            self._copies[name] = copied(getattr(self._exchange, name), name)
        return self._copies[name]

    def _decide(self, answer: Answer) -> None:
        if self._phase not in REFUSING:
            raise RuntimeError(f"nothing can be refused in phase {self._phase}: the client has its answer")
        self._answer = self._answer or answer


def _root(name: str) -> property:
    read = attrgetter(name)

    def current(self: Context) -> Any:
        self.settle()  # the texts follow what was changed in place so far
        return copied(read(self._exchange), name)

    def refused(self: Context, value: Any) -> None:
        raise AttributeError(f"`context.{name}` is for reading; `request` and `response` may be changed")

    return property(current, refused, doc=ROOTS[name].doc)


for _name in ROOTS.keys() - CHANGING:
    setattr(Context, _name, _root(_name))


def copied(value: Any, place: str) -> Any:
    """A copy of a JSON value; TypeError naming the place of what is no JSON."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"`{place}` has a key that is no text: {name!r}")
        return {name: copied(item, f"{place}.{name}") for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(item, f"{place}[{at}]") for at, item in enumerate(value)]
    raise TypeError(f"`{place}` is {kind(value)}, which is no JSON value")


def kind(value: Any) -> str:
    """How a message names a Python value's type."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
