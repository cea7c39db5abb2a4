"""From the model a client asks for to the upstream that answers. Must not know HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

from engine.actions.base import Apply
from engine.document.exchange import Exchange
from engine.ports.wire import Patience


@dataclass(frozen=True, slots=True)
class Upstream:
    """Somebody who answers, ready to be called.

    `headers` include the credential; `filled` are headers that are filled in for each call. Where `base_url` has
    `{model}` in it, the model's name stands there.
    """

    name: str
    kind: str
    base_url: str
    headers: tuple[tuple[str, str], ...]
    query: str
    patience: Patience
    has_key: bool
    concurrent: int | None = None
    stream_usage: bool = True
    filled: tuple[tuple[str, Callable[[Exchange], str]], ...] = ()
    translate: bool = False  # it has only the API of its kind

    def address(self, model: str | None) -> str:
        """Where its API begins, for a model."""
        if "{model}" not in self.base_url:
            return self.base_url
        return self.base_url.replace("{model}", quote(model or "", safe=""))


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: the upstream, the model named there (None: as asked for), and what puts its prompt in."""

    upstream: Upstream
    model: str | None = None
    prompt: Apply | None = None
    chosen: bool = True  # False: the upstream is everybody's default


class Models:
    """What clients may ask for. `entries` is None when the file names no models: any model, first upstream."""

    def __init__(self, first: Upstream, entries: dict[str, Target] | None) -> None:
        self.first = Target(first)
        self.entries = entries
        self.names = sorted(name for name in entries or () if not is_glob(name))
        self.prompted = any(target.prompt is not None for target in (entries or {}).values())
        self._globs = [(_glob(name), target) for name, target in (entries or {}).items() if is_glob(name)]

    def find(self, model: str) -> Target | None:
        """Where a model goes; None for a model that no entry names."""
        if self.entries is None:
            return self.first
        target = self.entries.get(model)
        if target is not None:
            return target
        return self._by_glob(model, frozenset())

    def _by_glob(self, model: str, tried: frozenset[int]) -> Target | None:
        """The first glob that a name fits, but those it came by."""
        for number, (pattern, candidate) in enumerate(self._globs):
            match = None if number in tried else pattern.fullmatch(model)
            if match:
                return self._filled(candidate, match, tried | {number})
        return None

    def _filled(self, target: Target, match: re.Match[str], tried: frozenset[int]) -> Target:
        """`*` in `model` is what the glob matched. It may name another entry, and where `model` is no more than `*` fit
        another glob; the outer upstream and prompt win, as with names.
        """
        if target.model is None or "*" not in target.model or not match.groups():
            return target
        name = target.model.replace("*", match[1])
        inner = (self.entries or {}).get(name) or (self._by_glob(name, tried) if target.model == "*" else None)
        if inner is None:
            return replace(target, model=name)
        upstream = target.upstream if target.chosen else inner.upstream
        chosen = target.chosen or inner.chosen
        return Target(upstream, inner.model or name, target.prompt or inner.prompt, chosen)


def is_glob(name: str) -> bool:
    return "*" in name or "?" in name


def _glob(name: str) -> re.Pattern[str]:
    """A model glob: `*` any characters, `?` one. Names are short and patterns the author's own, so `re` is safe."""
    return re.compile("".join("(.*)" if c == "*" else "." if c == "?" else re.escape(c) for c in name), re.DOTALL)


def matches_any(model: str, globs: list[str]) -> bool:
    """Whether a key's `models` allow a model."""
    return any(model == glob or (is_glob(glob) and _glob(glob).fullmatch(model)) for glob in globs)
