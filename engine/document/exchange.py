"""One client request with all that follows from it: the document that conditions see.

The attributes that authors can name are exactly the roots of the language; lazy ones are made when first asked for
and kept as long as the body they were made from. Bodies are values: writers replace, nobody mutates. Must not know
rules, sockets or YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

from engine.document.answers import Answer, Refusal
from engine.document.dialect import Body, Dialect, Said, Texts
from engine.document.headers import CREDENTIALS, by_name, joined
from engine.document.marks import Marks
from engine.document.moments import WEEKDAYS, Clock, written_time
from engine.document.trace import Trace, trace_of
from engine.document.uploads import Upload
from engine.document.usage import Cost, Pricing

_NO_TEXTS = Texts()
_NOTHING_SAID = Said()
_FREE = Cost(0.0, 0.0, 0.0)


class Exchange(msgspec.Struct, eq=False, weakref=True):
    """The state of one exchange. A struct, whose many fields are set at once and found without a dictionary."""

    program: Any  # pinned: one exchange runs on one version of the rules
    clock: Clock

    # who asks, and what for
    id: str = ""
    method: str = "POST"
    path: str = "/"
    query_string: str = ""
    raw_headers: Sequence[tuple[str, str]] = ()  # names in lower case
    peer: str | None = None
    call_type: str | None = None
    dialect: Dialect = cast("Dialect", None)  # as soon as anybody looks at it there is one
    key: dict[str, Any] | None = None
    ways: Any = None  # to addresses that rules ask: the `Ways` of engine/ports/wire.py
    prompts: Any = None  # what was fetched from prompt sources: the `PromptCache` of engine/ports/prompt_cache.py

    passed_by: str | None = None  # the glob of `server.passthrough` that a path fell under

    # bodies
    original: Body | None = None
    request: Body | None = None
    uploads: Sequence[Upload] | None = None  # the files of a multipart request; None: it was JSON
    response: dict[str, Any] | None = None  # {status, headers, body}
    answered: Any = None  # the body of the upstream's answer as it came, whatever rules made of it
    streamed: Said | None = None  # what a stream has said so far, in the stream phase
    rates: Any = None  # what `Prices` found for an answer: that answer, its upstream, the rates
    told: Body | None = None  # of a stream: `usage`, `model`, `service_tier` as a whole answer has them, once they came

    # the body that went upstream last: what records show, and the `holds` of a test; seen by no rule
    sent: Any = None

    # what rules and the gateway noted
    model_requested: str | None = None
    upstream: dict[str, Any] | None = None  # {name, model, attempt}
    error: dict[str, Any] | None = None
    cache_hit: bool = False
    timing: dict[str, Any] | None = None
    answer: Answer | None = None
    cut_by: str | None = None  # the rule that ended a stream
    status: int | None = None
    left: bool = False  # the client went away
    attempts: int = 0
    asked_phases: int = 0  # those whose rules were asked, as bits: `1 << phase.order`
    log_requests: list[Any] | None = None  # (sink, content) of the records wanted at the end
    checkpoints: list[Any] | None = None  # (sink, content) of the records wanted as things stand now
    prompt: dict[str, Any] | None = None  # {source, id, version} of the stored prompt that a rule put in last
    route: Any = None  # the `Route` of engine/document/route.py that rules declared
    limits: list[Any] | None = None  # the `Limit`s of engine/ports/limits.py that rules declared
    taken: Sequence[Any] = ()  # what was `Taken` of them
    counts_usage: bool = False  # a limit is settled by the tokens or the cost of the answer, or the answer is kept
    limit_headers: Sequence[tuple[str, str]] = ()  # how it stands with the limits, for the client
    caching: Any = None  # the `Caching` of engine/ports/caching.py that a rule declared
    cache_headers: Sequence[tuple[str, str]] = ()  # whether the cache had the answer, for the client
    when_called: Sequence[Callable[[], None]] | None = None  # what waits until an upstream is really asked
    keeping: Any = None  # the task that puts the answer into the cache
    marks: Marks | None = None  # what `redact` with `restore` took out, to be put back
    first_byte: float | None = None  # monotonic, of a stream
    called: float | None = None  # monotonic, when an upstream was asked last
    arrived: float | None = None  # monotonic, when that answer was complete; None while it is awaited
    waited: float = 0.0  # seconds, for the answers of all attempts that are over
    mid_event: bool = False  # a stream stands within an event
    _trace: Trace | None = None
    _given: dict[str, str] | None = None
    _headers: dict[str, str] | None = None
    _query: dict[str, str] | None = None
    asked_usage: bool = False  # a stream's usage was asked for by us, and is taken out again
    pending_stream: list[bytes] | None = None  # chunks that passed, assembled only if the log phase wants them
    unkept: float | None = None  # a stream was too large: so many times what `pending_stream` has of it

    began: float = 0.0  # monotonic
    tags: list[str] = []
    vars: dict[str, Any] = {}
    matched: list[str] = []
    outcomes: list[tuple[str, str, str, str, int]] = []  # rule, phase, result, why, nanoseconds
    to_upstream: dict[str, str | None] = {}  # header edits by rules; None removes
    to_client: dict[str, str | None] = {}

    # what was made of a body, and the body it was made of
    _texts: Texts = _NO_TEXTS
    _texts_of: Any = None
    _said: Said = _NOTHING_SAID
    _said_of: Any = None
    _usage: dict[str, Any] | None = None
    _usage_of: Any = None

    def __post_init__(self) -> None:
        self.began = self.clock.monotonic()

    def heard(self) -> None:
        """Note that the upstream asked last has answered, or failed to."""
        self.arrived = self.clock.monotonic()
        self.waited += self.arrived - (self.called or self.arrived)

    def fork(self) -> Exchange:
        """A copy on which one moderation rule works: it sees what was, and writes for itself."""
        other = copy(self)
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
            return _NO_TEXTS
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
            return _NOTHING_SAID
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
        body = self.told
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
