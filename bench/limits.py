"""What limits cost an exchange: declared by rules, taken before the upstream is asked, settled at its end.

Microseconds of processor time for everything around the store, the store in memory included, without sockets; the
floor is the same exchange under one rule that notes a tag. Usage: python bench/limits.py [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import tempfile
from pathlib import Path
from time import thread_time

sys.path.insert(0, str(Path(__file__).parent.parent))

from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.phases import REQUEST
from engine.proxy.admission import admit, settle
from engine.proxy.gateway import Gateway
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.runtime.executor import run

EXCHANGES = 500
CASES = {
    "one rule that notes a tag": "tag: seen",
    "requests": "rate_limit: {by: client.ip, requests: 1000000000/s}",
    "requests and slots": "rate_limit: {by: client.ip, requests: 1000000000/s, concurrent: 1000000}",
    "requests, tokens and slots": (
        "rate_limit: {by: client.ip, requests: 1000000000/s, tokens: 1000000000/s, concurrent: 1000000}"
    ),
    "a budget": "budget: {by: client.ip, usd: 1000000000}",
}
BODY = {"model": "m", "messages": [{"role": "user", "content": "What is the capital of France? " * 8}]}


def gateway_of(action: str, folder: Path) -> Gateway:
    file = folder / "rules.yaml"
    file.write_text(f"prices: {{m: {{input: 1, output: 2}}}}\nrules: [{{name: r, actions: [{{{action}}}]}}]\n")
    loaded = load(str(file))
    assert loaded.fine, loaded.problems
    return Gateway(compile_program(loaded), lambda _: None)


def exchanges(gateway: Gateway) -> list[Exchange]:
    made = []
    for number in range(EXCHANGES):
        x = Exchange(gateway.program, gateway.clock)
        x.call_type, x.dialect, x.request = "completion", DIALECTS["completion"], BODY
        x.peer, x.raw_headers = f"10.0.0.{number % 100}", ()
        made.append(x)
    return made


async def one_round(gateway: Gateway) -> float:
    """Microseconds an exchange."""
    plan, some = gateway.program.plan(REQUEST, "completion"), exchanges(gateway)
    began = thread_time()
    for x in some:
        await run(plan, x)
        if x.limits:
            assert await admit(gateway, x) is None
        if x.taken:
            await settle(gateway, x)
    return (thread_time() - began) / EXCHANGES * 1e6


async def main(rounds: int) -> None:
    gc.disable()  # as the gateway keeps the collector off its rules
    with tempfile.TemporaryDirectory() as folder:
        gateways = {name: gateway_of(action, Path(folder)) for name, action in CASES.items()}
        times: dict[str, list[float]] = {name: [] for name in CASES}
        for _ in range(rounds):  # in turn, so that a slow moment of the machine meets all
            for name, gateway in gateways.items():
                times[name].append(await one_round(gateway))
    floor = statistics.median(next(iter(times.values())))
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:28} {median:6.2f} us, {median - floor:+6.2f} over the floor; least {min(found):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    asyncio.run(main(parser.parse_args().rounds))
