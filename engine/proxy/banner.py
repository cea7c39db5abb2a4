"""What the start prints: what was loaded, and two ways to try it; or why it does not start. Must not know sockets."""

from __future__ import annotations

import sys

import engine.runtime.executor
from engine.rules.program import Program
from engine.rules.section_options import host_and_port

CODE = "plain" if engine.runtime.executor.__file__.endswith(".py") else "compiled"
"""Whether requests run through Python code or the compiled build of it, which is made whole or not at all."""


def announce(program: Program, port: int, admin: int | None) -> None:
    """Print what is served, and where: the ports that were taken."""
    sys.stdout.write(banner(program, program.server.host, port, admin) + "\n")
    sys.stdout.flush()


def cannot_listen(address: str, wrong: OSError, options: str) -> int:
    """Say which address cannot be had, and which options choose another; the exit code."""
    why = wrong.strerror or wrong
    sys.stderr.write(f"cannot listen on {address}: {why}\nchoose another address with {options}\n")
    return 1


def banner(program: Program, host: str, port: int, admin: int | None) -> str:
    """Text for people; the examples work as they stand with the demo upstream."""
    base = f"http://{_shown(host)}:{port}/v1"
    model = next(iter(program.models.names), "demo-model")
    key = "" if program.open else "$KEY"
    admin_host = host_and_port(program.server.admin)[0] if admin is not None else ""
    told = "" if admin is None else f"\n  metrics and health on http://{_shown(admin_host)}:{admin}"
    header = f' -H "authorization: Bearer {key}"' if key else ""
    return f"""pointsman serves {base}
  {_count(program.rule_names, "rule")}, {_count(program.models.names, "model")}, {_count(program.keys, "key")}, \
upstreams: {", ".join(program.upstreams)}; rules version {program.version}, code: {CODE}{told}

try it with curl:
  curl {base}/chat/completions{header} -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "hi"}}]}}'

or with the OpenAI SDK:
  from openai import OpenAI
  client = OpenAI(base_url="{base}", api_key="{key or "any"}")
  print(client.chat.completions.create(model="{model}", messages=[{{"role": "user", "content": "hi"}}]))
"""


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _count(things: object, word: str) -> str:
    number = len(things)  # type: ignore[arg-type]
    return f"{number} {word}{'' if number == 1 else 's'}"
