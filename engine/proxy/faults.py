"""What can go wrong with an upstream, in words that may be shown to a client: an origin, a number, never a secret.

One text for one fault, whichever transport meets it. Must not know transports, nor when a call is made again.
"""

from __future__ import annotations

import os
import ssl

from engine.errors import UpstreamError
from engine.ports.wire import Patience
from engine.proxy.url import Destination

NO_HTTP = "something that is not HTTP"
LONG_HEADER = "a header that is too long"
MANY_HEADERS = "too many headers"


def no_place(to: Destination, most: int, within: float) -> UpstreamError:
    return UpstreamError("timeout", f"none of the {most} calls at once to {to.origin} ended within {within:g} s")


def no_connection_yet(to: Destination, patience: Patience) -> UpstreamError:
    return UpstreamError("timeout", f"no connection to {to.origin} within {patience.connect:g} s")


def no_answer_yet(to: Destination, patience: Patience) -> UpstreamError:
    return UpstreamError("timeout", f"no answer from {to.origin} within {patience.first_byte:g} s")


def stalled(to: Destination, patience: Patience) -> UpstreamError:
    return UpstreamError("timeout", f"the answer of {to.origin} stalled for {patience.between_bytes:g} s")


def took_too_long(to: Destination, patience: Patience) -> UpstreamError:
    return UpstreamError("timeout", f"the answer of {to.origin} was not complete within {patience.total:g} s")


def no_name(to: Destination) -> UpstreamError:
    return UpstreamError("connection", f"could not connect to {to.origin}: its name cannot be resolved")


def no_proxy(to: Destination) -> UpstreamError:
    return UpstreamError("connection", f"could not connect to {to.origin}: the HTTP proxy did not let through")


def not_connected(to: Destination, error: BaseException) -> UpstreamError:
    """The attempt to connect failed, by what the system said of it."""
    match error:
        case ssl.SSLCertVerificationError():
            why = "its certificate is not trusted"
        case ssl.SSLError():
            why = "no TLS connection came about"
        case OSError(errno=int(number)):
            why = os.strerror(number).lower()
        case _:
            why = "the attempt failed"
    return UpstreamError("connection", f"could not connect to {to.origin}: {why}")


def not_http(to: Destination, what: str = NO_HTTP) -> UpstreamError:
    return UpstreamError("connection", f"{to.origin} sent {what}")


def other_protocol(to: Destination) -> UpstreamError:
    return UpstreamError("connection", f"{to.origin} changed to another protocol without being asked")


def no_answer(to: Destination) -> UpstreamError:
    return UpstreamError("connection", f"{to.origin} closed the connection without an answer")


def cut_short(to: Destination) -> UpstreamError:
    return UpstreamError("connection", f"{to.origin} broke off in the middle of its answer")
