"""Runs one test of a rules file through the server's own code, with canned upstreams and a frozen clock.

Must not know how results are compared or shown.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from engine.document.dialect import Dialect
from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.ports.store_memory import MemoryStore
from engine.ports.stores import Stores
from engine.proxy.gateway import Gateway
from engine.rules.program import Needs, Program
from engine.runtime.record import record_of
from engine.tools.cases_form import StepForm, TestForm
from engine.tools.cases_judge import Failure, Seen, answer_of, judge
from engine.tools.cases_wire import CannedClient, CannedTransport, FrozenClock, Script
from engine.tools.compare import ABSENT, Difference

LONGEST = 30.0  # seconds of real time for one exchange: a test never hangs


class Stage:
    """Everything one test runs on, fresh: a gateway, a clock, a script of answers."""

    def __init__(self, program: Program, test: TestForm) -> None:
        self.secrets = {entry["name"]: f"key of {entry['name']} in tests" for entry in program.keys.values()}
        known = {digest(self.secrets[entry["name"]]): entry for entry in program.keys.values()}
        at = test.now or datetime.now(UTC).replace(microsecond=0)
        self.clock = FrozenClock(at.astimezone(program.server.timezone or UTC))
        self.script = Script(dialect_of, test.upstream, test.http, created=int(at.timestamp()))
        self.gateway = Gateway(
            replace(program, keys={**program.keys, **known}, needs=seeing_all(program)),
            lambda upstream: CannedTransport(self.script, upstream and upstream.name),
            self.clock,
            lambda _: CannedTransport(self.script, None),
            Stores(self.clock, lambda _, clock: MemoryStore(clock)),
        )
        self.exchanges: list[Exchange] = []  # that are over; what is answered beside them is none
        self.gateway.finished = self.exchanges.append

    async def play(self, step: StepForm) -> Seen:
        """One exchange from the client's bytes to the record."""
        import server

        self.clock.advance(step.after)
        if step.now is not None:
            self.clock.set(step.now)
        if step.upstream is not None:
            self.script.begin(step.upstream)
        before = len(self.script.sent)
        client = CannedClient(step.request, self.secrets.get(step.request.key or ""))
        async with asyncio.timeout(LONGEST):
            await server.exchange(client, self.gateway)
            await self.gateway.settled()
            await self.gateway.prompts.settled()  # the next step meets what was fetched behind this one
        x = self.exchanges.pop() if self.exchanges else None
        records = [msgspec.to_builtins(record_of(x, asked_content(x)), enc_hook=str)] if x is not None else []
        return Seen(answer_of(client, x), x, self.script.sent[before:], records)


async def run_test(program: Program, test: TestForm) -> list[Failure]:
    """Every expectation of a test that does not hold; empty when it passes."""
    stage = Stage(program, test)
    failures = []
    for step in test.exchanges():
        seen = await stage.play(step)
        failures += judge(step.expect, seen) if step.expect is not None else []
    return failures + [_unanswered(test, address) for address in dict.fromkeys(stage.script.unanswered)]


def _unanswered(test: TestForm, address: str) -> Failure:
    """A rule asked somebody for whom nothing is canned: an outage that nobody meant proves nothing."""
    why = "a rule asked there; `{error: connection}` is an outage"
    return Failure(test.span, Difference(f"http.{address}", "an answer", ABSENT, why))


def seeing_all(program: Program) -> dict[str, Needs]:
    """Streams are kept to their end, so that a test sees what they said also where no rule asks."""
    return {call_type: replace(needs, assembled=True) for call_type, needs in program.needs.items()}


def digest(secret: str) -> bytes:
    """A key as programs know it."""
    return hashlib.sha256(secret.encode()).digest()


def asked_content(x: Exchange) -> str:
    """The most that any `log_to` asked for; a test sees the record even without one."""
    asked = {content for _, content in x.log_requests or ()}
    return next((content for content in ("full", "redacted") if content in asked), "none")


def dialect_of(path: str) -> Dialect:
    """The dialect of an upstream address: the longest `upstream_path` that its path ends in."""
    fitting = [dialect for dialect in DIALECTS.values() if path.endswith(dialect.upstream_path)]
    return max(fitting, key=lambda dialect: len(dialect.upstream_path), default=DIALECTS["completion"])
