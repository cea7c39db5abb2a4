"""One client request with all that follows from it: the document that conditions see.

The attributes that authors can name are exactly the roots of the language; lazy ones are made when first asked for
and kept as long as the body they were made from. Bodies are values: writers replace, nobody mutates. Must not know
rules, sockets or YAML.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from engine.document.answers import Refusal
from engine.document.dialect import Said, Texts
from engine.document.headers import CREDENTIALS, by_name, joined
from engine.document.moments import WEEKDAYS, written_time
from engine.document.state import FIELDS, NO_TEXTS, NOTHING_SAID, State
from engine.document.trace import Trace, trace_of
from engine.document.usage import Cost, Pricing

_FREE = Cost(0.0, 0.0, 0.0)


class Exchange(State):
    """The state of one exchange, and what conditions see of it."""

    __slots__ = ()

    def heard(self) -> None:
        """Note that the upstream asked last has answered, or failed to."""
        self.arrived = self.clock.monotonic()
        self.waited += self.arrived - (self.called or self.arrived)

    def fork(self) -> Exchange:
        """A copy on which one moderation rule works: it sees what was, and writes for itself."""
        other = Exchange(self.program, self.clock)
        for name in FIELDS:
            setattr(other, name, getattr(self, name))
        other.kept = None
        other.tags, other.vars = list(self.tags), dict(self.vars)
        other.matched, other.outcomes = list(self.matched), []
        other.to_upstream, other.to_client = dict(self.to_upstream), dict(self.to_client)
        return other

    # --- roots made on demand -------------------------------------------------------------------------------------

    @property
    def given(self) -> dict[str, str]:
        """Client headers, credentials included; no root of the document."""
        if self._given is None:
            self._given = by_name(self.raw_headers)
        return self._given

    @property
    def headers(self) -> dict[str, str]:
        """Client headers, lower case, one string each, without credentials."""
        if self._headers is None:
            self._headers = {name: value for name, value in self.given.items() if name not in CREDENTIALS}
        return self._headers

    @property
    def query(self) -> dict[str, str]:
        if self._query is None:
            self._query = joined(parse_qsl(self.query_string, keep_blank_values=True), leave_out=frozenset())
        return self._query

    @property
    def client(self) -> dict[str, Any]:
        return {"ip": self.peer, "user_agent": self.headers.get("user-agent")}

    @property
    def stream(self) -> bool:
        body = self.request
        return body is not None and body.get("stream") is True

    @property
    def metadata(self) -> Any:
        body = self.request
        return body.get("metadata") if body is not None else None

    @property
    def texts(self) -> Texts:
        body = self.request
        if body is None:
            return NO_TEXTS
        if self._texts_of is not body:
            self._texts = self.dialect.texts(body)
            self._texts_of = body
        return self._texts

    @property
    def prompt_text(self) -> str:
        return self.texts.prompt

    @property
    def system_text(self) -> str:
        return self.texts.system

    @property
    def user_text(self) -> str:
        return self.texts.user

    @property
    def last_user_text(self) -> str:
        return self.texts.last_user

    @property
    def opaque(self) -> list[str]:
        return self.dialect.opaque(self.request) if self.request is not None else []

    @property
    def said(self) -> Said:
        if self.streamed is not None:
            return self.streamed
        body = self.response["body"] if self.response is not None else None
        if not isinstance(body, dict):
            return NOTHING_SAID
        if self._said_of is not body:
            self._said = self.dialect.said(body)
            self._said_of = body
        return self._said

    @property
    def completion_text(self) -> str:
        return self.said.completion

    @property
    def tool_text(self) -> str:
        return self.said.tool

    @property
    def reasoning_text(self) -> str:
        return self.said.reasoning

    @property
    def usage(self) -> dict[str, Any] | None:
        """What the upstream told, whatever rules made of its answer; of an answer of ours what stands in it."""
        body: Any = self.told
        if body is None:
            body = self.answered
            if not isinstance(body, dict):
                body = self.response["body"] if self.response is not None else None
                if not isinstance(body, dict):
                    return None
        if self._usage_of is not body:
            self._usage = self.dialect.usage(body)
            self._usage_of = body
        return self._usage

    @property
    def _is_billed(self) -> bool:
        """Whether somebody but us has answered."""
        return self.answered is not None or self.told is not None or self.answer is None

    @property
    def priced(self) -> Cost | None:
        """What the answer cost, in parts; None when that is not known."""
        if self.cache_hit:
            return _FREE
        usage = self.usage
        if usage is None or not self._is_billed:
            return None
        prices: Pricing = self.program.prices
        return prices.cost(self, usage)

    @property
    def cost(self) -> float | None:
        """US dollars."""
        if self.cache_hit:
            return 0.0
        usage = self.usage
        if usage is None or not self._is_billed:
            return None
        prices: Pricing = self.program.prices
        return prices.total(self, usage)

    @property
    def time(self) -> dict[str, Any]:
        now = self.clock.now()
        return {"now": written_time(now), "hour": now.hour, "weekday": WEEKDAYS[now.weekday()]}

    @property
    def trace(self) -> Trace:
        """The span that this exchange is, in the client's trace or in one of its own; no root of the document."""
        if self._trace is None:
            began = self.clock.now().timestamp() - (self.clock.monotonic() - self.began)
            self._trace = trace_of(self.headers.get("traceparent"), began)
        return self._trace

    # --- what the exchange does with an answer ----------------------------------------------------------------------

    def restored(self, body: Any) -> Any:
        """An answer's body with the values in place of their marks: the last step before the client."""
        if self.marks is None or not isinstance(body, dict):
            return body
        return self.dialect.change_answer(body, self.marks.restore)

    def refused(self, refusal: Refusal) -> Refusal:
        """Note a refusal as the error of this exchange and give it back."""
        self.error = refusal.as_error()
        return refusal
