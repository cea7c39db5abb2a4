"""What an operator is: a test of one value against a constant that was checked when the file was read.

No operator raises for any JSON value: a missing or wrong-typed one fails the test, and passes a negated test. The
operators themselves are in the `operators_*` files. Must not know conditions or where the value comes from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar, cast

from engine.catalogue import BAD, CATALOGUE, Entry, Scope
from engine.errors import did_you_mean
from engine.language.folding import fold, ignoring_case
from engine.options import found, from_environment
from engine.source import Mapping, Node, Scalar, Sequence

Check = Callable[[Any], bool]
Change = Callable[[str], str]


class Operator(Entry, kind="operator"):
    """A test of one value.

    `value`: the constant, checked. `negated`: holds for a missing or wrong-typed value. `textual`: takes
    `ignore_case` and `fold`, which set `change`, applied to both sides. `takes`: the types that can hold it, in
    JMESPath's words joined with `|`; empty for any. An example's `given` is the value tested,
    its `then` the verdict.
    """

    negated: ClassVar[bool] = False
    textual: ClassVar[bool] = False
    needs_document: ClassVar[bool] = False
    takes: ClassVar[str] = ""
    value: Any
    change: Change | None = None

    def compile(self) -> Callable[..., bool]:
        """The test as a function of the value; a missing value is None. It never raises.

        With `needs_document` the function takes the document as its second argument.
        """
        raise NotImplementedError

    @property
    def roots(self) -> frozenset[str]:
        """What of the document the test itself reads."""
        return frozenset()

    def text(self) -> str:
        """The test on one line, as `explain` shows it."""
        constant = json.dumps(self.shown(), ensure_ascii=False, default=str)
        changed = f" ({'fold' if self.change is fold else 'ignore_case'})" if self.change else ""
        return f"{self.name} {constant if len(constant) <= 200 else constant[:199] + '…'}{changed}"

    def key(self) -> tuple[Any, ...]:
        """Equal for operators that give the same verdict on every value."""
        return (self.name, canonical_value(self.constant()), self.change.__name__ if self.change else None)

    def constant(self) -> Any:
        """The constant as JSON, for keys."""
        return self.value

    def shown(self) -> Any:
        """The constant as JSON, for people."""
        return self.constant()

    def same(self, text: str) -> str:
        """A text of the constant as it is compared."""
        return self.change(text) if self.change else text


class Modifier(Operator):
    """Not a test of its own: changes how the text operators beside it compare."""

    effect: ClassVar[tuple[Change]]  # in a tuple, so that it does not become a method


class Operators(tuple[Operator, ...]):
    """Option type: a mapping of operators, all of which must hold."""

    __slots__ = ()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "object", "minProperties": 1}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """The operators of a mapping, or BAD after noting what is wrong with each."""
        if not isinstance(node, Mapping):
            scope.problem(
                "wrong-type",
                f"expected operators, found {found(node)}",
                node.span,
                help="write it like `{gte: 2, lt: 10}`",
            )
            return BAD
        known = CATALOGUE["operator"]
        read: list[Any] = []
        for key, value in node:
            operator = known.get(str(key.value))
            if operator is None:
                scope.problem(
                    "unknown-operator", f"unknown operator `{key.value}`", key.span, help=advice(str(key.value))
                )
                read.append(BAD)
            else:
                read.append(operator.read(value, scope))
        return BAD if any(one is BAD for one in read) else cls._modified(read, node, scope)

    @classmethod
    def _modified(cls, read: list[Operator], node: Mapping, scope: Scope) -> Any:
        tests = [operator for operator in read if not isinstance(operator, Modifier)]
        if not tests:
            scope.problem(
                "no-operator",
                "there is no operator here"
                if not read
                else f"`{read[0].name}` changes how the operators beside it compare, and there is none",
                node.span,
                help="add one, such as `equals: …` or `contains: …`",
            )
            return BAD
        effects = [operator.effect[0] for operator in read if isinstance(operator, Modifier) and operator.value]
        if not effects:
            return cls(tests)
        touched = [operator for operator in tests if operator.textual]
        if not touched:
            modifier = next(operator for operator in read if isinstance(operator, Modifier))
            key = node.key(modifier.name)
            scope.problem(
                "no-effect",
                f"`{modifier.name}` means nothing to `{tests[0].name}`",
                key.span if key else node.span,
                help="it goes beside operators on text",
            )
            return BAD
        for operator in touched:
            operator.change = fold if fold in effects else ignoring_case
        return cls(tests)


def operator(name: str, value: Any) -> Operator:
    """An operator with a constant of our own, as other forms of conditions are lowered to."""
    kind = cast(type[Operator], CATALOGUE["operator"][name])
    made = kind.__new__(kind)
    made.value = value
    return made


_OTHER_WORDS = {
    "eq": "equals",
    "is": "equals",
    "ne": "not_equals",
    "nin": "not_in",
    "neq": "not_equals",
    "one_of": "in",
    "regex": "matches",
    "regexp": "matches",
    "match": "matches",
    "re2": "matches",
    "like": "glob",
    "has": "contains",
    "includes": "contains",
    "ge": "gte",
    "le": "lte",
    "greater_than": "gt",
    "less_than": "lt",
    "prefix": "starts_with",
    "suffix": "ends_with",
    "size": "length",
    "len": "length",
    "present": "exists",
    "ip": "cidr",
    "range": "between",
    "any": "some",
    "all": "every",
    "case_insensitive": "ignore_case",
    "==": "equals",
    "=": "equals",
    "!=": "not_equals",
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
    "=~": "matches",
}


def advice(name: str) -> str:
    """What to write instead of a name that is no operator."""
    if name in ("not", "none") or name.startswith("not_"):
        return "put the negation outside: `not: {field: {…}}`"
    if name == "list":
        return "put an operator before a named list: `in: {list: NAME}`"
    plain = name.lower().lstrip("$")  # as other query languages write them
    instead = plain if is_operator(plain) else _OTHER_WORDS.get(plain)
    return f"did you mean `{instead}`?" if instead else did_you_mean(name, CATALOGUE["operator"])


def is_operator(name: object) -> bool:
    """True for the name of an operator or of a modifier."""
    return name in CATALOGUE["operator"]


def all_of(operators: tuple[Operator, ...]) -> Callable[..., bool]:
    """One test that holds when all hold; called with the document as well when one of them needs it."""
    checks = [one.compile() for one in operators]
    if len(checks) == 1:
        return checks[0]

    def holds(value: Any) -> bool:
        for check in checks:  # noqa: SIM110  `all()` over a generator costs three times as much
            if not check(value):
                return False
        return True

    return holds


def canonical_value(value: Any) -> Any:
    """A hashable form of JSON, equal for equal values only: `true` is not 1, numbers compare by value."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, (list, tuple)):
        return ("array", *map(canonical_value, value))
    if isinstance(value, dict):
        return ("object", frozenset((name, canonical_value(member)) for name, member in value.items()))
    return value


