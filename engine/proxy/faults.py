"""What can go wrong with an upstream, in words that may be shown to a client: an origin, a number, never a secret.

Must not know when a call is made again.
"""

from __future__ import annotations

import os

import aiohttp

from engine.errors import UpstreamError
from engine.ports.wire import Patience
from engine.proxy.url import Destination


def no_answer(to: Destination, patience: Patience, error: Exception, *, late: bool = False) -> UpstreamError:
    """No head of an answer came; `late`: the first byte was waited for long enough."""
    if late:
        return UpstreamError("timeout", f"no answer from {to.origin} within {patience.first_byte:g} s")
    match error:
        case aiohttp.ConnectionTimeoutError():
            return UpstreamError("timeout", f"no connection to {to.origin} within {patience.connect:g} s")
        case TimeoutError():
            return _too_long(to, patience)
        case aiohttp.ClientConnectorDNSError():
            return UpstreamError("connection", f"could not connect to {to.origin}: its name cannot be resolved")
        case aiohttp.ClientConnectorCertificateError():
            return UpstreamError("connection", f"could not connect to {to.origin}: its certificate is not trusted")
        case aiohttp.ClientSSLError():
            return UpstreamError("connection", f"could not connect to {to.origin}: no TLS connection came about")
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return UpstreamError("connection", f"could not connect to {to.origin}: the HTTP proxy did not let through")
        case aiohttp.ClientConnectorError():
            return UpstreamError("connection", f"could not connect to {to.origin}: {_reason(error.os_error)}")
        case aiohttp.ClientResponseError():
            return UpstreamError("connection", f"{to.origin} sent {_not_http(error.message)}")
    return UpstreamError("connection", f"{to.origin} closed the connection without an answer")


def broke_off(to: Destination, patience: Patience, error: Exception) -> UpstreamError:
    """The head of an answer came, but not all of its body."""
    match error:
        case aiohttp.SocketTimeoutError():
            return UpstreamError("timeout", f"the answer of {to.origin} stalled for {patience.between_bytes:g} s")
        case TimeoutError():
            return _too_long(to, patience)
    return UpstreamError("connection", f"{to.origin} broke off in the middle of its answer")


def _too_long(to: Destination, patience: Patience) -> UpstreamError:
    return UpstreamError("timeout", f"the answer of {to.origin} was not complete within {patience.total:g} s")


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else "the attempt failed"


def _not_http(message: str) -> str:
    if message.startswith("Got more than"):
        return "a header that is too long"
    return "too many headers" if message.startswith("Too many headers") else "something that is not HTTP"
