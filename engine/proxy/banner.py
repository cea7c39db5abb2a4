"""What the start prints: what was loaded, and two ways to try it. Must not know sockets."""

from __future__ import annotations

from engine.rules.program import Program


def banner(program: Program, host: str, port: int) -> str:
    """Text for people; the examples work as they stand with the demo upstream."""
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{shown}:{port}/v1"
    model = next(iter(program.models.names), "demo-model")
    key = "" if program.open else "$KEY"
    header = f' -H "authorization: Bearer {key}"' if key else ""
    return f"""pointsman serves {base}
  {_count(program.rule_names, "rule")}, {_count(program.models.names, "model")}, {_count(program.keys, "key")}, \
upstreams: {", ".join(program.upstreams)}; rules version {program.version}

try it with curl:
  curl {base}/chat/completions{header} -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "hi"}}]}}'

or with the OpenAI SDK:
  from openai import OpenAI
  client = OpenAI(base_url="{base}", api_key="{key or "any"}")
  print(client.chat.completions.create(model="{model}", messages=[{{"role": "user", "content": "hi"}}]))
"""


def _count(things: object, word: str) -> str:
    number = len(things)  # type: ignore[arg-type]
    return f"{number} {word}{'' if number == 1 else 's'}"
