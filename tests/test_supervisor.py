"""Many workers on one port, as real processes: replaced, reloaded, summed up, drained."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from processes import Process, process, serving
from prometheus_client.parser import text_string_to_metric_families as read_text
from running import CHAT, delta, eventually, upstream
from scripted import Talk, chunk, raw, scripted

RULES = """
sinks: {audit: {file: audit.jsonl}}
rules:
  - {name: no, match: {request.user: mallory}, actions: [{reject: Not you.}]}
  - {name: log, phase: log, actions: [{log_to: audit}]}
"""


class Crew:
    """A running gateway of two workers, and its admin address."""

    def __init__(self, server: Process, admin: httpx.AsyncClient, fresh: httpx.AsyncClient) -> None:
        self.server = server
        self.admin = admin
        self.fresh = fresh  # has a connection of its own for each request

    async def ask(self, **body: Any) -> httpx.Response:
        """One request over a connection of its own."""
        return await self.fresh.post("/v1/chat/completions", json={**CHAT, **body})

    async def workers(self) -> list[dict[str, Any]]:
        workers: list[dict[str, Any]] = (await self.admin.get("/reload")).json()["workers"]
        return workers

    async def measured(self) -> dict[str, float]:
        """The sums of all samples by name."""
        sums: dict[str, float] = {}
        for family in read_text((await self.admin.get("/metrics")).text):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
        return sums

    async def until(self, holds: Callable[[], Any]) -> None:
        """Ask again until something holds."""
        async with asyncio.timeout(20):
            while not await holds():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def both_serve(self) -> bool:
        return sum(bool(worker["rules_version"]) for worker in await self.workers()) == 2

    async def kill_one(self) -> int:
        """End the first worker at once, and see that it is missed; its process id."""
        pid: int = (await self.workers())[0]["pid"]
        os.kill(pid, signal.SIGKILL)

        async def missed() -> bool:
            return all(worker["pid"] != pid for worker in await self.workers())

        await self.until(missed)
        return pid

    async def everywhere(self, seen: Callable[[dict[str, Any]], bool]) -> bool:
        """Whether every worker says so: connections that are open at once are of both."""
        answers = await asyncio.gather(*(self.fresh.get("/health/ready") for _ in range(6)))
        return all(seen(answer.json()) for answer in answers)


@asynccontextmanager
async def crew(folder: Path, rules: str, *options: str) -> AsyncIterator[Crew]:
    async with serving(folder, rules, "--workers", "2", "--admin", "127.0.0.1:0", *options) as (server, _):
        found = re.search(r"metrics and health on (\S+)", server.said)
        assert found
        single = httpx.Limits(max_keepalive_connections=0)
        async with (
            httpx.AsyncClient(base_url=found[1], timeout=20) as admin,
            httpx.AsyncClient(base_url=server.url, timeout=20, limits=single) as fresh,
        ):
            yield Crew(server, admin, fresh)


async def test_a_killed_worker_is_replaced_and_what_it_counted_stays(tmp_path: Path) -> None:
    rules = RULES + "  - {name: few, actions: [{rate_limit: {by: client.ip, requests: 1000/min}}]}\n"
    async with crew(tmp_path, rules) as gateway:
        for _ in range(5):
            answers = await asyncio.gather(*(gateway.ask() for _ in range(20)))
            assert [answer.status_code for answer in answers] == [200] * 20
        assert (await gateway.measured())["pointsman_requests_total"] == 100

        async def written() -> bool:
            return (await gateway.measured())["pointsman_sink_records_total"] == 100

        await gateway.until(written)
        _, second = await gateway.workers()
        killed = await gateway.kill_one()
        for _ in range(5):
            answers = await asyncio.gather(*(gateway.ask() for _ in range(20)))
            assert [answer.status_code for answer in answers] == [200] * 20
        await gateway.until(gateway.both_serve)
        sums = await gateway.measured()
        assert sums["pointsman_requests_total"] == 200
        assert sums["pointsman_request_duration_seconds_count"] == 200
        assert sums["pointsman_workers"] == 2
        assert sums["pointsman_worker_restarts_total"] == 1
        replaced, kept = await gateway.workers()
        assert replaced["pid"] != killed
        assert kept["pid"] == second["pid"]
        gateway.server.process.terminate()
        error = await gateway.server.error()
        assert await gateway.server.ended() == 0
        assert "each of the 2 workers has `memory` of its own" in error
        assert "worker 1 was ended by signal 9; another takes its place" in error
        assert "Traceback" not in error
        records = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
        assert len(records) == 200


def rewrite(file: Path, text: str) -> None:
    """A file in the place of another, at once."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.replace(file)


