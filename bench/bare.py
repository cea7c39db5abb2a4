"""The least that a gateway on aiohttp can do, as a measure for ours: decode, encode, ask, pass on. No rules.

`python bare.py UPSTREAM_URL` prints its port and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import msgspec
import uvloop
from aiohttp import web

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
JSON = {"content-type": "application/json"}


async def main(upstream: str) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as session:

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            body = decode(await request.read())
            async with session.post(upstream + request.path, data=encode(body), headers=JSON) as answer:
                headers = {"content-type": answer.headers["content-type"]}
                if not body.get("stream"):
                    return web.Response(body=encode(decode(await answer.read())), headers=headers)
                out = web.StreamResponse(headers=headers)
                await out.prepare(request)
                async for piece in answer.content.iter_any():
                    await out.write(piece)
                await out.write_eof()
                return out

        server = web.Server(handle, access_log=None)
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        print(listening.sockets[0].getsockname()[1], flush=True)
        await listening.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
