"""What the gateway answers itself: health, models, schema."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import openai
import pytest
from running import running, upstream
from scripted import raw, scripted, whole

KEY = f"keys: [{{name: a, sha256: {hashlib.sha256(b'k').hexdigest()}, models: ['f*']}}]\n"
OPEN = "rules: []\n"


@pytest.mark.parametrize("path", ["/health/live", "/health/liveliness", "/health/liveness"])
async def test_live(path: str, tmp_path: Path) -> None:
    async with running(KEY + OPEN, tmp_path) as run:
        answer = await run.http.get(path)
        assert (answer.status_code, answer.json()["status"]) == (200, "live")


@pytest.mark.parametrize("path", ["/health/ready", "/health/readiness", "/health/ready/"])
async def test_ready(path: str, tmp_path: Path) -> None:
    async with running(KEY + OPEN, tmp_path) as run:
        told = (await run.http.get(path)).json()
        assert told == {"status": "ready", "rules_version": run.gateway.program.version, "rules": 0}
        assert (await run.http.head(path)).content == b""
        run.gateway.draining = True
        draining = await run.http.get(path)
        assert (draining.status_code, draining.json()["status"]) == (503, "draining")


async def test_the_schema_is_the_one_of_the_catalogue(tmp_path: Path) -> None:
    committed = Path(__file__).parent.parent / "schema" / "rules.schema.json"
    async with running(OPEN, tmp_path) as run:
        assert (await run.http.get("/schema.json")).json() == json.loads(committed.read_text())


async def test_home_says_where_to_go(tmp_path: Path) -> None:
    async with running(OPEN, tmp_path) as run:
        assert "/v1/chat/completions" in (await run.http.get("/")).text


async def test_models_that_the_file_names(tmp_path: Path) -> None:
    models = "models: {fast: {model: x}, dear: {}, 'glob-*': {}}\n"
    async with running(models + OPEN, tmp_path) as run:
        async with openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any") as client:
            assert [model.id async for model in client.models.list()] == ["dear", "fast"]
        assert (await run.http.get("/models")).headers["x-request-id"]
        assert (await run.post("/v1/models")).status_code == 404


async def test_models_need_a_key_and_are_those_of_the_key(tmp_path: Path) -> None:
    async with running(KEY + "models: {fast: {}, dear: {}}\n" + OPEN, tmp_path) as run:
        assert (await run.http.get("/v1/models")).status_code == 401
        told = await run.http.get("/v1/models", headers={"x-api-key": "k"})
        assert [model["id"] for model in told.json()["data"]] == ["fast"]


async def test_one_model(tmp_path: Path) -> None:
    """A name, one that a glob names, one that nobody names, one that the key may not use."""
    async with running(KEY + "models: {fast: {}, dear: {}, 'f-*': {}}\n" + OPEN, tmp_path) as run:

        async def status(name: str) -> int:
            return (await run.http.get(f"/v1/models/{name}", headers={"x-api-key": "k"})).status_code

        assert [await status(name) for name in ("fast", "f-2%2Fb", "nobody", "dear")] == [200, 200, 404, 404]
        assert (await run.http.get("/v1/models/fast")).status_code == 401
        told = await run.http.get("/models/f-2", headers={"x-api-key": "k"})
        assert told.json() == {"id": "f-2", "object": "model", "created": 0, "owned_by": "pointsman"}


async def test_without_models_the_first_upstream_is_asked(tmp_path: Path) -> None:
    listing = b'{"object": "list", "data": [{"id": "theirs", "object": "model", "created": 1, "owned_by": "x"}]}'
    async with (
        scripted(whole(listing), raw(b"not HTTP\r\n\r\n", then="close")) as up,
        running(upstream(up.url, api_key="ours") + OPEN, tmp_path) as run,
    ):
        assert (await run.http.get("/v1/models")).content == listing
        assert up.requests[0].line == "GET /v1/models HTTP/1.1"
        assert ("authorization", "Bearer ours") in [(name.lower(), value) for name, value in up.requests[0].headers]
        broken = await run.http.get("/v1/models")
        assert (broken.status_code, broken.json()["error"]["code"]) == (502, "upstream_connection")


async def test_the_demo_has_models_too(tmp_path: Path) -> None:
    async with running(OPEN, tmp_path) as run:
        assert (await run.http.get("/v1/models")).json()["data"]