async def test_all_workers_take_other_rules_and_a_mistake_is_said_once(tmp_path: Path) -> None:
    async with crew(tmp_path, RULES) as gateway:
        file, process = gateway.server.file, gateway.server.process
        before = (await gateway.workers())[0]["rules_version"]
        rewrite(file, RULES.replace("mallory", "oscar"))
        await gateway.until(lambda: gateway.everywhere(lambda told: told["rules_version"] != before))
        assert (await gateway.ask(user="oscar")).status_code == 400
        good = (await gateway.workers())[0]["rules_version"]

        rewrite(file, RULES.replace("match", "mach"))
        await gateway.until(lambda: gateway.everywhere(lambda told: "problems" in told))
        told = (await gateway.admin.get("/health/ready")).json()
        assert (told["problems"][0]["code"], told["workers"]) == ("unknown-key", {"ready": 2, "of": 2})
        assert (await gateway.ask(user="oscar")).status_code == 400

        await gateway.kill_one()  # and the file is broken now
        await gateway.until(gateway.both_serve)
        assert [worker["rules_version"] for worker in await gateway.workers()] == [good, good]
        assert await gateway.everywhere(lambda told: "problems" in told and told["rules_version"] == good)

        rewrite(file, RULES.replace("mallory", "trudy"))
        process.send_signal(signal.SIGHUP)
        await gateway.until(
            lambda: gateway.everywhere(lambda told: "problems" not in told and told["rules_version"] != good)
        )
        assert (await gateway.ask(user="trudy")).status_code == 400
        detail = (await gateway.admin.get("/reload")).json()
        assert (detail["good"], detail["bad"], detail["problems"]) == (2, 1, [])
        assert (await gateway.measured())["pointsman_rules_info"] == 1
        process.terminate()
        error = await gateway.server.error()
        assert error.count("error[unknown-key]") == 1
        assert await gateway.server.ended() == 0


async def test_a_stream_ends_in_peace_while_health_says_that_the_gateway_drains(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            + chunk(f"data: {delta('first')}\n\n".encode())
        )
        await asyncio.wait_for(gate.wait(), 20)
        await talk.send(chunk(f"data: {delta('second')}\n\ndata: [DONE]\n\n".encode()) + b"0\r\n\r\n")

    async with (
        scripted(script) as up,
        crew(tmp_path, upstream(up.url) + RULES) as gateway,
        gateway.fresh.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as answer,
    ):
        lines = answer.aiter_lines()
        assert "first" in await anext(lines)
        gateway.server.process.terminate()
        await gateway.until(lambda: _status(gateway, "/health/ready", 503))
        assert (await gateway.measured())["pointsman_requests_in_flight"] == 1
        try:
            await gateway.ask()
            refused = False
        except httpx.ConnectError:
            refused = True
        assert refused
        gate.set()
        assert "second" in "".join([line async for line in lines])
        assert await gateway.server.ended() == 0
    (record,) = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert (record["status"], record["error"]) == (200, None)


async def _status(gateway: Crew, path: str, status: int) -> bool:
    return (await gateway.admin.get(path)).status_code == status


