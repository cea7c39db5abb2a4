"""The base class of callbacks in Python: what an author subclasses when rules are not enough.

Must not know how callbacks are found or run.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.ports.context import Context

Done = Awaitable[None] | None


class Callback:
    """One method per phase; a class defines those it wants, plain or `async`.

    Each is given a context: the document as attributes (`context.headers`, `context.prompt_text`, …), of which
    `context.request` and `context.response` may be changed in place, and `reject`, `reject_with_message`, `set_var`
    and `tag`. A method returns nothing; an exception is an error of the rule, answered by its `on_error`. An `async`
    method runs on the gateway's event loop; a plain one runs in a thread, where it may block and holds up no other
    exchange.
    """

    def request(self, context: Context) -> Done:
        """After authentication, before anything is sent."""
        return None

    def attempt(self, context: Context) -> Done:
        """Before each call of an upstream."""
        return None

    def moderation(self, context: Context) -> Done:
        """Beside the first call of an upstream; no byte of its answer reaches the client before this is done."""
        return None

    def response(self, context: Context) -> Done:
        """The whole answer is known."""
        return None

    def stream(self, context: Context) -> Done:
        """More of a stream's text has come: `context.text` is that text so far, after the rules before.

        What came with it has not reached the client: once refused, it never does.
        """
        return None

    def failure(self, context: Context) -> Done:
        """An error is about to reach the client."""
        return None

    def log(self, context: Context) -> Done:
        """The client has everything."""
        return None
