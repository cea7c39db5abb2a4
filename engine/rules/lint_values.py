"""What a value can still be once tests on it are known to hold or to fail: the arithmetic of proofs.

Everything here is a superset: a value that passes is never left out, so "no value is left" is a proof. Must not know
conditions, only operators.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.language.operators import Change, Operator
from engine.language.values import type_name
from engine.rules.lint_ranges import Range, lengths, range_of
from engine.rules.lint_verdicts import MOST_CANDIDATES, NEEDS, OPPOSITE, SIZED, Asked, decided, identity

ANY_TYPE = frozenset({"array", "boolean", "null", "number", "object", "string"})
FALSY: tuple[Any, ...] = (None, False, "", [], {})
_BEYOND = {"gt": "lte", "gte": "lt", "lt": "gte", "lte": "gt"}


class Domain:
    """What one value can be. `narrow` adds what is known; `verdict` says what a further test would come to."""

    __slots__ = ("_alike", "_candidates", "_size", "length", "numbers", "prefix", "suffix", "tests", "texts", "types")

    def __init__(self, types: frozenset[str] = ANY_TYPE, candidates: Iterable[Any] | None = None) -> None:
        self.types = types
        self._candidates = None if candidates is None else list(candidates)
        self.numbers = Range()
        self.texts = Range()
        self.length = Range(low=0)
        self.prefix = ""
        self.suffix = ""
        self.tests: list[tuple[Asked, bool]] = []
        self._alike: dict[Change, dict[str, str]] = {}  # changed texts it may come to, each from one text
        self._size = 0  # how many tests the candidates have passed

    def copy(self) -> Domain:
        twin = Domain(self.types, self._candidates)
        twin.numbers, twin.texts, twin.length = self.numbers, self.texts, self.length
        twin.prefix, twin.suffix, twin._size = self.prefix, self.suffix, self._size
        twin.tests, twin._alike = [*self.tests], {**self._alike}
        return twin

    # --- what becomes known ------------------------------------------------------------------------------------------

    def narrow(self, operator: Asked, holds: bool) -> None:
        """Leave out the values for which a test does not come to this."""
        self.tests.append((operator, holds))
        name, constant = OPPOSITE.get(operator.name, operator.name), operator.value
        holds = holds is not (operator.name in OPPOSITE)
        if holds:
            self._holds(name, constant, operator)
        else:
            self._fails(name, constant)

    def _among(self, values: list[Any], change: Change | None) -> None:
        self.types &= {type_name(value) for value in values}
        if change is None:
            self.only(values)
        elif self.types <= {"string"}:
            texts = {change(value): value for value in values if isinstance(value, str)}
            known = self._alike.get(change, texts)
            self._alike[change] = {text: known[text] for text in known if text in texts}

    def only(self, candidates: Iterable[Any]) -> None:
        """Leave out all values but these."""
        fresh = list(candidates)
        if self._candidates is None:
            self._candidates, self._size = fresh, 0
        else:
            keys = {identity(value) for value in fresh}
            self._candidates = [value for value in self._candidates if identity(value) in keys]

    def _holds(self, name: str, constant: Any, operator: Asked) -> None:
        self.types &= NEEDS.get(name, ANY_TYPE)
        plain = operator.change is None
        if name in ("equals", "in"):
            values = [constant] if name == "equals" else list(constant)
            self._among(values, operator.change)
        elif name in ("gt", "gte", "lt", "lte", "between"):
            self._order(range_of(name, constant), constant)
        elif name == "length":
            self._long(constant)
        elif name == "exists":
            self.types = self.types - {"null"} if constant else self.types & {"null"}
        elif name == "type":
            self.types &= frozenset(constant)
        elif name == "empty":
            self._empty(bool(constant))
        elif name == "truthy":
            self.types -= {"null"}
        elif plain and name in ("starts_with", "ends_with", "glob"):
            self._ends(name, constant)

    def _fails(self, name: str, constant: Any) -> None:
        if name == "exists":
            self.types = self.types & {"null"} if constant else self.types - {"null"}
        elif name == "type":
            self.types -= frozenset(constant)
        elif name == "empty":
            self._empty(not constant)
        elif name == "truthy":
            self.only(FALSY)
        elif name in _BEYOND:
            self._order(range_of(_BEYOND[name], constant), constant, others=True)

    def _order(self, bounds: Range | None, constant: Any, *, others: bool = False) -> None:
        """Keep what lies within bounds; `others`: what is of another type than the bounds stays as well."""
        some = constant[0] if isinstance(constant, list) else constant
        kind = "string" if isinstance(some, str) else "number"
        if not others:
            self.types &= {kind}
        assert bounds is not None
        if kind == "string":
            self.texts = self.texts.within(bounds)
        else:
            self.numbers = self.numbers.within(bounds)
        if (self.texts if kind == "string" else self.numbers).empty:
            self.types -= {kind}

    def _long(self, size: Any) -> None:
        for bounds in lengths(size):
            self.length = self.length.within(bounds)
        self._fit()

    def _empty(self, wanted: bool) -> None:
        if wanted:
            self.types -= {"number", "boolean"}
            self.length = self.length.within(Range(high=0))
        else:
            self.types -= {"null"}
            self.length = self.length.within(Range(low=1))
        self._fit()

    def _ends(self, name: str, constant: str) -> None:
        first, last = _ends_of(name, constant)
        if not (first.startswith(self.prefix) or self.prefix.startswith(first)):
            self.types -= {"string"}
        if not (last.endswith(self.suffix) or self.suffix.endswith(last)):
            self.types -= {"string"}
        self.prefix = max(self.prefix, first, key=len)
        self.suffix = max(self.suffix, last, key=len)
        self._fit()

    def _fit(self) -> None:
        """A length that no sized value has, or that a required start or end does not leave."""
        if self.length.empty:
            self.types -= SIZED
        needed = max(len(self.prefix), len(self.suffix))
        if self.length.high is not None and needed > self.length.high:
            self.types -= {"string"}

    # --- what follows ------------------------------------------------------------------------------------------------

    @property
    def candidates(self) -> list[Any] | None:
        """All values that are left, where they can be counted; None otherwise."""
        if self._candidates is None and self.types <= {"null", "boolean"}:
            self._candidates = [None, True, False]
        if self._candidates is None or len(self._candidates) > MOST_CANDIDATES:
            return None
        fresh = [(one, holds) for one, holds in self.tests[self._size :] if not _needs_document(one)]
        self._size = len(self.tests)
        for operator, holds in fresh:
            check = operator.compile()
            self._candidates = [value for value in self._candidates if check(value) is holds]
        self._candidates = [value for value in self._candidates if type_name(value) in self.types]
        return self._candidates

    @property
    def counted(self) -> bool:
        """True when what is left can be tried one by one."""
        return bool(self._alike) or self.candidates is not None

    @property
    def impossible(self) -> bool:
        """True when it is proved that no value is left."""
        if not self.types:
            return True
        candidates = self.candidates
        if candidates is not None:
            return not candidates
        if any(not self._still_alike(change) for change in self._alike):
            return True
        return any(decided(self, operator) is (not holds) for operator, holds in self.tests)

    def _still_alike(self, change: Change) -> list[str]:
        """Texts for which all tests of this change come out as they did: they see nothing but the changed text."""
        checks = [(one.compile(), holds) for one, holds in self.tests if one.change is change]
        return [text for text in self._alike[change].values() if all(check(text) is holds for check, holds in checks)]

    def allows(self, value: Any) -> bool:
        """False when this value is proved to be left out."""
        if type_name(value) not in self.types:
            return False
        candidates = self.candidates
        if candidates is not None and identity(value) not in map(identity, candidates):
            return False
        return all(one.compile()(value) is holds for one, holds in self.tests if not _needs_document(one))

    def verdict(self, operator: Asked) -> bool | None:
        """What a test comes to for every value that is left; None when that is not known."""
        candidates = self.candidates
        if candidates is not None and not _needs_document(operator):
            check = operator.compile()
            return _unanimous(map(check, candidates))
        if operator.change is not None and operator.change in self._alike:
            return _unanimous(map(operator.compile(), self._still_alike(operator.change)))
        return decided(self, operator)


def _unanimous(verdicts: Iterable[bool]) -> bool | None:
    distinct = set(verdicts)
    return distinct.pop() if len(distinct) == 1 else None


def _needs_document(operator: Asked) -> bool:
    return isinstance(operator, Operator) and operator.needs_document


def _ends_of(name: str, constant: str) -> tuple[str, str]:
    if name == "starts_with":
        return constant, ""
    if name == "ends_with":
        return "", constant
    if "*" not in constant and "?" not in constant:
        return constant, constant
    first = constant.replace("?", "*").split("*")
    return first[0], first[-1]