async def test_what_does_not_end_in_time_is_cut_and_recorded(tmp_path: Path) -> None:
    rules = "server: {drain: 200ms}\n" + RULES
    async with scripted(raw(then="hang")) as up, crew(tmp_path, upstream(up.url) + rules) as gateway:
        never = asyncio.create_task(gateway.ask())
        await eventually(lambda: bool(up.requests))
        gateway.server.process.send_signal(signal.SIGINT)
        assert (await never).json()["error"]["code"] == "shutting_down"
        assert await gateway.server.ended() == 0
    (record,) = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert record["status"] == 503


async def test_workers_end_when_their_supervisor_is_gone(tmp_path: Path) -> None:
    async with crew(tmp_path, RULES) as gateway:
        pids = [worker["pid"] for worker in await gateway.workers()]
        gateway.server.process.kill()
        async with asyncio.timeout(20):
            while any(map(_runs, pids)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def _runs(pid: int) -> bool:
    """Whether a process is there, and not merely unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


DIES = """
import os, sys

if "--worker" in sys.argv and os.path.exists("die"):
    os._exit(3)

def log(kwargs, response, start, end):
    pass
"""


async def test_a_worker_that_dies_again_and_again_is_tried_with_pauses(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(DIES)
    async with crew(tmp_path, "success_callback: hooks.log\nrules: []\n") as gateway:
        (tmp_path / "die").touch()
        await gateway.kill_one()

        async def died() -> bool:
            return (await gateway.measured())["pointsman_worker_restarts_total"] >= 3

        await gateway.until(died)
        assert (await gateway.ask()).status_code == 200
        assert (await gateway.admin.get("/health/ready")).json()["workers"] == {"ready": 1, "of": 2}
        (tmp_path / "die").unlink()
        await gateway.until(gateway.both_serve)
        gateway.server.process.terminate()
        error = await gateway.server.error()
        assert "worker 1 ended with code 3; another takes its place" in error
        assert await gateway.server.ended() == 0


async def test_workers_that_cannot_serve_from_the_start_are_no_gateway(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(DIES)
    (tmp_path / "die").touch()
    rules = "success_callback: hooks.log\nrules: []\n"
    async with process(tmp_path, rules, "--port", "0", "--workers", "2", "--admin", "off") as server:
        error = await server.error()
        assert await server.ended() == 1
    assert "ended with code 3 before it served" in error


async def test_a_taken_port_is_said_by_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = ("--port", str(port), "--workers", "2", "--admin", "off")
        async with process(tmp_path, "rules: []\n", *options) as server:
            error = await server.error()
            assert await server.ended() == 1
    assert error.count(f"cannot listen on 127.0.0.1:{port}") == 1
    assert "Traceback" not in error


REFUSES = """
import os, sys

if "--worker" in sys.argv and os.path.exists("refuse"):
    raise RuntimeError("not in this process")

def log(kwargs, response, start, end):
    pass
"""


async def test_a_worker_that_cannot_take_the_rules_goes_on_and_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(REFUSES)
    rules = "success_callback: hooks.log\n" + RULES
    async with crew(tmp_path, rules) as gateway:
        (tmp_path / "refuse").touch()
        rewrite(gateway.server.file, rules.replace("mallory", "oscar"))

        async def refused() -> bool:
            return all("not in this process" in worker.get("refused", "") for worker in await gateway.workers())

        await gateway.until(refused)
        assert (await gateway.ask(user="mallory")).status_code == 400
        assert (await gateway.measured())["pointsman_rules_info"] == 2  # not all serve what they should
        (tmp_path / "refuse").unlink()
        rewrite(gateway.server.file, rules.replace("mallory", "trudy"))

        async def agreed() -> bool:
            return (await gateway.measured())["pointsman_rules_info"] == 1

        await gateway.until(agreed)
        assert (await gateway.ask(user="trudy")).status_code == 400
        gateway.server.process.terminate()
        assert "cannot serve the rules, and goes on as before" in await gateway.server.error()
        assert await gateway.server.ended() == 0
