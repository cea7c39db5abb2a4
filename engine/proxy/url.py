"""Where a call goes: an upstream's URL taken apart once. Must not know what is sent there."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from engine.errors import UpstreamError


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL ready to be asked.

    `origin` is its scheme, host and port, which may be shown to a client; `authorization` a header made of the URL's
    user and password; `proxy` what the environment wants to be asked instead. `host` is what is resolved and `port`
    where it listens; `authority` and `target` are what a request names of them.
    """

    url: URL
    origin: str
    authorization: str | None
    proxy: URL | None
    secure: bool
    host: str
    port: int
    authority: str
    target: str


_VISIBLE = re.compile(r"[!-~]+")


@lru_cache(maxsize=4096)
def destination(url: str, *, trust_env: bool = False) -> Destination:
    """The destination of a call; UpstreamError when the URL is none of HTTP."""
    try:
        parsed = URL(url, encoded=url.isascii())  # escapes go out as they were written
        origin = str(parsed.origin())
        named = bool(parsed.host)
    except ValueError:
        raise UpstreamError("connection", "the upstream's base_url is not a URL") from None
    if parsed.scheme not in {"http", "https"} or not named:
        raise UpstreamError("connection", "the upstream's base_url must begin with http:// or https:// and a host")
    bare = parsed.with_user(None).with_fragment(None)
    if not _VISIBLE.fullmatch(bare.raw_path_qs) or not bare.raw_host or not bare.port:
        raise UpstreamError("connection", "the upstream's base_url is not a URL")
    return Destination(
        url=bare,
        origin=origin,
        authorization=_basic(parsed),
        proxy=_proxy(parsed) if trust_env else None,
        secure=parsed.scheme == "https",
        host=bare.raw_host,
        port=bare.port,
        authority=bare.host_port_subcomponent or bare.raw_host,
        target=bare.raw_path_qs,
    )


def _basic(url: URL) -> str | None:
    if url.raw_user is None:
        return None
    pair = f"{unquote(url.raw_user)}:{unquote(url.raw_password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _proxy(url: URL) -> URL | None:
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or _is_loopback(url.host or "") or proxy_bypass(f"{url.host}:{url.port}", proxies):
        return None
    return URL(found)


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")
