"""`route`: who is asked, and who next when that fails. Must not know how calls are made."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

from engine.actions.asking import check_model
from engine.actions.base import Action, Apply, Effect
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.document.route import Route as Declared
from engine.errors import did_you_mean
from engine.language.expression import Expression
from engine.language.functions import percent_of
from engine.language.template import Template
from engine.options import Duration, Leaf, MapOf, OneOrMany, option
from engine.phases import REQUEST, Phase
from engine.source import Mapping, Node, Sequence

_HI = {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}
_BUSY = {"status": 503, "body": {"error": {"message": "busy"}}}
_WEIGHTS = MapOf(Leaf({"type": "string", "minLength": 1}), Leaf({"type": "number", "exclusiveMinimum": 0}))


class Route(Action, name="route", phases=frozenset({REQUEST}), writes=()):
    """Say who answers: another upstream, one of several models by weight, and who is asked when that fails.

    It only says so where it stands, and takes effect after the last request rule; a later `route` wins in what it says.
    A call that fails before the client has a byte (no connection, a time-out, status 408, 409, 429 and 500 to 599) is
    made again up to `retries` times, with pauses that begin at `backoff`, double and vary, and no shorter than the
    upstream's `retry-after`; retries are at most a fifth of an upstream's calls. Then the models of `fallbacks` are
    asked in order, also after 401, 403 and 404. An upstream that failed five times in a row rests, and is passed over
    while another can be asked. The key's `models` hold for every one of them. Failure rules come after that.
    """

    upstream: Template | None = option("Name of the upstream to ask instead of the model's own.", None, short=True)
    fallbacks: OneOrMany[Template] | None = option("Models to ask in order, as clients would name them.", None)
    retries: int | None = option(
        "How often a failed call is made again, of each model; default never.", None, minimum=0, maximum=10
    )
    backoff: Duration | None = option("Pause before the first retry; default 200ms.", None)
    timeout: Duration | None = option(
        "How long each call may take until it answers: all of it, or a stream's beginning.", None
    )
    split: dict[str, float] | None = option(
        "Models and their weights: one of them is asked instead of the model.", None, reads=_WEIGHTS
    )
    sticky: Expression | None = option("What keeps a caller with one model of `split`; default chance.", None)

    examples = [
        Example(
            "another model answers when the first is busy",
            "actions: [{route: {retries: 1, backoff: 0ms, fallbacks: [gpt-4o-mini]}}]",
            {"request": _HI, "upstream": [_BUSY, _BUSY, {"stream": ["hello"]}]},
            {
                "response": {"status": 200, "text": "hello"},
                "calls": [{"model": "gpt-4o"}, {"model": "gpt-4o"}, {"model": "gpt-4o-mini"}],
            },
        ),
        Example(
            "one of two models, always the same for a caller",
            "actions: [{route: {split: {gpt-4o: 1, gpt-4o-mini: 99}, sticky: client.ip}}]",
            {"request": _HI},
            {"sent": {"model": "gpt-4o-mini"}},
        ),
        Example(
            "what the client did wrong goes nowhere else",
            "actions: [{route: {fallbacks: [gpt-4o-mini]}}]",
            {"request": _HI, "upstream": {"status": 400, "body": {"error": {"message": "no"}}}},
            {"matched": ["example"], "response": {"status": 400}, "calls": [{"model": "gpt-4o"}]},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.rule = scope.rule or ""
        if not places:
            scope.problem(
                "missing-key", "`route` says nothing", node.span, help="write `route: NAME`, or one of its options"
            )
        if self.sticky is not None and self.split is None:
            scope.problem(
                "missing-key",
                "`sticky` keeps callers with a model of `split`, and there is none",
                places["sticky"].span,
                help="write `split: {model: weight, …}` beside it",
            )
        _check_upstream(self.upstream, places, scope)
        listed = places.get("fallbacks")
        nodes = list(listed) if isinstance(listed, Sequence) else [listed]
        for model, place in zip(self.fallbacks or [], nodes, strict=False):
            if model.constant and place is not None:
                check_model(str(model.fill(None)), place, scope)  # type: ignore[arg-type]
        split = places.get("split")
        for key, _ in split if isinstance(split, Mapping) else ():
            check_model(str(key.value), key, scope)

    def compile(self, phase: Phase) -> Apply:
        upstream, fallbacks = _filler(self.upstream), [fallback.fill for fallback in self.fallbacks or []]
        rest = (self.retries, self.backoff, self.timeout, _shares(self.split))
        rule, listed, sticky = self.rule, self.fallbacks is not None, self.sticky
        place = (lambda x: percent_of(sticky.evaluate(x), rule) / 100) if sticky is not None else lambda _: None

        def apply(x: Exchange) -> Effect:
            named = upstream(x)
            if named is not None and named not in x.program.upstreams:
                raise ValueError(f"there is no upstream {named!r}")
            models = tuple(str(model) for fill in fallbacks if (model := fill(x)) is not None) if listed else None
            x.route = Declared(rule, named, models, *rest, place(x)).over(x.route)
            return None

        return apply


def _filler(template: Template | None) -> Callable[[Exchange], Any]:
    return (lambda _: None) if template is None else template.fill


def _shares(split: dict[str, float] | None) -> tuple[tuple[str, float], ...] | None:
    """Each model with the share at which the next one begins."""
    if split is None:
        return None
    total = sum(split.values())
    return tuple(zip(split, [end / total for end in accumulate(split.values())], strict=True))


def _check_upstream(upstream: Template | None, places: dict[str, Node], scope: Scope) -> None:
    if upstream is None or not upstream.constant:
        return
    name, known = str(upstream.fill(None)), ["demo", *scope.tables.get("upstream", {})]  # type: ignore[arg-type]
    scope.used.add(("upstream", name))
    if name not in known:
        scope.problem(
            "unknown-upstream", f"unknown upstream `{name}`", places["upstream"].span, help=did_you_mean(name, known)
        )
