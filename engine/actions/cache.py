"""`cache`: answers are kept, and given again to equal requests. Must not know how answers are found or kept."""

from __future__ import annotations

from typing import Any, Literal

from engine.actions.base import Action, Apply, Effect
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.language.expression import Expression
from engine.options import Duration, OneOrMany, Size, option
from engine.phases import REQUEST, Phase
from engine.ports.caching import Caching
from engine.ports.stores import Store, StoreRef, memory
from engine.source import Node

CACHED = frozenset(
    {"completion", "text_completion", "embeddings", "image_generation", "moderation", "responses", "messages", "rerank"}
)
"""Call types whose answers are JSON."""

_HI: dict[str, Any] = {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}
_STREAMED: dict[str, Any] = {"body": {**_HI["body"], "stream": True}}


class Cache(Action, name="cache", phases=frozenset({REQUEST}), call_types=CACHED, fallible=False):
    """Keep answers, and give them again to requests that are equal.

    It only says so where it stands: the cache is asked after the last request rule, the callbacks, the limits and the
    attempt rules, with the body as it would be sent. Requests are equal when they go the same way to the same model
    with the same body, `stream` and `stream_options` aside, for the same team (`key.team`, else `key.name`) under the
    same credentials. What is kept is the upstream's answer, whole or from a complete stream, with status 200 and no
    error inside; moderation, response and stream rules see a kept answer as they see a fresh one. Equal requests at the
    same time ask the upstream once. A client's `cache-control: no-store` keeps nothing, `no-cache` asks the upstream.
    Answers carry `x-pointsman-cache: hit` or `miss`. Of several `cache` rules the last one that matched holds.
    """

    meant = {
        **dict.fromkeys(("max_age", "expires", "expire", "duration", "ttl_seconds"), "write `ttl: 60s`"),
        **dict.fromkeys(("keys", "by", "key_by", "vary"), "write `key: [request.messages, key.team]`"),
        **dict.fromkeys(("backend", "type", "redis"), "name it under `stores`, and write `store: NAME`"),
        **dict.fromkeys(("semantic", "similarity", "similarity_threshold"), "only equal requests are found"),
    }

    ttl: Duration = option("How long an answer is given again.", short=True)
    key: OneOrMany[Expression] = option(
        "What makes requests equal, in place of body and team, as the request rules left it. Where all of it is null "
        "nothing is looked up or kept.",
        [],
    )
    store: Store | None = option("Where it is kept: a name of `stores`; default `memory`.", None, reads=StoreRef)
    max_size: Size = option("Largest answer that is kept.", 1024 * 1024)
    on_store_error: Literal["allow", "fail"] = option(
        "What a store that is down means: that the upstream is asked, or an error of the rule.", "allow"
    )

    examples = [
        Example(
            "an equal request is answered without the upstream, streams too",
            "actions: [{cache: {ttl: 60s}}]",
            {
                "steps": [
                    {"request": _HI, "upstream": {"stream": ["hello"]}, "expect": {"response": {"text": "hello"}}},
                    {"request": _HI, "expect": {"sent": None, "response": {"text": "hello"}}},
                    {
                        "after": "59s",
                        "request": _STREAMED,
                        "expect": {
                            "sent": None,
                            "response": {"text": "hello", "headers": {"x-pointsman-cache": "hit", "age": "59"}},
                            "records": [{"cache_hit": True, "attempts": 0}],
                        },
                    },
                    {"after": "1s", "request": _HI, "expect": {"sent": {"model": "gpt-4o"}}},
                ]
            },
        ),
        Example(
            "a client that wants a fresh answer gets one",
            "actions: [{cache: 60s}]",
            {
                "steps": [
                    {"request": _HI},
                    {
                        "request": {**_HI, "headers": {"cache-control": "no-cache"}},
                        "expect": {"sent": {"model": "gpt-4o"}, "records": [{"cache_hit": False}]},
                    },
                ]
            },
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.rule = scope.rule or ""
        for name, value, help in (
            ("ttl", self.ttl, "write it like `60s`; a rule that is not to act has `mode: off`"),
            ("max_size", self.max_size, "write it like `1MiB`"),
        ):
            if value <= 0:
                scope.problem("wrong-type", f"a `{name}` of 0 keeps nothing", places[name].span, help=help)

    def compile(self, phase: Phase) -> Apply:
        caching = Caching(
            self.rule,
            self.ttl,
            memory() if self.store is None else self.store,
            tuple(part.evaluate for part in self.key),
            self.max_size,
            self.on_store_error == "allow",
        )

        def apply(x: Exchange) -> Effect:
            x.caching = caching
            x.counts_usage = True  # a kept stream is given whole too, and whole answers tell their usage
            return None

        return apply
