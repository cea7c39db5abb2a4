"""From aiohttp's errors to the faults of an upstream. Must not know when a call is made again."""

from __future__ import annotations

import aiohttp

from engine.errors import UpstreamError
from engine.ports.wire import Patience
from engine.proxy import faults
from engine.proxy.url import Destination


def no_answer(to: Destination, patience: Patience, error: Exception, *, late: bool = False) -> UpstreamError:
    """No head of an answer came; `late`: the first byte was waited for long enough."""
    if late:
        return faults.no_answer_yet(to, patience)
    match error:
        case aiohttp.ConnectionTimeoutError():
            return faults.no_connection_yet(to, patience)
        case TimeoutError():
            return faults.took_too_long(to, patience)
        case aiohttp.ClientConnectorDNSError():
            return faults.no_name(to)
        case aiohttp.ClientConnectorCertificateError(certificate_error=cause):
            return faults.not_connected(to, cause)
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return faults.no_proxy(to)
        case aiohttp.ClientConnectorError(os_error=cause):
            return faults.not_connected(to, cause)
        case aiohttp.ClientResponseError(message=message):
            return faults.not_http(to, _not_http(message))
    return faults.no_answer(to)


def broke_off(to: Destination, patience: Patience, error: Exception) -> UpstreamError:
    """The head of an answer came, but not all of its body."""
    match error:
        case aiohttp.SocketTimeoutError():
            return faults.stalled(to, patience)
        case TimeoutError():
            return faults.took_too_long(to, patience)
    return faults.cut_short(to)


def _not_http(message: str) -> str:
    if message.startswith("Got more than"):
        return faults.LONG_HEADER
    return faults.MANY_HEADERS if message.startswith("Too many headers") else faults.NO_HTTP
