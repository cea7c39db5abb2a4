"""What holds for every test: an environment of its own, and how many random cases are tried."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from postgres_server import postgres, postgres_of_module
from valkey_server import valkey, valkey_of_module

from engine.runtime.seldom import SELDOM

__all__ = [
    "postgres",
    "postgres_of_module",
    "valkey",
    "valkey_of_module",
]  # fixtures; a server starts where a test asks for one

LONG = bool(os.environ.get("POINTSMAN_LONG"))

# Of the developer's machine and never of a test: where clients would go instead of the loopback, and with which key.
FOREIGN = ("OPENAI_", "ANTHROPIC_", "LANGCHAIN_", "LANGSMITH_", "LANGFUSE_", "OTEL_", "POINTSMAN_")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")

settings.register_profile("short", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("short"), max_examples=20_000)
settings.load_profile("long" if LONG else "short")


def pytest_configure() -> None:
    """Before any module of a test reads the environment."""
    for name in list(os.environ):
        if name.startswith(FOREIGN) or name.lower() in PROXIES:
            del os.environ[name]
    if LONG:
        os.environ["POINTSMAN_LONG"] = "1"  # tests and their processes may ask


@pytest.fixture(autouse=True)
def logged_anew() -> None:
    """A test reads its own warnings, also where one before it had the same."""
    SELDOM.forget()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the long tests, unless they were asked for."""
    if not LONG:
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long: run with POINTSMAN_LONG=1"))


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on asyncio's own loop; those of both ends of the wire also, or only, on the one a gateway prefers."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.stem in {"test_siege", "test_smuggling"}:
        return {"uvloop": uvloop.new_event_loop}
    return {**loops, "uvloop": uvloop.new_event_loop} if item.path.stem in {"test_upstream", "test_wire"} else loops
