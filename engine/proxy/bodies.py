"""How much of clients' bodies is in memory, of all exchanges under way together. Must not know HTTP or exchanges."""

from __future__ import annotations

from engine.ports.wire import Overloaded

SMALL = 64 * 1024  # bytes of a body up to which it is not counted: what a connection takes anyway


class Bodies:
    """`held`: bytes of bodies that are larger than `SMALL`, decompressed, from when they come until they are served."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = 0

    def take(self, size: int, most: int) -> None:
        """So many bytes more have come; Overloaded, and they are not counted, where all would be more than `most`."""
        if self.held + size > most:
            raise Overloaded(f"the bodies of all requests under way are larger than {most} bytes")
        self.held += size

    def give_back(self, size: int) -> None:
        """So many are served."""
        self.held -= size
