"""From the model a client asks for to the upstream that answers. Must not know HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from engine.actions.base import Apply
from engine.ports.wire import Patience


@dataclass(frozen=True, slots=True)
class Upstream:
    """Somebody who answers, ready to be called. `headers` include the credential."""

    name: str
    kind: str
    base_url: str
    headers: tuple[tuple[str, str], ...]
    query: str
    patience: Patience
    has_key: bool
    concurrent: int | None = None
    stream_usage: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: the upstream, the model named there (None: as asked for), and what puts its prompt in."""

    upstream: Upstream
    model: str | None = None
    prompt: Apply | None = None


class Models:
    """What clients may ask for. `entries` is None when the file names no models: any model, first upstream."""

    def __init__(self, first: Upstream, entries: dict[str, Target] | None) -> None:
        self.first = Target(first)
        self.entries = entries
        self.names = sorted(name for name in entries or () if not _is_glob(name))
        self.prompted = any(target.prompt is not None for target in (entries or {}).values())
        self._globs = [(_glob(name), target) for name, target in (entries or {}).items() if _is_glob(name)]

    def find(self, model: str) -> Target | None:
        """Where a model goes; None for a model that no entry names."""
        if self.entries is None:
            return self.first
        target = self.entries.get(model)
        if target is not None:
            return target
        for pattern, candidate in self._globs:
            match = pattern.fullmatch(model)
            if match:
                return _filled(candidate, match)
        return None


def _is_glob(name: str) -> bool:
    return "*" in name or "?" in name


def _glob(name: str) -> re.Pattern[str]:
    """A model glob: `*` any characters, `?` one. Names are short and patterns the author's own, so `re` is safe."""
    return re.compile("".join("(.*)" if c == "*" else "." if c == "?" else re.escape(c) for c in name), re.DOTALL)


def _filled(target: Target, match: re.Match[str]) -> Target:
    """`*` in `model` is what the glob matched."""
    if target.model is None or "*" not in target.model or not match.groups():
        return target
    return replace(target, model=target.model.replace("*", match[1]))


def matches_any(model: str, globs: list[str]) -> bool:
    """Whether a key's `models` allow a model."""
    return any(model == glob or (_is_glob(glob) and _glob(glob).fullmatch(model)) for glob in globs)
