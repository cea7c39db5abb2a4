"""What is kept of one client request with all that follows from it. What is made of it stands in `exchange.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from engine.document.answers import Answer
from engine.document.dialect import Body, Dialect, Said, Texts
from engine.document.marks import Marks
from engine.document.moments import Clock
from engine.document.trace import Trace
from engine.document.uploads import Upload

NO_TEXTS = Texts()
NOTHING_SAID = Said()


class State:
    """The fields of an exchange, in slots: there are many, and most are set and read several times a request."""

    program: Any  # pinned: one exchange runs on one version of the rules
    clock: Clock

    # who asks, and what for
    id: str
    method: str
    path: str
    query_string: str
    raw_headers: Sequence[tuple[str, str]]  # names in lower case
    peer: str | None
    call_type: str | None
    dialect: Dialect  # as soon as anybody looks at it there is one
    key: dict[str, Any] | None
    ways: Any  # to addresses that rules ask: the `Ways` of engine/ports/wire.py
    prompts: Any  # what was fetched from prompt sources: the `PromptCache` of engine/ports/prompt_cache.py

    passed_by: str | None  # the glob of `server.passthrough` that a path fell under

    # bodies
    original: Body | None
    request: Body | None
    uploads: Sequence[Upload] | None  # the files of a multipart request; None: it was JSON
    response: dict[str, Any] | None  # {status, headers, body}
    answered: Any  # the body of the upstream's answer as it came, whatever rules made of it
    streamed: Said | None  # what a stream has said so far, in the stream phase
    rates: Any  # what `Prices` found for an answer: that answer, its upstream, the rates
    told: Body | None  # of a stream: `usage`, `model`, `service_tier` as a whole answer has them, once they came

    # the body that went upstream last: what records show, and the `holds` of a test; seen by no rule
    sent: Any

    # what rules and the gateway noted
    model_requested: str | None
    upstream: dict[str, Any] | None  # {name, model, attempt}
    error: dict[str, Any] | None
    cache_hit: bool
    timing: dict[str, Any] | None
    answer: Answer | None
    cut_by: str | None  # the rule that ended a stream
    status: int | None
    left: bool  # the client went away
    attempts: int
    asked_phases: int  # those whose rules were asked, as bits: `1 << phase.order`
    log_requests: list[Any] | None  # (sink, content) of the records wanted at the end
    checkpoints: list[Any] | None  # (sink, content) of the records wanted as things stand now
    prompt: dict[str, Any] | None  # {source, id, version} of the stored prompt that a rule put in last
    route: Any  # the `Route` of engine/document/route.py that rules declared
    limits: list[Any] | None  # the `Limit`s of engine/ports/limits.py that rules declared
    taken: Sequence[Any]  # what was `Taken` of them
    counts_usage: bool  # a limit is settled by the tokens or the cost of the answer, or the answer is kept
    limit_headers: Sequence[tuple[str, str]]  # how it stands with the limits, for the client
    caching: Any  # the `Caching` of engine/ports/caching.py that a rule declared
    cache_headers: Sequence[tuple[str, str]]  # whether the cache had the answer, for the client
    when_called: Sequence[Callable[[], None]] | None  # what waits until an upstream is really asked
    keeping: Any  # the task that puts the answer into the cache
    marks: Marks | None  # what `redact` with `restore` took out, to be put back
    first_byte: float | None  # monotonic, of a stream
    called: float | None  # monotonic, when an upstream was asked last
    arrived: float | None  # monotonic, when that answer was complete; None while it is awaited
    waited: float  # seconds, for the answers of all attempts that are over
    mid_event: bool  # a stream stands within an event
    kept: dict[Any, Any] | None  # what callbacks' adapters remember of it, each under itself
    _trace: Trace | None
    _given: dict[str, str] | None
    _headers: dict[str, str] | None
    _query: dict[str, str] | None
    asked_usage: bool  # a stream's usage was asked for by us, and is taken out again
    pending_stream: list[bytes] | None  # chunks that passed, assembled only if the log phase wants them
    unkept: float | None  # a stream was too large: so many times what `pending_stream` has of it

    began: float  # monotonic
    tags: list[str]
    vars: dict[str, Any]
    matched: list[str]
    outcomes: list[tuple[str, str, str, str, int]]  # rule, phase, result, why, nanoseconds
    to_upstream: dict[str, str | None]  # header edits by rules; None removes
    to_client: dict[str, str | None]

    # what was made of a body, and the body it was made of
    _texts: Texts
    _texts_of: Any
    _said: Said
    _said_of: Any
    _usage: dict[str, Any] | None
    _usage_of: Any

    __slots__ = tuple(__annotations__)

    def __init__(self, program: Any, clock: Clock) -> None:
        self.program, self.clock = program, clock
        self.began = clock.monotonic()
        self.id = self.query_string = ""
        self.method, self.path = "POST", "/"
        self.dialect = cast("Dialect", None)
        self.raw_headers = self.taken = self.limit_headers = self.cache_headers = ()
        self.peer = self.call_type = self.key = self.ways = self.prompts = self.passed_by = None
        self.original = self.request = self.uploads = self.response = self.answered = self.streamed = None
        self.rates = self.told = self.sent = self.model_requested = self.upstream = self.error = self.timing = None
        self.answer = self.cut_by = self.status = self.log_requests = self.checkpoints = self.prompt = None
        self.route = self.limits = self.caching = self.when_called = self.keeping = self.marks = None
        self.first_byte = self.called = self.arrived = self.pending_stream = self.unkept = self.kept = None
        self.cache_hit = self.left = self.counts_usage = self.mid_event = self.asked_usage = False
        self.attempts = self.asked_phases = 0
        self.waited = 0.0
        self.tags, self.matched, self.outcomes = [], [], []
        self.vars, self.to_upstream, self.to_client = {}, {}, {}
        self._trace = self._given = self._headers = self._query = None
        self._texts, self._said = NO_TEXTS, NOTHING_SAID
        self._texts_of = self._said_of = self._usage = self._usage_of = None


# A class that mypyc compiled has no `__slots__`.
FIELDS = tuple(name for name in vars(State) if not name.startswith("__"))
