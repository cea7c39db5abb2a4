"""Compiles the sections `upstreams`, `models` and `keys`. Must not know rules."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from engine.catalogue import Scope
from engine.options import BAD
from engine.phases import REQUEST
from engine.ports.wire import Patience
from engine.rules.models import Models, Target, Upstream, is_glob
from engine.source import Mapping, Node

_AUTH = {"openai": "bearer", "anthropic": "x-api-key", "azure": "api-key", "demo": "bearer"}
DEMO = Upstream("demo", "demo", "http://demo.invalid/v1", (), "", Patience(), has_key=False)


def compile_upstreams(table: dict[str, Any]) -> dict[str, Upstream]:
    """All upstreams by name, the embedded `demo` among them."""
    found = {name: compile_upstream(name, section) for name, section in table.items() if section is not BAD}
    return {**found, "demo": DEMO}


def compile_upstream(name: str, section: Any) -> Upstream:
    """One upstream with its headers, the credential included, ready to send."""
    headers = [(str(key), str(value.fill(None))) for key, value in section.headers.items() if value.constant]
    filled = tuple((str(key), value.text) for key, value in section.headers.items() if not value.constant)
    if section.api_key is not None:
        how = section.auth or _AUTH[section.kind]
        headers.append(("authorization", f"Bearer {section.api_key}") if how == "bearer" else (how, section.api_key))
    base = _whole((section.base_url or DEMO.base_url).rstrip("/"), section.kind)
    patience = Patience(section.connect, section.first_byte, section.between_bytes, section.total)
    return Upstream(
        name,
        section.kind,
        base,
        tuple(headers),
        urlencode(section.query),
        patience,
        has_key=section.api_key is not None,
        concurrent=section.concurrent,
        stream_usage=section.stream_usage,
        filled=filled,
        translate=section.translate,
    )


def _whole(base: str, kind: str) -> str:
    """An address with the path that everybody's API of a kind has, where the author left it away."""
    if kind == "anthropic" and not base.endswith("/v1"):
        return f"{base}/v1"
    if kind == "azure" and not urlsplit(base).path.strip("/"):
        return f"{base}/openai/v1"
    return f"{base}/v1" if kind == "azure" and base.endswith("/openai") else base


def compile_models(table: dict[str, Any], upstreams: dict[str, Upstream]) -> Models:
    """The entries of `models`, aliases followed. Cycles were found by `check_models`."""
    first = next(iter(upstreams.values()))
    if not table:
        return Models(first, None)
    entries = {name: _target(name, table, upstreams) for name, section in table.items() if section is not BAD}
    return Models(first, entries)


def _target(name: str, table: dict[str, Any], upstreams: dict[str, Upstream]) -> Target:
    """Follow `model` from entry to entry; the outermost `upstream` and prompt win.

    What a glob fills in is known, and followed, when a client asks.
    """
    section = table[name]
    upstream, prompt, model = section.upstream, section.prompt, section.model
    visited = {name}
    while model in table and model not in visited and table[model] is not BAD and not (is_glob(name) and "*" in model):
        visited.add(model)
        section = table[model]
        upstream, prompt = upstream or section.upstream, prompt or section.prompt
        if section.model is None:
            break
        model = section.model
    chosen = upstreams[upstream] if upstream else next(iter(upstreams.values()))
    return Target(chosen, model, prompt.compile(REQUEST) if prompt is not None else None, chosen=upstream is not None)


def check_models(table: dict[str, Any], nodes: dict[str, Node], scope: Scope) -> None:
    """A chain of `model` names that comes back to where it began is a problem."""
    for name, section in table.items():
        chain = [name]
        while section is not BAD and section.model in table and section.model != chain[-1]:
            if section.model in chain:
                node = nodes.get(name)
                value = node.get("model") if isinstance(node, Mapping) else None
                if section.model == name == min(chain) and value is not None:  # each circle is told once
                    scope.problem(
                        "model-cycle",
                        f"model `{name}` names itself: " + " → ".join([*chain, name]),
                        value.span,
                        help="let one of them name a model of its upstream",
                    )
                break
            chain.append(section.model)
            section = table[section.model]


def compile_keys(sections: list[Any]) -> dict[bytes, dict[str, Any]]:
    """Callers by the hash of their key."""
    return {
        bytes.fromhex(key.sha256): {
            "name": key.name,
            "team": key.team,
            "user": key.user,
            "models": key.models,
            "metadata": key.metadata,
        }
        for key in sections
    }


def compile_ends(sections: list[Any]) -> dict[str, datetime.date]:
    """The last days of the keys that have one, by their names."""
    return {key.name: key.expires for key in sections if key.expires is not None}
