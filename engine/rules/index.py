"""Finds, among thousands of steps, the few that can match an exchange.

Every step has one required predicate as its key, or stands in the rest that is always tried. What is found is a
superset: the step's own condition still decides. Must not know conditions beyond their keys.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from engine.document.exchange import Exchange
from engine.language.regex import encoded
from engine.rules.index_keys import Choice, Key, choose
from engine.rules.index_text import TextSet
from engine.rules.program import Step, Test

WORTH_IT = 8  # steps; below, trying each is faster than asking
Collect = Callable[[Exchange, list[int]], None]


class Index:
    """Numbers of steps by their keys; asked with an exchange, it gives the steps that can match, in order."""

    def __init__(self, steps: tuple[Step, ...], keys: list[list[Key] | None]) -> None:
        self.steps = steps
        self.rest = tuple(number for number, of_step in enumerate(keys) if of_step is None)
        groups: dict[tuple[Any, ...], _Group] = {}
        for number, of_step in enumerate(keys):
            for key in of_step or ():
                name = (_FAMILY[key.sort], key.path, key.change)
                if name not in groups:
                    groups[name] = _GROUPS[name[0]](key)
                groups[name].add(key, number)
        self._collects = [group.collect() for group in groups.values()]
        self._rest_steps = tuple(steps[number] for number in self.rest)

    def __call__(self, exchange: Exchange, after: int = -1) -> Sequence[Step]:
        found: list[int] = []
        for collect in self._collects:
            collect(exchange, found)
        steps = self.steps
        if not found:
            chosen: Sequence[Step] = self._rest_steps
        else:
            found += self.rest
            chosen = [steps[number] for number in sorted(set(found))]
        return chosen if after < 0 else [step for step in chosen if step.position > after]


class _Group:
    """The steps whose keys look at one value in one way."""

    def __init__(self, key: Key) -> None:
        self.read = key.subject.evaluate
        self.change = key.change
        self.numbers: dict[Any, list[int]] = {}

    def add(self, key: Key, number: int) -> None:
        """Note the step of a key."""
        self.numbers.setdefault(key.value, []).append(number)

    def collect(self) -> Collect:
        """A function that adds what it finds."""
        raise NotImplementedError


class _Equal(_Group):
    """`equals`, `in`: a dictionary. `True` finds 1 as well, which the condition itself then tells apart."""

    def collect(self) -> Collect:
        read, change = self.read, self.change
        table = {value: tuple(numbers) for value, numbers in self.numbers.items()}

        def collect(x: Exchange, found: list[int]) -> None:
            value = read(x)
            if change is not None and isinstance(value, str):
                value = change(value)
            try:
                hits = table.get(value)
            except TypeError:  # an object or a list equals no scalar
                return
            if hits is not None:
                found += hits

        return collect


class _Prefix(_Group):
    """`starts_with`: one look-up for each length that occurs."""

    def collect(self) -> Collect:
        read, change = self.read, self.change
        table = {value: tuple(numbers) for value, numbers in self.numbers.items()}
        lengths = sorted({len(value) for value in table})

        def collect(x: Exchange, found: list[int]) -> None:
            value = read(x)
            if not isinstance(value, str):
                return
            if change is not None:
                value = change(value)
            for length in lengths:
                hits = table.get(value[:length])
                if hits is not None:
                    found += hits

        return collect


class _Present(_Group):
    """Anything that is there."""

    def collect(self) -> Collect:
        read = self.read
        numbers = tuple(number for some in self.numbers.values() for number in some)

        def collect(x: Exchange, found: list[int]) -> None:
            if read(x) is not None:
                found += numbers

        return collect


class _Threshold(_Group):
    """`gt gte lt lte`: sorted bounds; equal ones count, the condition tells `gt` from `gte`."""

    def __init__(self, key: Key) -> None:
        super().__init__(key)
        self.bounds: dict[str, list[tuple[Any, int]]] = {"above": [], "below": []}

    def add(self, key: Key, number: int) -> None:
        self.bounds[key.sort].append((key.value, number))

    def collect(self) -> Collect:
        read = self.read
        above, below = sorted(self.bounds["above"]), sorted(self.bounds["below"])
        lows, highs = [bound for bound, _ in above], [bound for bound, _ in below]
        over, under = [number for _, number in above], [number for _, number in below]

        def collect(x: Exchange, found: list[int]) -> None:
            value = read(x)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found += over[: bisect_right(lows, value)]
                found += under[bisect_left(highs, value) :]

        return collect


class _Text(_Group):
    """`contains`, `matches`: one automaton for all patterns on a text. A list may hold any of them as an element."""

    def collect(self) -> Collect:
        read, change = self.read, self.change
        texts = TextSet(self.numbers)
        every = tuple({number for some in self.numbers.values() for number in some})

        def collect(x: Exchange, found: list[int]) -> None:
            value = read(x)
            if isinstance(value, str):
                texts.collect(encoded(value if change is None else change(value)), found)
            elif value is not None:
                found += every

        return collect


_FAMILY = {
    "equal": "equal",
    "prefix": "prefix",
    "present": "present",
    "above": "threshold",
    "below": "threshold",
    "text": "text",
}
_GROUPS: dict[str, type[_Group]] = {
    "equal": _Equal,
    "prefix": _Prefix,
    "present": _Present,
    "threshold": _Threshold,
    "text": _Text,
}


TEXTS = frozenset({"prompt_text", "system_text", "user_text", "last_user_text", "opaque", "stream", "metadata"})
NOT_TEXT = frozenset(
    {
        "model",
        "temperature",
        "top_p",
        "user",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "seed",
        "stop",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "n",
        "stream_options",
        "service_tier",
        "store",
    }
)
"""Fields of a request that no text is made of."""


def touches(writes: Sequence[str], paths: set[tuple[str | int, ...]]) -> bool:
    """Whether writing these parts (`request.model`) can change what an index has read."""
    return any(_meets(tuple(written.split(".")), path) for written in writes for path in paths)


def _meets(written: tuple[str, ...], path: tuple[str | int, ...]) -> bool:
    if written[0] == "request" and path[0] in TEXTS:
        return len(written) == 1 or written[1] not in NOT_TEXT
    if written[0] == "response" and path[0] in ("completion_text", "tool_text", "reasoning_text", "usage", "cost"):
        return True
    shared = min(len(written), len(path))
    return written[:shared] == path[:shared]


def indexed(
    steps: tuple[Step, ...], trees: Sequence[Any], writes: Sequence[Sequence[str]]
) -> tuple[tuple[Step, ...], Index]:
    """The steps with an index over them; those that may write what it reads know that it must be asked again."""
    choices = choose(trees)
    keys = [choice.keys for choice in choices]
    paths = {key.path for of_step in keys for key in of_step or ()}
    known = tuple(
        _known(step, _asked(step, tree, choice), asks_again=touches(of_step, paths))
        for step, tree, of_step, choice in zip(steps, trees, writes, choices, strict=True)
    )
    return known, Index(known, keys)


def _known(step: Step, matches: Test | None, *, asks_again: bool) -> Step:
    return replace(step, matches=matches, asks_again=asks_again, simple=step.simple and not asks_again)


def _asked(step: Step, tree: Any, choice: Choice) -> Test | None:
    """What is still asked of a step that the index found."""
    if choice.rest is tree:
        return step.matches
    return choice.rest.code() if choice.rest is not None else None
