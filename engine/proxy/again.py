"""Whether a request may go out a second time, after the kept connection that carried it was lost.

A call may cost money, so it is made twice only where nobody can have had it whole the first time: its last byte was
never handed over, or the upstream's own kernel never acknowledged it before the upstream ended the connection. Must
not know how calls are made.
"""

from __future__ import annotations

import asyncio
import sys

from engine.ports.wire import Call

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


def repeatable(call: Call) -> bool:
    """The request may be made twice whatever became of the first: by its method, or because it names itself."""
    return call.method in _REPEATABLE or any(name.lower() == "idempotency-key" for name, _ in call.headers)


if sys.platform == "linux":
    import fcntl
    import termios

    def _unacknowledged(descriptor: int) -> bool:
        queued = bytearray(4)
        fcntl.ioctl(descriptor, termios.TIOCOUTQ, queued)
        return any(queued)

else:

    def _unacknowledged(descriptor: int) -> bool:
        return False  # nothing is known, so the worst is taken to be true


def never_had(transport: asyncio.Transport | None) -> bool:
    """Asked when the peer has ended its side in order: it did so before it had all that was sent to it.

    What ends a connection in order also says how much came before it. So what is still not acknowledged then had not
    arrived when the peer closed. A reset says nothing of the kind.
    """
    if transport is None:
        return False
    if transport.get_write_buffer_size():
        return True
    socket = transport.get_extra_info("socket")
    try:
        return socket is not None and _unacknowledged(socket.fileno())
    except (OSError, ValueError):
        return False
