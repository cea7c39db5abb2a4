"""What an operator comes to on all values of a domain that cannot be counted: true, false, or not known.

Must not know how a domain became what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from engine.language.operators import Operator, Operators, canonical_value
from engine.language.operators_text import Contains, ContainsAny, Matches, MatchesAny
from engine.language.values import truthy, type_name
from engine.rules.lint_ranges import lengths, range_of

if TYPE_CHECKING:
    from engine.rules.lint_values import Domain

SIZED = frozenset({"array", "object", "string"})
MOST_CANDIDATES = 1_000  # values that are tried one by one
NEEDS: dict[str, frozenset[str]] = {  # what a value must be for the operator to hold, whatever its constant
    "contains": frozenset({"string", "array"}),
    "contains_any": frozenset({"string", "array"}),
    "starts_with": frozenset({"string"}),
    "ends_with": frozenset({"string"}),
    "glob": frozenset({"string"}),
    "matches": frozenset({"string"}),
    "matches_any": frozenset({"string"}),
    "cidr": frozenset({"string"}),
    "length": SIZED,
    "some": frozenset({"array"}),
    "every": frozenset({"array"}),
}
OPPOSITE = {"not_equals": "equals", "not_in": "in"}


class Truthy:
    """JMESPath's truth in the shape of an operator."""

    name: ClassVar[str] = "truthy"
    change: ClassVar[None] = None
    value: ClassVar[Any] = True

    def compile(self) -> Callable[[Any], bool]:
        return truthy

    def text(self) -> str:
        return "is true"


TRUTHY = Truthy()
Asked = Operator | Truthy


def decided(domain: Domain, operator: Asked) -> bool | None:
    """The verdict for every value of a domain; None when it is not known."""
    name = OPPOSITE.get(operator.name, operator.name)
    needs, rule = NEEDS.get(name), _VERDICTS.get(name)
    verdict = False if needs is not None and not domain.types & needs else rule(domain, operator) if rule else None
    return verdict if verdict is None or name == operator.name else not verdict


def identity(value: Any) -> Any:
    """A hashable form, equal for values that no operator tells apart."""
    return type_name(value), canonical_value(value)


def _equality(domain: Domain, operator: Asked) -> bool | None:
    if operator.change is not None:
        return None
    values = operator.value if operator.name in ("in", "not_in") else [operator.value]
    if len(values) > MOST_CANDIDATES:
        return None
    return None if any(domain.allows(value) for value in values) else False


def _presence(domain: Domain, operator: Asked) -> bool | None:
    if "null" not in domain.types:
        return bool(operator.value)
    return not operator.value if domain.types == {"null"} else None


def _typed(domain: Domain, operator: Asked) -> bool | None:
    names = frozenset(operator.value)
    return True if domain.types <= names else None if domain.types & names else False


def _emptiness(domain: Domain, operator: Asked) -> bool | None:
    most = domain.length.high
    if domain.types <= SIZED | {"null"} and most is not None and most <= 0:
        return bool(operator.value)
    return not operator.value if domain.types <= {"number", "boolean"} | _full(domain) else None


def _full(domain: Domain) -> frozenset[str]:
    """The sized types whose values are not empty."""
    if domain.length.low is not None and domain.length.low >= 1:
        return SIZED
    return frozenset({"string"}) if domain.prefix or domain.suffix else frozenset()


def _truth(domain: Domain, operator: Asked) -> bool | None:
    if domain.types == {"null"}:
        return False
    return True if domain.types <= {"number"} | _full(domain) else None


def _ordered(domain: Domain, operator: Asked) -> bool | None:
    constant = operator.value[0] if operator.name == "between" else operator.value
    kind, have = ("string", domain.texts) if isinstance(constant, str) else ("number", domain.numbers)
    if kind not in domain.types:
        return False
    wanted = range_of(operator.name, operator.value)
    assert wanted is not None
    if have.within(wanted).empty:
        return False
    return True if domain.types == {kind} and have.within(wanted) == have else None


def _length(domain: Domain, operator: Asked) -> bool | None:
    bounds = lengths(operator.value)
    both = domain.length
    for one in bounds:
        both = both.within(one)
    if both.empty:
        return False
    exact = not isinstance(operator.value, Operators) or len(bounds) == len(operator.value)
    return True if exact and domain.types <= SIZED and both == domain.length else None


def _start(domain: Domain, operator: Asked) -> bool | None:
    if operator.change is not None:
        return None
    constant, prefix = operator.value, domain.prefix
    if not (constant.startswith(prefix) or prefix.startswith(constant)):
        return False
    return True if domain.types == {"string"} and prefix.startswith(constant) else None


def _end(domain: Domain, operator: Asked) -> bool | None:
    if operator.change is not None:
        return None
    constant, suffix = operator.value, domain.suffix
    if not (constant.endswith(suffix) or suffix.endswith(constant)):
        return False
    return True if domain.types == {"string"} and suffix.endswith(constant) else None


def _among_words(domain: Domain, operator: Asked) -> bool | None:
    return _by_parts(domain, operator, (Contains, ContainsAny), _words)


def _among_patterns(domain: Domain, operator: Asked) -> bool | None:
    return _by_parts(domain, operator, (Matches, MatchesAny), _patterns)


def _by_parts(
    domain: Domain, operator: Asked, kinds: tuple[type[Operator], ...], parts: Callable[[Any], frozenset[Any]]
) -> bool | None:
    """One of few is one of more; none of many is none of some of them."""
    mine = parts(operator)
    for known, holds in domain.tests:
        if not isinstance(known, kinds) or known.change is not operator.change:
            continue
        if (holds and parts(known) <= mine) or (not holds and mine <= parts(known)):
            return holds
    return None


def parts_of(operator: Asked) -> frozenset[Any] | None:
    """The words or patterns of which an operator wants one, hashable; None for other operators."""
    if isinstance(operator, (Contains, ContainsAny)):
        return _words(operator)
    return _patterns(operator) if isinstance(operator, (Matches, MatchesAny)) else None


def _words(operator: Any) -> frozenset[Any]:
    values = [operator.value] if isinstance(operator, Contains) else operator.value
    return frozenset(identity(operator.same(value) if isinstance(value, str) else value) for value in values)


def _patterns(operator: Any) -> frozenset[Any]:
    return frozenset((pattern.name if pattern.checked else "", pattern.source) for pattern in operator.value)


_VERDICTS: dict[str, Callable[[Domain, Asked], bool | None]] = {
    "equals": _equality,
    "in": _equality,
    "exists": _presence,
    "type": _typed,
    "empty": _emptiness,
    "truthy": _truth,
    "gt": _ordered,
    "gte": _ordered,
    "lt": _ordered,
    "lte": _ordered,
    "between": _ordered,
    "length": _length,
    "starts_with": _start,
    "ends_with": _end,
    "contains": _among_words,
    "contains_any": _among_words,
    "matches": _among_patterns,
    "matches_any": _among_patterns,
}
