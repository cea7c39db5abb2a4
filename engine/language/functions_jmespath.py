"""JMESPath's own functions on values. Must not know the document: each works on values alone."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from engine.catalogue import Example
from engine.language.functions import Function
from engine.language.values import equal, is_number, type_name


class Abs(Function, name="abs", takes="value: number", returns="number", standard=True):
    """The number without its sign."""

    examples = [Example("a negative number", "abs(`-3`)", then=3), Example("null stays null", "abs(n)", {"n": None})]
    call = staticmethod(abs)


class Avg(Function, name="avg", takes="values: array-number", returns="number|null", standard=True):
    """The mean of a list of numbers; null for an empty list."""

    examples = [Example("two numbers", "avg(n)", {"n": [1, 2]}, 1.5), Example("an empty list", "avg(n)", {"n": []})]

    @staticmethod
    def call(values: list[Any]) -> Any:
        return sum(values) / len(values) if values else None


class Ceil(Function, name="ceil", takes="value: number", returns="number", standard=True):
    """The number rounded up to a whole one."""

    examples = [Example("rounds up", "ceil(`1.2`)", then=2), Example("null stays null", "ceil(n)", {"n": None})]
    call = staticmethod(math.ceil)


class Contains(Function, name="contains", takes="subject: array|string, search: any", returns="boolean", standard=True):
    """True when a text has the part, or a list the element. `true` and `1` are different elements."""

    examples = [
        Example("part of a text", "contains(t, 'b')", {"t": "abc"}, True),
        Example("a missing subject gives null", "contains(t, 'b')", {}),
        Example("a number is no part of a text", "contains('a1', `1`)", then=False),
    ]

    @staticmethod
    def call(subject: Any, search: Any) -> bool:
        if isinstance(subject, str):
            return isinstance(search, str) and search in subject
        if isinstance(search, str):
            return search in subject
        return any(equal(element, search) for element in subject)


class EndsWith(Function, name="ends_with", takes="text: string, suffix: string", returns="boolean", standard=True):
    """True when the text ends with the suffix."""

    examples = [
        Example("an ending", "ends_with(t, 'mini')", {"t": "gpt-4o-mini"}, True),
        Example("a missing text gives null", "ends_with(t, 'mini')", {}),
    ]
    call = staticmethod(str.endswith)


class Floor(Function, name="floor", takes="value: number", returns="number", standard=True):
    """The number rounded down to a whole one."""

    examples = [Example("rounds down", "floor(`1.8`)", then=1), Example("null stays null", "floor(n)", {"n": None})]
    call = staticmethod(math.floor)


class Join(Function, name="join", takes="glue: string, texts: array-string", returns="string", standard=True):
    """The texts as one, with the glue between them."""

    examples = [
        Example("joined", "join(', ', t)", {"t": ["a", "b"]}, "a, b"),
        Example("a null among the texts gives null", "join(', ', t)", {"t": ["a", None]}),
    ]
    call = staticmethod(str.join)


class Keys(Function, name="keys", takes="object: object", returns="array", standard=True):
    """The names of an object's members."""

    examples = [Example("names", "keys(o)", {"o": {"a": 1}}, ["a"]), Example("null stays null", "keys(o)", {})]

    @staticmethod
    def call(object: dict[str, Any]) -> list[Any]:
        return list(object)


class Length(Function, name="length", takes="subject: string|array|object", returns="number", standard=True):
    """How many code points a text has, elements a list, members an object."""

    examples = [
        Example("of a list", "length(l)", {"l": [1, 2]}, 2),
        Example("of what is missing: null", "length(l)", {}),
    ]
    call = staticmethod(len)


class Max(Function, name="max", takes="values: array-number|array-string", returns="number|string|null", standard=True):
    """The largest number, or the last text by code point; null for an empty list."""

    examples = [
        Example("numbers", "max(n)", {"n": [1, 3, 2]}, 3),
        Example("a null among them gives null", "max(n)", {"n": [1, None]}),
    ]

    @staticmethod
    def call(values: list[Any]) -> Any:
        return max(values, default=None)


class Merge(Function, name="merge", takes="...objects: object", returns="object", standard=True):
    """One object with the members of all; of two with the same name the later wins."""

    examples = [
        Example("two objects", "merge(a, b)", {"a": {"x": 1}, "b": {"x": 2}}, {"x": 2}),
        Example("a missing one gives null", "merge(a, b)", {"a": {"x": 1}}),
    ]

    @staticmethod
    def call(*objects: dict[str, Any]) -> dict[str, Any]:
        return {name: value for each in objects for name, value in each.items()}


