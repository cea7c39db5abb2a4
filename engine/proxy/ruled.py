"""A stream on its way through the stream rules, and at the last step back from marks to what they stand for.

Must not know how upstreams are reached, nor what the rules do.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing

from engine.document.answers import Answer, Refusal
from engine.document.exchange import Exchange
from engine.document.sse import EventTooLarge
from engine.document.stream_wires import WIRES
from engine.errors import UpstreamError
from engine.proxy.reply import wants_usage
from engine.runtime.stream import Streaming


class Ruled:
    """One stream under rules. `answer`: what the client gets instead of a stream, because a rule failed at its start.

    `cut`: the answer by which a rule ended the stream.
    """

    def __init__(self, x: Exchange, *, restoring: bool) -> None:
        self._x = x
        rules = x.program.streams.get(x.call_type or "", ())
        self._rules = Streaming(rules, x) if rules else None
        restores = restoring and x.marks is not None and bool(x.marks.values)
        self._restoring = Streaming((), x, x.marks) if restores else None
        self.answer: Answer | None = None

    @property
    def cut(self) -> Answer | None:
        return self._rules.cut if self._rules is not None else None

    async def begin(self) -> None:
        """Decide what is known before the stream; `answer` is set when that failed."""
        if self._rules is not None:
            await self._rules.begin()
            if isinstance(self.cut, Refusal) and self.cut.source == "rule_error":
                self.answer = self._x.refused(self.cut)
                self._rules.close()

    async def through(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[tuple[bytes, bytes], None]:
        """What rules let pass, and that with its values restored for the client; UpstreamError."""
        try:
            async with aclosing(self._rewritten(self._ruled(chunks))) as passed:
                async for chunk in passed:
                    yield chunk, await self._restored(chunk)
            if self._restoring is not None and (rest := b"".join(await self._restoring.finish())):
                yield b"", rest
        except EventTooLarge as wrong:
            raise UpstreamError("connection", str(wrong)) from None
        finally:
            if self._rules is not None:
                self._rules.close()

    async def _rewritten(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """By way of the callbacks, which come after the rules of the phase."""
        async with AsyncExitStack() as closing:
            last = await closing.enter_async_context(aclosing(chunks))
            for rewrite in self._x.program.rewrites:
                last = await closing.enter_async_context(aclosing(rewrite(self._x, last)))
            async for chunk in last:
                yield chunk

    async def _restored(self, chunk: bytes) -> bytes:
        return chunk if self._restoring is None else b"".join(await self._restoring.events(chunk))

    async def _ruled(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        rules = self._rules
        if rules is None:
            async for chunk in chunks:
                yield chunk
            return
        if not rules.over():
            async for chunk in chunks:
                if passed := b"".join(await rules.events(chunk)):
                    yield passed
                if rules.over():
                    break
        if not rules.over() and (rest := b"".join(await rules.finish())):
            yield rest
        if rules.over():
            yield b"".join(rules.ending(usage=wants_usage(self._x)))


async def ruled(x: Exchange, *, restoring: bool = True) -> Ruled | None:
    """The way of a stream, begun; None when no rule, callback or mark has anything to do with its text."""
    call_type = x.call_type or ""
    restores = restoring and x.marks is not None and call_type in WIRES
    if not (restores or x.program.rewrites or call_type in x.program.streams):
        return None
    stream = Ruled(x, restoring=restoring)
    await stream.begin()
    return stream
