"""Who may call: keys that end, an author's own function, and the command that makes keys."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import openai
import pytest
from running import AUDIT, CHAT, LOG, running

from engine.report import as_text
from engine.rules.load import load
from engine.tools.cli import main

CHECK = '''
class Refused(Exception):
    """An exception with a status, as web frameworks have them."""

    status_code, detail = 403, "not today"


async def check(headers, path):
    given = headers.get("authorization", "")
    if given == "Bearer broken":
        raise RuntimeError("the database is at db.internal")
    if given == "Bearer refused":
        raise Refused
    if given == "Bearer odd":
        return {"name": "x", "tier": "gold"}
    if given == "Bearer nameless":
        return {"team": "core"}
    if given == "Bearer ada":
        return {"name": "ada", "team": path, "models": ["demo*"], "metadata": {"tier": "gold"}}
    return None


def plain(headers, path):
    return {"name": headers["x-api-key"]} if headers.get("x-api-key") else None


class Checks:
    async def __call__(self, headers, path):
        return {"name": "called"}


instance = Checks()
number = 7


def too_few(headers):
    return None
'''
SEEN = "\n  - {name: seen, actions: [{set_var: {who: '{{ key }}'}}]}"
ASK = {**CHAT, "model": "demo-1"}


def served(folder: Path, auth: str, more: str = "") -> Any:
    (folder / "my_auth.py").write_text(CHECK)
    return running(f"server: {{auth: my_auth.{auth}}}\n" + more + AUDIT + "rules:" + SEEN + LOG, folder)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_a_function_says_who_is_calling(tmp_path: Path) -> None:
    async with served(tmp_path, "check") as run:
        async with openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="ada", max_retries=0) as sdk:
            assert (await sdk.chat.completions.create(**ASK)).choices
            with pytest.raises(openai.PermissionDeniedError):
                await sdk.chat.completions.create(**{**ASK, "model": "gpt-4o"})
        first, _ = await run.records(2)
        assert (first["key"], first["team"]) == ("ada", "/v1/chat/completions")
        assert first["vars"]["who"]["metadata"] == {"tier": "gold"}
        assert (await run.http.get("/v1/models", headers=bearer("nobody"))).status_code == 401


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("nobody", 401, "invalid_api_key"),
        ("refused", 403, "not_authenticated"),
        ("broken", 500, "authentication_failed"),
        ("odd", 500, "authentication_failed"),
        ("nameless", 500, "authentication_failed"),
    ],
)
async def test_who_is_no_caller(key: str, status: int, code: str, tmp_path: Path) -> None:
    async with served(tmp_path, "check") as run:
        answer = await run.post(body=ASK, headers=bearer(key))
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert "db.internal" not in answer.text
        record = await run.record()
        assert (record["status"], record["error"]["source"], record["key"]) == (status, "auth", None)


async def test_without_a_key_nobody_is_let_in(tmp_path: Path) -> None:
    async with served(tmp_path, "check") as run:
        answer = await run.post(body=ASK)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_api_key")


@pytest.mark.parametrize(("auth", "who"), [("plain", "bob"), ("instance", "called")])
async def test_other_things_that_can_be_called(auth: str, who: str, tmp_path: Path) -> None:
    async with served(tmp_path, auth) as run:
        assert (await run.post(body=ASK, headers={"x-api-key": "bob"})).status_code == 200
        assert (await run.record())["key"] == who


async def test_entries_of_keys_come_first(tmp_path: Path) -> None:
    import hashlib

    more = f"keys: [{{name: ci, sha256: {hashlib.sha256(b'ada').hexdigest()}}}]\n"
    async with served(tmp_path, "check", more) as run:
        assert (await run.post(body=ASK, headers=bearer("ada"))).status_code == 200
        assert (await run.record())["key"] == "ci"


@pytest.mark.parametrize(
    ("auth", "says"),
    [("number", "is an int, not a function"), ("too_few", "cannot be called"), ("chekc", "did you mean `check`")],
)
def test_what_cannot_authenticate(auth: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "my_auth.py").write_text(CHECK)
    (tmp_path / "rules.yaml").write_text(f"server: {{auth: my_auth.{auth}}}\nrules: []\n")
    loaded = load(str(tmp_path / "rules.yaml"))
    assert not loaded.fine
    assert says in as_text(loaded.problems)


# --- keys that end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "status"), [(-1, 401), (0, 200), (1, 200)])
async def test_a_key_is_good_to_the_end_of_its_last_day(days: int, status: int, tmp_path: Path) -> None:
    import hashlib

    last = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days)
    keys = f"keys: [{{name: ci, sha256: {hashlib.sha256(b'sk').hexdigest()}, expires: {last}}}]\n"
    async with running(keys + "rules: []", tmp_path) as run:
        answer = await run.post(body=ASK, headers=bearer("sk"))
        assert answer.status_code == status
        if status == 401:
            assert answer.json()["error"]["code"] == "expired_api_key"


# --- pointsman key new ------------------------------------------------------------------------------------------------


async def test_a_new_key_works_as_it_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "new", "ci bot", "--team", "core", "--models", "demo*, fast", "--expires", "2099-12-31"]) == 0
    key, _, rest = capsys.readouterr().out.partition("\n")
    assert key not in rest
    entry = rest[rest.index("keys:") :]
    async with running(entry + "rules: []", tmp_path) as run:
        assert (await run.post(body=ASK, headers=bearer(key))).status_code == 200
        assert (await run.post(body={**ASK, "model": "other"}, headers=bearer(key))).status_code == 403
        assert (await run.post(body=ASK, headers=bearer(key + "x"))).status_code == 401


def test_two_keys_differ_and_json_has_both_parts(capsys: pytest.CaptureFixture[str]) -> None:
    made = []
    for _ in range(2):
        assert main(["key", "new", "on", "--json"]) == 0
        made.append(json.loads(capsys.readouterr().out))
    assert made[0]["key"] != made[1]["key"]
    assert made[0]["entry"]["name"] == "on"
    assert made[0]["entry"]["sha256"] != made[1]["entry"]["sha256"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["key"], "new"),
        (["key", "new"], "NAME"),
        (["key", "new", " "], "needs a name"),
        (["key", "new", "a", "--expires", "soon"], "write it like 2026-12-31"),
    ],
)
def test_wrong_use(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert says in capsys.readouterr().err
