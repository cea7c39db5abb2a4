"""Stores in Redis: what a real Valkey counts, what comes back by itself, and what happens while it is away."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from store_sequences import STEPS, SteppedClock, answers
from valkey_server import Valkey

import engine.ports
from engine.catalogue import BAD, Scope, discover
from engine.ports import redis_client
from engine.ports.redis_client import RedisClient
from engine.ports.store_memory import MemoryStore
from engine.ports.store_redis import Redis, RedisStore
from engine.ports.stores import Rate, Slots, Spend, StoreError, StoreSection, Used
from engine.rules.yaml_text import compose
from engine.source import Source

discover(engine.ports)
FUTURE = (("2026-10-08", 4e9), ("2026-10-09", 5e9))


@asynccontextmanager
async def opened(url: str, waits: float = 10.0, connections: int = 8, **options: Any) -> AsyncIterator[RedisStore]:
    store = RedisStore(RedisClient(url, waits, connections), "t", **options)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(valkey: Valkey) -> AsyncIterator[RedisStore]:
    async with opened(valkey.url) as store:
        yield store


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what comes by itself; the test fails by the time-out when it never does."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)


@given(STEPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_it_answers_as_memory_does(valkey: Valkey, steps: list[Any]) -> None:
    clock, other = SteppedClock(), SteppedClock()
    valkey.command("FLUSHALL")
    async with opened(valkey.unix_url, lease=1e9, now=lambda: clock.now().timestamp()) as store:
        assert await answers(store, clock, steps) == await answers(MemoryStore(other), other, steps)


async def test_all_claims_are_taken_or_none(store: RedisStore) -> None:
    claims = [Rate("r", 10, 60), Slots("s", 1), Spend("d", 5.0, FUTURE, 2.0)]
    first = await store.take(claims, "a")
    assert [standing.fits for standing in first] == [True, True, True]
    assert [round(standing.remaining, 3) for standing in first] == [9, 0, 3]
    assert first[2].window == "2026-10-08"
    second = await store.take(claims, "b")
    assert [standing.fits for standing in second] == [True, False, True]
    await store.settle([Used(claims[1]), Used(claims[2], 0.5, "2026-10-08")], "a")
    third = await store.take(claims, "b")
    assert [round(standing.remaining, 1) for standing in third] == [8, 0, 2.5]


async def test_the_server_says_what_time_it_is(store: RedisStore) -> None:
    past = Spend("d", 1.0, (("gone", 1e9), ("now", 4e9)), 1.0)
    assert [(await store.take([past], "a"))[0].window for _ in range(2)] == ["now", "now"]
    assert (await store.take([Spend("d", 1.0, (("gone", 1e9),), 1.0)], "a"))[0].reset == 0.0
    await store.take([Rate("r", 1, 0.05)], "a")
    assert not (await store.take([Rate("r", 1, 0.05)], "a"))[0].fits
    await asyncio.sleep(0.06)
    assert (await store.take([Rate("r", 1, 0.05)], "a"))[0].fits


async def test_a_take_is_one_round_trip(store: RedisStore, valkey: Valkey) -> None:
    claims = [Rate("r", 1e9, 60), Rate("t", 1e9, 60, 5.0), Slots("s", 9), Spend("d", 5.0, FUTURE, 2.0)]
    await store.take(claims, "a")
    await store.settle([Used(claims[2])], "a")  # the server knows both scripts now
    with socket.socket(socket.AF_UNIX) as watching:
        watching.connect(str(valkey.folder / "s"))
        watching.settimeout(5)
        watching.sendall(b"MONITOR\r\n")
        assert watching.recv(5) == b"+OK\r\n"
        await store.take(claims, "b")
        await store.settle([Used(claims[1], 1), Used(claims[2])], "b")
        seen = b""
        while b'lua] "ZREM"' not in seen or not seen.endswith(b"\r\n"):
            seen += watching.recv(65536)
    asked = [line.split()[3] for line in seen.split(b"\r\n") if line and b" lua]" not in line]
    assert asked == [b'"EVALSHA"', b'"EVALSHA"']


async def test_what_many_ask_at_once_is_answered_to_each(valkey: Valkey) -> None:
    async with opened(valkey.url, 5.0, connections=2) as store:
        asked = [store.take([Rate(f"r{n % 50}", 5, 86400)], "a") for n in range(500)]
        standings = await asyncio.gather(*asked)
        assert sum(standing[0].fits for standing in standings) == 250
        assert valkey.command("CLIENT", "LIST").count(b"cmd=eval") == 2


async def test_keys_go_by_themselves(store: RedisStore, valkey: Valkey) -> None:
    await store.take([Rate("r", 10, 1.0), Slots("s", 1), Spend("d", 5.0, FUTURE, 2.0)], "a")
    await store.put("v", b"v", 3.0)
    await store.take([Rate("zero", 10, 1.0, cost=0)], "a")
    keys = valkey.keys()
    assert len(keys) == 4
    lives = {key: int(valkey.command("PTTL", key)[1:]) for key in keys}
    assert all(left > 0 for left in lives.values()), lives
    assert lives["{t}:rate:r"] <= 1_100


async def test_values_end(store: RedisStore) -> None:
    await store.put("k", b"\x00v", 0.05)
    assert await store.get("k") == b"\x00v"
    await asyncio.sleep(0.1)
    assert await store.get("k") is None
    await store.put("k", b"v", 0.0)
    assert await store.get("k") is None


async def test_a_key_that_is_no_text_is_a_key(store: RedisStore) -> None:
    for key in ("ä\ud800", "ä\udfff", "nul\0", "nul", "two words\r\n"):
        assert [(await store.take([Rate(key, 1, 60)], "a"))[0].fits for _ in range(2)] == [True, False]
        await store.put(key, key.encode("utf-8", "surrogatepass"), 9.0)
        assert await store.get(key) == key.encode("utf-8", "surrogatepass")


async def test_a_server_that_has_forgotten_the_scripts_is_told_them_again(store: RedisStore, valkey: Valkey) -> None:
    await store.take([Rate("r", 5, 60)], "a")
    valkey.command("SCRIPT", "FLUSH")
    standings = await asyncio.gather(*[store.take([Rate("r", 5, 60)], "a") for _ in range(30)])
    assert sum(standing[0].fits for standing in standings) == 4


# --- slots ------------------------------------------------------------------------------------------------------------


async def test_slots_that_are_still_held_at_close_come_back(store: RedisStore, valkey: Valkey) -> None:
    async with opened(valkey.url) as other:
        assert (await other.take([Slots("s", 1)], "a"))[0].fits
        assert not (await store.take([Slots("s", 1)], "a"))[0].fits  # holders of two processes are two
    assert (await store.take([Slots("s", 1)], "a"))[0].fits


async def test_slots_are_renewed_while_their_holder_lives(valkey: Valkey) -> None:
    async with opened(valkey.url, lease=1.0) as living, opened(valkey.url, lease=1.0) as dead:
        await living.take([Slots("s", 2)], "a")
        await dead.take([Slots("s", 2)], "b")
        assert dead._renewing is not None
        dead._renewing.cancel()  # as if it had been killed
        dead._held.clear()
        assert not (await living.take([Slots("s", 2)], "c"))[0].fits
        await asyncio.sleep(1.5)
        assert [(await living.take([Slots("s", 2)], holder))[0].fits for holder in "cd"] == [True, False]
        await living.settle([Used(Slots("s", 2))], "a")
        assert (await living.take([Slots("s", 2)], "d"))[0].fits


async def test_a_slot_given_back_while_it_is_renewed_stays_given_back(store: RedisStore, valkey: Valkey) -> None:
    await store.take([Slots("s", 1)], "a")
    held = [(key, list(members)) for key, members in store._held.items()]
    await store.settle([Used(Slots("s", 1))], "a")
    await store._renewed(held)
    assert valkey.keys() == []


async def test_a_lease_ends_when_the_server_s_clock_jumps_back(valkey: Valkey) -> None:
    at = 2e9
    claims = [Slots("s", 1), Rate("r", 1, 60)]
    async with opened(valkey.url, now=lambda: at) as dead, opened(valkey.url, now=lambda: at) as asking:
        await dead.take(claims, "a")
        at -= 3600.0
        assert not (await asking.take(claims[:1], "b"))[0].fits
        assert (await asking.take(claims[1:], "b"))[0].retry_after == 60.0
        at += 31.0
        assert (await asking.take(claims[:1], "b"))[0].fits
        assert round((await asking.take(claims[1:], "b"))[0].retry_after, 6) == 29.0


async def test_what_was_taken_for_an_exchange_that_left_is_given_back(store: RedisStore, valkey: Valkey) -> None:
    claims = [Slots("s", 1), Spend("d", 1.0, FUTURE, 1.0), Rate("r", 1, 60)]
    waiting = asyncio.create_task(store.take(claims, "a"))
    await asyncio.sleep(0)  # it has asked
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait(store._client._lanes)
    await store._returns.finished()
    assert [standing.fits for standing in await store.take(claims, "b")] == [True, True, True]


# --- servers that are not there ---------------------------------------------------------------------------------------


async def test_a_server_killed_and_started_again_is_told_at_once_and_used_again(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_client, "REST", 0.2)
    fitted = failed = 0
    done = asyncio.Event()

    async def ask(store: RedisStore) -> None:
        nonlocal fitted, failed
        while not done.is_set():
            try:
                await store.take([Rate("r", 1e9, 60)], "a")
            except StoreError:
                failed += 1
            else:
                fitted += 1
            await asyncio.sleep(0.002)

    async with opened(valkey.url, lease=1.0) as store:
        await store.take([Slots("s", 3)], "held")
        asking = [asyncio.create_task(ask(store)) for _ in range(20)]
        await until(lambda: fitted > 100)
        valkey.kill()
        await until(lambda: failed > 500)
        before = fitted
        valkey.start()
        await until(lambda: fitted > before + 100)
        done.set()
        await asyncio.gather(*asking)
        # the new server knows nothing of the slot until it is renewed
        await until(lambda: b"held" in valkey.command("ZRANGE", "{t}:slots:s", "0", "-1"))
    assert [record.message.split(" is ")[1].partition(":")[0] for record in caplog.records] == ["down", "up again"]


async def test_a_server_that_is_silent_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_client, "REST", 60.0)
    asked = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(5), opened(f"redis://127.0.0.1:{port}", 0.1, connections=2) as store:
        told = await asyncio.gather(*[store.take([Slots("s", 1)], "a") for _ in range(50)], return_exceptions=True)
        assert {str(error) for error in told} == {f"store redis://127.0.0.1:{port} is down: no answer within 0.1 s"}
        before = asked
        for _ in range(500):
            with pytest.raises(StoreError):
                await store.take([Slots("s", 1)], "a")
        assert asked == before <= 2
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "nonsense", [b"$2\r\nhi\r\n", b"$1\r\n\x07\r\n", b":5\r\n", b"*1\r\n+a\r\n", b"HTTP/1.1 400\r\n\r\n"]
)
async def test_what_is_no_redis_is_told(nonsense: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(65536):
            writer.write(nonsense * asked.count(b"*"))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with opened(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", 0.5) as store:
        with pytest.raises(StoreError):
            await store.take([Rate("r", 1, 60)], "a")
    server.close()
    await server.wait_closed()


async def test_a_loop_that_was_held_up_is_no_failure_of_the_server(valkey: Valkey) -> None:
    async with opened(valkey.url, 0.1) as store:
        await store.take([Rate("r", 9, 60)], "a")
        asked = [asyncio.create_task(store.take([Rate("r", 9, 60)], "a")) for _ in range(3)]
        for held_up in (0.0, 0.3, 0.3):  # before it is sent, and before what came is read
            await asyncio.sleep(0)
            time.sleep(held_up)  # noqa: ASYNC251
        assert all(standing.fits for (standing,) in await asyncio.gather(*asked))


async def test_a_server_that_others_took_over_from_is_connected_to_anew(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_client, "REST", 0.1)
    async with opened(valkey.url) as store:
        await store.take([Rate("r", 9, 86400)], "a")
        before = valkey.command("CLIENT", "ID")
        valkey.command("REPLICAOF", "127.0.0.1", "1")
        try:
            with pytest.raises(StoreError, match="read only"):
                await store.take([Rate("r", 9, 86400)], "a")
        finally:
            valkey.command("REPLICAOF", "NO", "ONE")
        await asyncio.sleep(0.15)
        assert round((await store.take([Rate("r", 9, 86400)], "a"))[0].remaining) == 7
        connected = [int(row.split()[0][3:]) for row in valkey.command("CLIENT", "LIST").split(b"\n") if b"id=" in row]
        assert min(connected) > int(before[1:])


async def test_what_a_server_refuses_is_told_without_a_rest(store: RedisStore, valkey: Valkey) -> None:
    valkey.command("SET", "{t}:slots:s", "no set")
    valkey.command("SET", "{t}:rate:odd", "nonsense")
    for claim in (Slots("s", 1), Rate("odd", 1, 60)):
        with pytest.raises(StoreError, match="store redis://127"):
            await store.take([claim], "a")
    assert (await store.take([Rate("r", 1, 60)], "a"))[0].fits


async def test_credentials_are_never_told(valkey: Valkey) -> None:
    valkey.command("ACL", "SETUSER", "bob", "on", ">s3cret%", "~*", "+@all")
    address = valkey.url.removeprefix("redis://")
    good = RedisStore(RedisClient(f"redis://bob:s3cret%25@{address}/3"), "t")
    assert (await good.take([Rate("r", 1, 60)], "a"))[0].fits
    await good.close()
    for url in (f"redis://bob:wr0ng@{address}", f"redis://:wr0ng@{address}", "redis://bob:wr0ng@127.0.0.1:1/?x=wr0ng"):
        store = RedisStore(RedisClient(url), "t")
        with pytest.raises(StoreError) as told:
            await store.take([Rate("r", 1, 60)], "a")
        assert "wr0ng" not in str(told.value)
        assert "127.0.0.1" in str(told.value)
        await store.close()


async def test_a_user_needs_no_more_than_the_docs_say(valkey: Valkey) -> None:
    page = (Path(__file__).parent.parent / "docs" / "stores.md").read_text(encoding="utf-8")
    rights = page.partition("The user needs `")[2].partition("`")[0].replace("prefix", "t").split()
    assert len(rights) == 13
    rights += ["on", ">pw"]
    valkey.command("ACL", "LOG", "RESET")
    assert valkey.command("ACL", "SETUSER", "limits", *rights) == b"+OK\r\n"
    async with opened(valkey.url.replace("//", "//limits:pw@"), lease=0.3) as store:
        claims = [Rate("r", 10, 60), Slots("s", 1), Spend("d", 5.0, FUTURE, 2.0)]
        assert [standing.fits for standing in await store.take(claims, "a")] == [True, True, True]
        await asyncio.sleep(0.4)
        assert not (await store.take(claims, "b"))[1].fits  # it could be renewed
        await store.settle([Used(claims[0], 0.0), Used(claims[1]), Used(claims[2], 1.0, "2026-10-08")], "a")
        await store.put("k", b"v", 9.0)
        assert await store.get("k") == b"v"
        await store.put("k", b"v", 0.0)
        assert await store.add("n", 1.5, 9.0) == 1.5
    assert valkey.command("ACL", "LOG") == b"*0\r\n"


async def test_tls_is_verified_as_the_url_says(valkey: Valkey, tmp_path: Path) -> None:
    files = certificate(tmp_path)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", valkey.port)
        await asyncio.gather(passed_on(reader, far_writer), passed_on(far_reader, writer))

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    url = f"rediss://localhost:{server.sockets[0].getsockname()[1]}"
    async with opened(f"{url}?ssl_ca_certs={files[0]}") as store:
        assert (await store.take([Rate("r", 1, 60)], "a"))[0].fits
    async with opened(url) as store:
        with pytest.raises(StoreError, match="certificate"):
            await store.take([Rate("r", 1, 60)], "a")
    server.close()
    await server.wait_closed()


def certificate(folder: Path) -> tuple[str, str]:
    """Files of a certificate for `localhost` that nobody vouches for, and of its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with openssl")
    files = str(folder / "cert.pem"), str(folder / "key.pem")
    asked = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([openssl, *asked.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


async def test_a_cluster_of_one() -> None:
    clustered = Valkey(**{"cluster-enabled": "yes"})
    clustered.start()
    try:
        clustered.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        await until(lambda: b"cluster_state:ok" in clustered.command("CLUSTER", "INFO"))
        store = RedisStore(RedisClient(clustered.url, 10.0, cluster=True), "t")
        claims = [Rate("r", 30, 60), Slots("s", 1), Spend("d", 5.0, FUTURE, 0.1)]
        assert [standing.fits for standing in await store.take(claims, "a")] == [True, True, True]
        asked = [store.take([claims[0]], "a") for _ in range(50)]
        assert sum(standing[0].fits for standing in await asyncio.gather(*asked)) == 29
        await store.put("k", b"v", 5.0)
        assert await store.get("k") == b"v"
        await store.close()
        assert b":0\r\n" in clustered.command("EXISTS", "{t}:slots:s")
    finally:
        clustered.close()


# --- in a rules file --------------------------------------------------------------------------------------------------


def read(text: str) -> tuple[Any, Scope]:
    node, problems = compose(Source("rules.yaml", text))
    assert node is not None
    assert not problems
    scope = Scope()
    return StoreSection.read(node, scope), scope


def test_a_store_is_named_by_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1/1")
    made, scope = read("{redis: os.environ/REDIS_URL}")
    assert isinstance(made, Redis), scope.problems
    assert (made.url, made.prefix, made.timeout) == ("redis://127.0.0.1/1", "pointsman", 0.5)
    assert read("{redis: {url: os.environ/REDIS_URL, prefix: other}}")[0].address != made.address


@pytest.mark.parametrize(
    "url",
    ["rediss://u:p@h/2?ssl_cert_reqs=none", "unix:///tmp/s?db=1", "redis://[::1]:1", "redis://h?max_connections=9"],
)
def test_urls_are_taken_as_the_library_takes_them(url: str) -> None:
    made, scope = read(f"{{redis: '{url}'}}")
    assert made is not BAD, scope.problems


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "h:6379",
        "",
        "redis://",
        "redis://:6379",
        "redis://h:port",
        "redis://h:70000",
        "redis://[::1",
        "redis://h/db",
        "unix://",
        "redis://h?socket_timeout=long",
        "redis://h?unheard_of=1",
    ],
)
def test_a_url_that_leads_nowhere_is_a_problem(url: str) -> None:
    made, scope = read(f"{{redis: '{url}'}}")
    assert (made, [problem.code for problem in scope.problems]) == (BAD, ["bad-url"])


@pytest.mark.parametrize("options", ["prefix: 'a{b'", "timeout: 0", "connections: 0", "prefix: ''"])
def test_options_that_cannot_be_are_problems(options: str) -> None:
    made, scope = read(f"{{redis: {{url: 'redis://h', {options}}}}}")
    assert (made, [problem.code for problem in scope.problems]) == (BAD, ["wrong-type"])


def test_without_the_package_the_file_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.ports.extras.find_spec", lambda name: None)
    made, scope = read("{redis: 'redis://h'}")
    assert made is not BAD  # rules are checked and tested without it
    assert (scope.problems[0].code, scope.problems[0].severity) == ("missing-package", "warning")
    assert "pip install 'pointsman[redis]'" in scope.problems[0].help
