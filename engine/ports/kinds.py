"""A value that is one kind of a thing with its options: `{file: audit.jsonl}`, `{redis: …}`. Must not know any kind."""

from __future__ import annotations

from typing import Any, ClassVar

from engine.catalogue import CATALOGUE, Scope, schema_of
from engine.errors import did_you_mean
from engine.options import BAD, found
from engine.source import Mapping, Node, Scalar


class OneKind:
    """Option type: one entry of the catalogue's `kind`, written `{name: options}`, or its bare name.

    Subclasses name the kind of catalogue, what messages call it, and a sample.
    """

    kind: ClassVar[str]
    noun: ClassVar[str]
    sample: ClassVar[str]

    def __init_subclass__(cls, *, kind: str, noun: str, sample: str) -> None:
        cls.kind, cls.noun, cls.sample = kind, noun, sample

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """A bare kind where its options have defaults, or one kind with its options."""
        kinds = CATALOGUE.get(cls.kind, {})
        bare = [name for name, kind in kinds.items() if not any(o.required for o in kind.options.values())]
        long_form = {
            "type": "object",
            "properties": {name: schema_of(kind) for name, kind in sorted(kinds.items())},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        return {"anyOf": [{"enum": sorted(bare)}, long_form]} if bare else long_form

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """The entry, or BAD after noting why not."""
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return cls._read_kind(node, Mapping([], node.span), scope)
        if isinstance(node, Mapping) and len(node.entries) == 1:
            key, options = node.entries[0]
            bare = isinstance(options, Scalar) and options.value is None
            return cls._read_kind(key, Mapping([], options.span) if bare else options, scope)
        told = f"{len(node.entries)} kinds" if isinstance(node, Mapping) else found(node)
        scope.problem(
            "wrong-type",
            f"{cls.noun} is one kind with its options, found {told}",
            node.span,
            help=f"write it like `{cls.sample}`; kinds: " + ", ".join(sorted(CATALOGUE.get(cls.kind, {}))),
        )
        return BAD

    @classmethod
    def _read_kind(cls, key: Scalar, options: Node, scope: Scope) -> Any:
        kinds = CATALOGUE.get(cls.kind, {})
        name = str(key.value)
        if name not in kinds:
            scope.problem(
                f"unknown-{cls.kind.replace('_', '-')}-kind",
                f"unknown kind of {cls.kind.replace('_', ' ')} `{name}`",
                key.span,
                help=did_you_mean(name, kinds),
            )
            return BAD
        return kinds[name].read(options, scope)
