"""`pointsman serve FILE`: run the gateway. The server is imported only here, when it is asked for."""

from __future__ import annotations

import argparse

SUMMARY = "run the gateway with a rules file"
LEVELS = ("debug", "info", "warning", "error")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The file, and what is given here wins over its `server:` section."""
    parser.add_argument("file", metavar="FILE", help="the rules file")
    parser.add_argument("--host", help="address to listen on, instead of server.host")
    parser.add_argument("--port", type=int, help="port to listen on, instead of server.port; 0 takes a free one")
    parser.add_argument("--workers", help="processes that share the port, instead of server.workers")
    parser.add_argument("--admin", help="address of metrics and health, instead of server.admin; off for none")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="debug shows each rule's decision")


def run(given: argparse.Namespace) -> int:
    """Serve until stopped."""
    import server

    words = [given.file, "--log-level", given.log_level]
    for name in ("host", "port", "workers", "admin"):
        if getattr(given, name) is not None:
            words += [f"--{name}", str(getattr(given, name))]
    return server.main(words)