# --- types of constants that several operators share ------------------------------------------------------------------


class Constant:
    """Any JSON value but null."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"not": {"type": "null"}}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        value = from_environment(node, scope)
        if value is None:
            refuse_null(node, scope)
            return BAD
        return value


def refuse_null(node: Node, scope: Scope) -> None:
    """Note that nothing equals null: a missing value and null are one."""
    scope.problem(
        "null-literal",
        "nothing can be compared with null: missing and null are the same",
        node.span,
        help="write `exists: false`",
    )


class Values(list[Any]):
    """A list of values, or `{list: name}` for a list of the `lists:` section."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        named = {
            "type": "object",
            "properties": {"list": {"type": "string"}},
            "required": ["list"],
            "additionalProperties": False,
        }
        return {"anyOf": [{"type": "array"}, named]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if isinstance(node, Mapping) and [key.value for key, _ in node] == ["list"]:
            name = node.entries[0][1]
            if isinstance(name, Scalar) and isinstance(name.value, str):
                return scope.find("list", name.value, name.span)
            scope.problem("wrong-type", f"expected the name of a list, found {found(name)}", name.span)
            return BAD
        if isinstance(node, Sequence):
            values = [Constant.read(item, scope) for item in node]
            return BAD if any(value is BAD for value in values) else values
        scope.problem("wrong-type", f"expected a list, found {found(node)}", node.span, help=_listed(node, scope))
        return BAD


def _listed(node: Node, scope: Scope) -> str:
    value = node.plain()
    if isinstance(value, str) and value in scope.tables.get("list", {}):
        return f"the list of that name is written `{{list: {value}}}`"
    return (
        f"write it as a list: `[{value}]`"
        if isinstance(node, Scalar) and value is not None
        else ("write it as a list: `[a, b]`, or `{list: name}`")
    )
