"""JMESPath's functions that run an `&expression` on the elements of a list. Must not know how expressions run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.catalogue import Example
from engine.language.functions import Function, check_keys


class Map(Function, name="map", takes="expression: expref, values: array", returns="array", standard=True):
    """The expression on every element; unlike a projection, nulls stay."""

    examples = [
        Example("a member of each", "map(&a, l)", {"l": [{"a": 1}, {}]}, [1, None]),
        Example("null stays null", "map(&a, l)", {}),
    ]

    @staticmethod
    def call(expression: Callable[[Any], Any], values: list[Any]) -> list[Any]:
        return [expression(value) for value in values]


class MaxBy(Function, name="max_by", takes="values: array, expression: expref", returns="any", standard=True):
    """The element for which the expression is largest; null for an empty list."""

    examples = [
        Example("by a member", "max_by(l, &a)", {"l": [{"a": 1}, {"a": 2}]}, {"a": 2}),
        Example("an element without it gives null", "max_by(l, &a)", {"l": [{"a": 1}, {}]}),
    ]

    @staticmethod
    def call(values: list[Any], expression: Callable[[Any], Any]) -> Any:
        keys = [expression(value) for value in values]
        check_keys("max_by", keys)
        return values[max(range(len(keys)), key=keys.__getitem__)] if keys else None


class MinBy(Function, name="min_by", takes="values: array, expression: expref", returns="any", standard=True):
    """The element for which the expression is smallest; null for an empty list."""

    examples = [
        Example("by a member", "min_by(l, &a)", {"l": [{"a": 2}, {"a": 1}]}, {"a": 1}),
        Example("an empty list", "min_by(l, &a)", {"l": []}),
    ]

    @staticmethod
    def call(values: list[Any], expression: Callable[[Any], Any]) -> Any:
        keys = [expression(value) for value in values]
        check_keys("min_by", keys)
        return values[min(range(len(keys)), key=keys.__getitem__)] if keys else None


class SortBy(Function, name="sort_by", takes="values: array, expression: expref", returns="array", standard=True):
    """The elements in the order of what the expression gives for each; equal ones keep their order."""

    examples = [
        Example("by a member", "sort_by(l, &a)[].a", {"l": [{"a": 2}, {"a": 1}]}, [1, 2]),
        Example("an element without it gives null", "sort_by(l, &a)", {"l": [{"a": 2}, {}]}),
    ]

    @staticmethod
    def call(values: list[Any], expression: Callable[[Any], Any]) -> Any:
        keys = [expression(value) for value in values]
        check_keys("sort_by", keys)
        return [values[place] for place in sorted(range(len(keys)), key=keys.__getitem__)]
