"""Plain and compiled sources side by side: what they make of bodies that are nearly right is the same to the byte.

What an annotation says is checked in compiled code alone: so whatever clients or upstreams may send is tried on both.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from processes import serving
from scripted import Script, scripted, whole

ROOT = Path(__file__).parent.parent
PLAIN = ROOT.parent.parent  # of a build, the checkout
pytestmark = pytest.mark.skipif(not (ROOT / ".made-with").exists(), reason="this is no build")

EXCHANGES = 20_000 if os.environ.get("POINTSMAN_LONG") else 1_500
EXAMPLES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("native_same.yaml").read_text(encoding="utf-8"))
ODD = [None, 0, -1, 1.5, 1e300, 2**70, True, False, "", "x", "a@b.example", "\ud800"]
ODD += [[], [None], [1, "a"], [[]], {}, {"a": 1}, {"type": "text"}, {"type": "text", "text": 3}]
Place = tuple[Any, ...]


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """The ways to every value within another, the longest too."""
    yield at
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*at, key))


def nearly(value: Any, chance: random.Random) -> Any:
    """A copy in which some values are missing or others."""
    made = copy.deepcopy(value)
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
        *way, last = chance.choice([place for place in places(made) if place] or [("nothing",)])
        within = made
        for step in way:
            within = within[step]
        if isinstance(within, dict) and chance.random() < 0.2:
            within.pop(last, None)
        else:
            within[last] = copy.deepcopy(chance.choice(ODD))
    return made


def answering(example: dict[str, Any], chance: random.Random) -> Script:
    """An upstream's answer, whole or as a stream."""
    if "events" in example:
        kind, events = "text/event-stream", [json.dumps(nearly(event, chance)) for event in example["events"]]
        body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()
    else:
        kind, body = "application/json", json.dumps(nearly(example["answer"], chance)).encode()
    status = chance.choice([200, 200, 200, 200, 429])
    return whole(body, f"{status} X", f"content-type: {kind}\r\n")


async def told(client: httpx.AsyncClient, path: str, body: Any) -> tuple[int, dict[str, str], bytes]:
    """All of an answer but what depends on the clock."""
    text = json.dumps(body).encode()
    came, headers = bytearray(), {"content-type": "application/json", "x-request-id": "same"}
    async with client.stream("POST", path, content=text, headers=headers) as answer:
        try:
            async for piece in answer.aiter_raw():
                came += piece
        except httpx.RemoteProtocolError as broken:
            came += str(broken).encode()
    return answer.status_code, {k: v for k, v in answer.headers.items() if k != "date"}, bytes(came)


def records(folder: Path) -> list[str]:
    """All records but what depends on the clock, in an order of their own: a stream's may wait for another's."""
    found = [json.loads(line) for line in (folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    for record in found:
        for name in ("time", "timing", "trace"):
            del record[name]
        del record["input"]["headers"]["host"]
        record["outcomes"] = [{**outcome, "us": 0} for outcome in record["outcomes"]]
    return sorted(json.dumps(record) for record in found)


async def test_the_same_answers_and_records(tmp_path: Path) -> None:
    chance = random.Random(20261129)
    scripts: list[Script] = []

    async def script(talk: Any) -> None:
        await scripts[0](talk)

    folders = [tmp_path / "plain", tmp_path / "compiled"]
    for folder in folders:
        folder.mkdir()
    async with scripted(script) as up:
        rules = json.dumps({"upstreams": {"up": {"base_url": f"{up.url}/v1"}}, **EXAMPLES["rules"]})
        async with (
            serving(folders[0], rules, "--admin", "off", code=PLAIN) as (plain, to_plain),
            serving(folders[1], rules, "--admin", "off") as (compiled, to_compiled),
        ):
            for number in range(EXCHANGES):
                example = chance.choice(EXAMPLES["exchanges"])
                scripts[:] = [answering(example, chance)]
                body = nearly(example["request"], chance)
                one, other = [await told(client, example["path"], body) for client in (to_plain, to_compiled)]
                assert one == other, (number, body)
                assert up.requests[-1].body == up.requests[-2].body or one[0] >= 400
            for server in (plain, compiled):
                server.process.terminate()
                assert await server.ended() == 0
    assert records(folders[0]) == records(folders[1])