class Min(Function, name="min", takes="values: array-number|array-string", returns="number|string|null", standard=True):
    """The smallest number, or the first text by code point; null for an empty list."""

    examples = [Example("texts", "min(n)", {"n": ["b", "a"]}, "a"), Example("an empty list", "min(n)", {"n": []})]

    @staticmethod
    def call(values: list[Any]) -> Any:
        return min(values, default=None)


class NotNull(Function, name="not_null", takes="...values: any", returns="any", standard=True):
    """The first value that is not null."""

    examples = [
        Example("the first that is there", "not_null(a, b)", {"b": 2}, 2),
        Example("none is there", "not_null(a, b)", {}),
    ]

    @staticmethod
    def call(*values: Any) -> Any:
        return next((value for value in values if value is not None), None)


class Reverse(Function, name="reverse", takes="subject: array|string", returns="array|string", standard=True):
    """A list or text back to front."""

    examples = [Example("a text", "reverse('abc')", then="cba"), Example("null stays null", "reverse(n)", {})]

    @staticmethod
    def call(subject: Any) -> Any:
        return subject[::-1]


class Sort(Function, name="sort", takes="values: array-string|array-number", returns="array", standard=True):
    """Numbers by value or texts by code point, smallest first."""

    examples = [
        Example("numbers", "sort(n)", {"n": [2, 1]}, [1, 2]),
        Example("a null among them gives null", "sort(n)", {"n": [2, None]}),
    ]

    @staticmethod
    def call(values: list[Any]) -> list[Any]:
        return sorted(values)


class StartsWith(Function, name="starts_with", takes="text: string, prefix: string", returns="boolean", standard=True):
    """True when the text begins with the prefix."""

    examples = [
        Example("a beginning", "starts_with(t, 'gpt-')", {"t": "gpt-4o"}, True),
        Example("a missing text gives null", "starts_with(t, 'gpt-')", {}),
    ]
    call = staticmethod(str.startswith)


class Sum(Function, name="sum", takes="values: array-number", returns="number", standard=True):
    """The sum of a list of numbers; 0 for an empty list."""

    examples = [
        Example("three numbers", "sum(n)", {"n": [1, 2, 3]}, 6),
        Example("an empty list", "sum(n)", {"n": []}, 0),
    ]
    call = staticmethod(sum)


class ToArray(Function, name="to_array", takes="value: any", returns="array", standard=True):
    """A list as it is, any other value as a list of one."""

    examples = [
        Example("one value", "to_array('a')", then=["a"]),
        Example("null is a value", "to_array(n)", {}, [None]),
    ]

    @staticmethod
    def call(value: Any) -> list[Any]:
        return value if isinstance(value, list) else [value]


class ToNumber(Function, name="to_number", takes="value: any", returns="number|null", standard=True):
    """A number as it is, a text that is a JSON number as that number, null for anything else."""

    examples = [Example("a text", "to_number('1e2')", then=100.0), Example("no number", "to_number('nan')")]

    @staticmethod
    def call(value: Any) -> Any:
        if is_number(value):
            return value
        if not isinstance(value, str) or not _NUMBER.match(value):
            return None
        number: Any = float(value) if re.search("[.eE]", value) else int(value) if len(value) <= 4000 else None
        return number if number is None or isinstance(number, int) or math.isfinite(number) else None


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")


class ToString(Function, name="to_string", takes="value: any", returns="string", standard=True):
    """Text as it is, any other value as compact JSON."""

    examples = [
        Example("a list", "to_string(l)", {"l": [1, 2]}, "[1,2]"),
        Example("null is written", "to_string(n)", {}, "null"),
    ]

    @staticmethod
    def call(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)


class Type(Function, name="type", takes="value: any", returns="string", standard=True):
    """The name of a value's type: `string`, `number`, `boolean`, `array`, `object` or `null`."""

    examples = [Example("a number", "type(`1`)", then="number"), Example("what is missing", "type(n)", {}, "null")]

    @staticmethod
    def call(value: Any) -> str:
        return type_name(value)


class Values(Function, name="values", takes="object: object", returns="array", standard=True):
    """The values of an object's members."""

    examples = [Example("values", "values(o)", {"o": {"a": 1}}, [1]), Example("null stays null", "values(o)", {})]

    @staticmethod
    def call(object: dict[str, Any]) -> list[Any]:
        return list(object.values())
