"""What all exchanges share: the rules of the moment, the ways upstream, the clock, and what happens after an answer.

Must not know aiohttp's server or how rules are read.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import os
import re
import time
from collections.abc import Callable
from typing import Any

from engine.document.answers import Refusal
from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.document.moments import Clock
from engine.ports.litellm_cache import CACHE
from engine.ports.prompt_cache import PromptCache
from engine.ports.sinks import Sink, start_sinks
from engine.ports.stores import SharedStore, Stores
from engine.ports.wire import Client, TooSlow, Ways
from engine.proxy.admission import settle as settle_limits
from engine.proxy.cache import Answers
from engine.proxy.health import Health
from engine.proxy.log_phase import LogPhase
from engine.proxy.receive import is_anthropic
from engine.proxy.translated import fetch_translators
from engine.rules.program import Program
from engine.runtime.metrics import Metrics, rules_of

_WELL_FORMED = re.compile(r"[!-;=?-~]{1,128}\Z")


class SystemClock:
    """The machine's clocks; `zone` is `server.timezone`."""

    def __init__(self, zone: datetime.tzinfo | None = None) -> None:
        self.zone = zone or datetime.UTC

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(self.zone)

    monotonic = staticmethod(time.monotonic)


class Gateway:
    """Begins and finishes exchanges.

    `transports` gives the way to an upstream, `asides` the way of rules that ask somebody themselves (the same, unless
    said otherwise); `stores` holds what limits, budgets and caches keep, `prompts` what was fetched from prompt
    sources; `metrics` counts; `problems` are those of the last reload if it failed, as `validate --format json` has
    them.
    """

    def __init__(
        self,
        program: Program,
        transports: Ways,
        clock: Clock | None = None,
        asides: Ways | None = None,
        stores: Stores | None = None,
    ) -> None:
        self.program = program
        self.transports = transports
        self.asides = asides or transports
        self.clock = clock or SystemClock(program.server.timezone)
        self.stores = stores or Stores(self.clock)
        self.metrics = Metrics()
        self.prompts = PromptCache()
        self.health = Health(self.clock.monotonic)
        self.answers = Answers(self.stores, self.metrics.store_failed)
        self.problems: list[dict[str, Any]] = []
        self.draining = False
        self.adopted: Callable[[Program], None] | None = None  # told of each version that is served
        self.finished: Callable[[Exchange], None] | None = None  # told of each exchange that is over
        self._dropped: list[tuple[str, Sink]] = []
        self._ending: dict[tuple[str, Sink], asyncio.Future[None]] = {}
        self._lent: SharedStore | None = None  # to the cache of hooks written for LiteLLM
        self._log_phase = LogPhase(self.metrics, lambda x: settle_limits(self, x))
        self._numbers = itertools.count(1)
        self._prefix = os.urandom(8).hex()

    def begin(self, client: Client) -> Exchange:
        """A new exchange, pinned to the rules of this moment."""
        x = Exchange(self.program, self.clock)
        x.ways, x.prompts = self.asides, self.prompts
        x.method, x.path, x.query_string = client.method, client.target, client.query_string
        x.raw_headers = client.headers
        x.peer = client_address(client, self.program)
        x.dialect = DIALECTS["messages" if is_anthropic(x) else "completion"]
        asked = x.given.get("x-request-id", "")
        x.id = asked if _WELL_FORMED.match(asked) else f"req-{self.number()}"
        return x

    def number(self) -> str:
        """A text that is given once, whatever processes there are."""
        return f"{self._prefix}{next(self._numbers):08x}"

    def finish(self, x: Exchange, answer_failed: BaseException | None = None) -> None:
        """After the client has everything, or left: the log phase, once, off the request path."""
        if answer_failed is not None:
            self._note_end(x, answer_failed)
        self._log_phase.take(x)
        if self.finished is not None:
            self.finished(x)

    def _note_end(self, x: Exchange, cause: BaseException) -> None:
        """The client got nothing, or not all."""
        if isinstance(cause, asyncio.CancelledError) and self.draining:
            ending = Refusal(503, "the gateway shut down before the answer was complete", source="connection")
        elif isinstance(cause, (asyncio.CancelledError, ConnectionError)):
            x.left = True
            ending = _left(cause)
        else:
            ending = Refusal(500, "internal error", source="rule_error")
        if x.status is None:  # an error before was of an attempt that another was to mend
            x.status, x.error = ending.status, ending.as_error()
        x.error = x.error or ending.as_error()

    def start(self) -> None:
        """Begin to write records, first what could not be written before; and to fetch the prompts that rules name."""
        start_sinks(self.program.sinks, self.program.spool, self.program.server.spool_limit)
        self.prompts.prefetch(self.program.prompts, self.clock, self.asides)
        fetch_translators(self.program)
        self._share_cache()

    def _share_cache(self) -> None:
        """Hooks written for LiteLLM see what other machines keep, where a store of the rules is shared."""
        stores = [self.stores(store) for store in self.program.stores if store.shared]
        self._lent = next((store for store in stores if isinstance(store, SharedStore)), None)
        CACHE.share(self._lent)

    def adopt(self, program: Program) -> None:
        """Serve another version of the rules from the next exchange on; running ones end on theirs."""
        dropped = [pair for pair in self.program.sinks.items() if program.sinks.get(pair[0]) is not pair[1]]
        self.program = program
        self.metrics.forget_all_but(rules_of(program))
        if isinstance(self.clock, SystemClock):
            self.clock = SystemClock(program.server.timezone)
        self.start()
        for pair in dropped:
            self._dropped.append(pair)
            asyncio.get_running_loop().call_later(program.server.drain, self._retire, *pair)
        if self.adopted is not None:
            self.adopted(program)

    def _retire(self, name: str, sink: Sink) -> None:
        """A sink that no rule names any more writes what it took and ends, once the exchanges that knew it are over."""
        if (name, sink) in self._dropped:
            self._dropped.remove((name, sink))
            closing = asyncio.get_running_loop().run_in_executor(None, self._hand_over, sink)
            self._ending[name, sink] = closing
            closing.add_done_callback(lambda _: self._retired(name, sink))

    def _hand_over(self, sink: Sink) -> None:
        """What a sink could not write is for the one of the same name that stands in the file now."""
        sink.close()
        for other in self.program.sinks.values():
            other.look()

    def _retired(self, name: str, sink: Sink) -> None:
        del self._ending[name, sink]
        self.metrics.sink_ended(name, sink)

    def sinks(self) -> list[tuple[str, Sink]]:
        """All that are at work, by name: those that rules name, and those that are about to end."""
        return [*self.program.sinks.items(), *self._dropped, *self._ending]

    async def settled(self) -> None:
        """Wait until every finished exchange has been logged."""
        await self._log_phase.settled()

    async def close(self) -> None:
        """Log what is finished and bring every accepted record to its sink."""
        await self.settled()
        sinks = [*self.program.sinks.values(), *(sink for _, sink in self._dropped)]
        await asyncio.gather(*(asyncio.to_thread(sink.close) for sink in sinks))
        await asyncio.gather(*self._ending.values(), return_exceptions=True)
        await self.prompts.close()
        CACHE.leave(self._lent)
        await self.stores.close()


def _left(cause: BaseException) -> Refusal:
    """The client left, or was cut off since it took nothing of its answer."""
    why = cause.args[0] if cause.args else None
    told, code = (why, "client_too_slow") if isinstance(why, TooSlow) else ("the client left", None)
    return Refusal(499, told, type="client_closed_request", code=code, source="client")


def client_address(client: Client, program: Program) -> str | None:
    """The peer, or, behind a trusted proxy, the last address that no trusted proxy added."""
    networks = program.trusted_proxies
    if not networks or client.peer is None:
        return client.peer
    told = [value for name, value in client.headers if name == "x-forwarded-for"]
    hops = [hop.strip() for hop in ",".join(told).split(",") if hop.strip()]
    address = client.peer
    while hops and networks.trusts(address):
        address = hops.pop()
    return address
