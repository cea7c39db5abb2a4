"""The figures of a process: what its gateway counted, what stands now, what the machine tells of it.

Must not know how figures are shown.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from engine import __version__
from engine.proxy.gateway import Gateway
from engine.runtime.families import Figures, Labels, Value, add
from engine.runtime.reloads import Reloads

if TYPE_CHECKING:
    from engine.proxy.entry import Listening

_BEGAN = time.time()


def of_gateway(gateway: Gateway, listening: Listening) -> Figures:
    """What a gateway counted, and how it stands with its clients and sinks."""
    sinks = gateway.sinks()
    found = gateway.metrics.figures(sinks)
    found["pointsman_rules"] = {(gateway.program.version,): 1}
    found["pointsman_requests_in_flight"] = {(): listening.running}
    found["pointsman_connections"] = {(): listening.connections}
    waiting: dict[Labels, Value] = {}
    spooled: dict[Labels, Value] = {}
    for name, sink in sinks:
        add(waiting, (name,), sink.waiting)
        add(spooled, (name,), sink.spooled)
    found["pointsman_sink_waiting"], found["pointsman_sink_spooled"] = waiting, spooled
    return found


def of_rules(version: str, rules: int, reloads: Reloads) -> Figures:
    """Which rules serve, and what became of the attempts to serve others."""
    return {
        "pointsman_rules": {(version,): 1},
        "pointsman_rules_loaded": {(): rules},
        "pointsman_rules_loaded_timestamp_seconds": {(): reloads.loaded.timestamp()},
        "pointsman_reloads": {("good",): reloads.good, ("bad",): reloads.bad},
        "pointsman_last_reload_successful": {(): 0 if reloads.problems else 1},
    }


def of_process() -> Figures:
    """What the operating system tells of this process; what it does not tell is left out."""
    found: Figures = {
        "pointsman_build": {(__version__, ".".join(map(str, sys.version_info[:3]))): 1},
        "process_start_time_seconds": {(): _BEGAN},
        "process_cpu_seconds": {(): time.process_time()},
    }
    try:
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY:
            found["process_max_fds"] = {(): most}
        with open("/proc/self/statm", encoding="ascii") as file:
            found["process_resident_memory_bytes"] = {(): int(file.read().split()[1]) * resource.getpagesize()}
        found["process_open_fds"] = {(): len(os.listdir("/proc/self/fd"))}
    except (ImportError, OSError):
        pass  # no Linux
    return found
