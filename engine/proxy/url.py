"""Where a call goes: an upstream's URL taken apart once. Must not know what is sent there."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from engine.errors import UpstreamError


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL ready for aiohttp.

    `origin` is its scheme, host and port, which may be shown to a client; `authorization` a header made of the URL's
    user and password; `proxy` what the environment wants to be asked instead.
    """

    url: URL
    origin: str
    authorization: str | None
    proxy: URL | None


@lru_cache(maxsize=4096)
def destination(url: str, *, trust_env: bool = False) -> Destination:
    """The destination of a call; UpstreamError when the URL is none of HTTP."""
    try:
        parsed = URL(url, encoded=url.isascii())  # escapes go out as they were written
        origin = str(parsed.origin())
    except ValueError:
        raise UpstreamError("connection", "the upstream's base_url is not a URL") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise UpstreamError("connection", "the upstream's base_url must begin with http:// or https:// and a host")
    return Destination(
        parsed.with_user(None).with_fragment(None), origin, _basic(parsed), _proxy(parsed) if trust_env else None
    )


def _basic(url: URL) -> str | None:
    if url.raw_user is None:
        return None
    pair = f"{unquote(url.raw_user)}:{unquote(url.raw_password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _proxy(url: URL) -> URL | None:
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(f"{url.host}:{url.port}", proxies):
        return None
    return URL(found)
