"""What is kept of fetched prompts: bounds, counts, and that nobody's fetch is lost or made twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.ports import prompt_cache
from engine.ports.prompt_cache import PromptCache, Wanted
from engine.ports.prompt_fetching import Fetched, FetchedPrompts, PromptName, SourceFailed
from engine.ports.prompt_text import PromptTemplate, constant, spoken_turn
from engine.tools.cases_wire import FrozenClock


class Scripted(FetchedPrompts):
    """A source that says what it is told to: a text, None for no prompt, or an error. Every fetch waits for `go`."""

    def __init__(self, address: str = "a", ttl: float = 60.0) -> None:
        self.address = self.label = address
        self.ttl = ttl  # type: ignore[assignment]
        self.says: Any = "text"
        self.asked: list[str] = []
        self.go = asyncio.Event()
        self.go.set()
        self.together = self.most = 0

    async def fetch(self, name: PromptName, transport: Any) -> Fetched:
        self.asked.append(name.id)
        self.together += 1
        self.most = max(self.most, self.together)
        try:
            await self.go.wait()
        finally:
            self.together -= 1
        if isinstance(self.says, Exception):
            raise self.says
        if self.says is None:
            return Fetched(None)
        return Fetched(PromptTemplate([spoken_turn("user", constant(f"{self.says} of {name.id}"))]), 10)


class Trial:
    """A cache, a source and a clock that stands still."""

    def __init__(self, **options: Any) -> None:
        self.cache = PromptCache()
        self.clock = FrozenClock(datetime.now(UTC))
        self.source = Scripted(**options)

    async def ask(self, id: str, source: Scripted | None = None) -> str | None:
        found = await self.cache.find(source or self.source, PromptName(id), self.clock, self._way)
        return None if found is None else found.render({})[0][0]["content"]

    def _way(self, upstream: Any) -> Any:
        return None

    def count(self, what: str) -> int:
        return self.cache.counts[self.source.label, what]


async def test_the_longest_unused_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_cache, "MOST", 3)
    trial = Trial()
    for id in ("a", "b", "c", "a", "d"):
        await trial.ask(id)
    assert trial.source.asked == ["a", "b", "c", "d"]
    await trial.ask("a")
    await trial.ask("b")
    assert trial.source.asked == ["a", "b", "c", "d", "b"]


async def test_they_take_no_more_room_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_cache, "ROOM", 25)
    trial = Trial()
    for id in ("a", "b", "c", "b"):
        await trial.ask(id)
    assert trial.source.asked == ["a", "b", "c"]
    await trial.ask("a")
    assert trial.source.asked == ["a", "b", "c", "a"]


async def test_names_without_a_prompt_push_no_prompt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_cache, "MOST", 3)
    trial = Trial()
    await trial.ask("good")
    trial.source.says = None
    for number in range(10):
        assert await trial.ask(f"no-{number}") is None
    trial.source.says = "text"
    assert await trial.ask("good") == "text of good"
    assert trial.source.asked.count("good") == 1
    assert await trial.ask("no-9") is None  # still remembered
    assert await trial.ask("no-0") == "text of no-0"  # long forgotten


async def test_a_name_without_a_prompt_is_asked_for_again_after_a_while() -> None:
    trial = Trial()
    trial.source.says = None
    for _ in range(5):
        assert await trial.ask("late") is None
    assert (len(trial.source.asked), trial.count("unknown")) == (1, 1)
    trial.source.says = "text"
    trial.clock.advance(10)
    assert await trial.ask("late") == "text of late"


async def test_a_source_that_fails_is_not_hammered() -> None:
    trial = Trial()
    trial.source.says = SourceFailed("it is down")
    for _ in range(5):
        with pytest.raises(SourceFailed, match="it is down"):
            await trial.ask("a")
    assert (len(trial.source.asked), trial.count("failed")) == (1, 1)
    trial.clock.advance(1)
    trial.source.says = "text"
    assert await trial.ask("a") == "text of a"


async def test_whatever_a_fetch_raises_is_told(caplog: pytest.LogCaptureFixture) -> None:
    trial = Trial()
    trial.source.says = ZeroDivisionError("secret")
    with pytest.raises(SourceFailed, match="ZeroDivisionError"):
        await trial.ask("a")
    assert "secret" not in caplog.text


async def test_a_failing_source_is_tried_again_at_a_pace_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    trial = Trial()
    assert await trial.ask("a") == "text of a"
    trial.source.says = SourceFailed("it is down")
    for _ in range(10):
        trial.clock.advance(61)
        assert await trial.ask("a") == "text of a"
        await trial.cache.settled()
        trial.clock.advance(4)
        assert await trial.ask("a") == "text of a"
        await trial.cache.settled()
    assert (len(trial.source.asked), trial.count("failed")) == (11, 10)
    assert caplog.text.count("the last good one serves") == 1
    assert trial.count("stale") == 19


async def test_without_a_ttl_every_request_asks_and_the_last_good_one_is_kept_for_bad_times() -> None:
    trial = Trial(ttl=0.0)
    assert await trial.ask("a") == "text of a"
    trial.source.says = "news"
    assert await trial.ask("a") == "news of a"
    trial.source.says = SourceFailed("it is down")
    assert await trial.ask("a") == "news of a"
    assert (len(trial.source.asked), trial.count("stale")) == (3, 1)


async def test_some_fetches_run_at_once_and_the_others_wait() -> None:
    trial = Trial()
    other = Scripted("b")
    trial.source.go.clear()
    waiting = [asyncio.create_task(trial.ask(f"{number}")) for number in range(30)]
    assert await trial.ask("x", other) == "text of x"  # another source is not held up
    assert trial.source.most == prompt_cache.AT_ONCE
    trial.source.go.set()
    assert len(set(await asyncio.gather(*waiting))) == 30
    assert trial.source.most == prompt_cache.AT_ONCE


async def test_sources_with_one_address_share_and_others_do_not() -> None:
    trial = Trial()
    await trial.ask("a")
    same, other = Scripted("a"), Scripted("b")
    await trial.ask("a", same)
    await trial.ask("a", other)
    assert (same.asked, other.asked) == ([], ["a"])


async def test_what_is_wanted_is_fetched_once_and_closing_waits_for_nobody() -> None:
    trial = Trial()
    await trial.ask("here")
    trial.source.go.clear()
    wanted = [Wanted(trial.source, PromptName(id)) for id in ("here", "new", "new")]
    trial.cache.prefetch(wanted, trial.clock, trial._way)
    trial.cache.prefetch(wanted, trial.clock, trial._way)
    waiting = asyncio.create_task(trial.ask("new"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert trial.source.asked == ["here", "new"]
    await trial.cache.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
