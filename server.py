"""One exchange, from the client's bytes to the client's bytes; and the process that serves them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from engine.document.answers import Answer, Refused
from engine.document.exchange import Exchange
from engine.errors import UpstreamError
from engine.phases import REQUEST
from engine.proxy.admission import admit
from engine.proxy.aside import answer_aside
from engine.proxy.attempts import ask, failing
from engine.proxy.itinerary import split
from engine.proxy.model_prompt import put_model_prompt
from engine.proxy.passing import pass_through
from engine.proxy.receive import authenticate, find_endpoint, read_body
from engine.proxy.reply import as_refusal, in_dialect, reply
from engine.runtime.executor import run

if TYPE_CHECKING:
    from engine.ports.wire import Client
    from engine.proxy.gateway import Gateway


async def exchange(client: Client, gateway: Gateway) -> None:
    """Answer one request of a client; whatever happens, the log phase runs once."""
    if await answer_aside(client, gateway):
        return
    x = gateway.begin(client)
    try:
        answer = await decide(client, gateway, x)
        if answer is not None:
            await reply(client, x, answer)
    except BaseException as ending:
        gateway.finish(x, ending)
        raise
    gateway.finish(x)


async def decide(client: Client, gateway: Gateway, x: Exchange) -> Answer | None:
    """The way of a request. An answer of our own is given back; an upstream's has reached the client already."""
    try:
        find_endpoint(x, client)
        await authenticate(x, client, x.program)
        if x.passed_by is not None:
            return await pass_through(client, gateway, x)
        await read_body(x, client, x.program.server.body_limit)

        answer = await run(x.program.plan(REQUEST, x.call_type), x)
        if answer is None:
            split(x)
            answer = await put_model_prompt(x) or await admit(gateway, x)
        if answer is None:
            return await ask(client, gateway, x)  # attempt, moderation, response, stream; and failure, should it fail
    except Refused as refused:
        answer = refused.refusal
    except UpstreamError as failed:
        answer = as_refusal(x, failed.source, failed.message)
    return await failing(x, in_dialect(x, answer))


def main(arguments: list[str] | None = None) -> int:
    """`python server.py FILE`, the same as `pointsman serve FILE`."""
    from engine.proxy.serve import serve

    script = os.path.join(os.path.dirname(__file__), "server.py")
    return serve(sys.argv[1:] if arguments is None else arguments, exchange, script)


if __name__ == "__main__":
    import server  # which may be compiled; the file that Python is told to run never is

    sys.exit(server.main())
