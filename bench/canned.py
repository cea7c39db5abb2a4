"""A canned upstream for the benches: answers every chat request with the same completion, whole or streamed, and
streams with their usage where it is asked for. To a GET, as gateways ask after health or models, it names its model.

A bare protocol that neither parses JSON nor checks anything; run alone it prints its port and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import re

import uvloop

EVENTS = 500  # text events of one stream

_COMPLETION = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "A fixed answer of a few words."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 40, "completion_tokens": 8, "total_tokens": 48},
    }
).encode()
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
WHOLE = _JSON % (len(_COMPLETION), _COMPLETION)
_LIST = json.dumps({"object": "list", "data": [{"id": "bench", "object": "model", "owned_by": "bench"}]}).encode()
MODELS = _JSON % (len(_LIST), _LIST)
# Gateways write their own JSON, with or without spaces.
_STREAMED = re.compile(rb'"stream": ?true').search
_WITH_USAGE = re.compile(rb'"include_usage": ?true').search


def _event(number: int, *, usage: bool = False) -> bytes:
    delta = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "bench",
        "choices": [{"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}],
    }
    if usage:  # written as OpenAI writes it
        return _chunk(json.dumps({**delta, "usage": None, "obfuscation": "Zx81q"}, separators=(",", ":")))
    return _chunk(json.dumps(delta))


def _chunk(told: str) -> bytes:
    data = b"data: %b\n\n" % told.encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
# Ten events a write, as a fast model's events meet in one packet.
STREAM = [
    _HEAD,
    *(b"".join(_event(number) for number in range(at, at + 10)) for at in range(0, EVENTS, 10)),
    b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
]
_USAGE = {"prompt_tokens": 40, "completion_tokens": EVENTS, "total_tokens": 40 + EVENTS}
STREAM_WITH_USAGE = [
    _HEAD,
    *(b"".join(_event(number, usage=True) for number in range(at, at + 10)) for at in range(0, EVENTS, 10)),
    _chunk(json.dumps({"id": "chatcmpl-bench", "model": "bench", "choices": [], "usage": _USAGE})) + STREAM[-1],
]


class Canned(asyncio.Protocol):
    """One connection; a request is whole when its announced length is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        while (head := self.buffer.find(b"\r\n\r\n")) >= 0:
            end = head + 4 + _length(self.buffer[:head])
            if len(self.buffer) < end:
                return
            request, self.buffer = self.buffer[head:end], self.buffer[end:]
            if _STREAMED(request):
                self.transport.writelines(STREAM_WITH_USAGE if _WITH_USAGE(request) else STREAM)
            elif request.startswith(b"GET "):
                self.transport.write(MODELS)
            else:
                self.transport.write(WHOLE)


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
