"""Calls: functions that do not exist, wrong counts and types of arguments, names of lists and patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.catalogue import CATALOGUE
from engine.errors import did_you_mean
from engine.language.ast import Ast, Call, Literal, Reference
from engine.language.calls import called
from engine.language.functions import WORDS, Function, Parameter, functions
from engine.language.lexer import ExpressionError
from engine.language.patterns import PatternNames
from engine.language.shapes import ANYTHING, Shape, of_types
from engine.source import Scalar

if TYPE_CHECKING:
    from engine.language.checks import Checker

_SYNONYMS = {
    "len": "length",
    "count": "length",
    "size": "length",
    "strip": "trim",
    "to_lower": "lower",
    "to_upper": "upper",
    "includes": "contains",
    "regex": "matches",
    "match": "matches",
    "search": "matches",
    "hash": "sha256",
    "int": "to_number",
    "str": "to_string",
    "coalesce": "not_null",
    "exists": "not_null",
}


def check_call(checker: Checker, node: Call, here: Shape) -> Shape:
    """The shape of what a call gives."""
    try:
        function = called(node)
    except ExpressionError as error:
        help = _meant(node.name) if error.code == "unknown-function" else error.help
        return checker.note(error.code, error.message, (error.start, error.end), help)
    shapes: list[Shape] = []
    for position, argument in enumerate(node.arguments):
        shapes.append(_argument(checker, function, argument, here, position))
    _references(checker, function, node, shapes)
    for argument, shape, position in zip(node.arguments, shapes, range(len(shapes)), strict=True):
        _fits(checker, function, function.parameter(position), argument, shape)
    if function.name == "in_list":
        _list_name(checker, node.arguments[1])
    if function.name == "matches":
        _pattern(checker, node.arguments[1])
    return ANYTHING if function.returns == "any" else of_types(*function.returns.split("|"))


def _argument(checker: Checker, function: type[Function], argument: Ast, here: Shape, position: int) -> Shape:
    if isinstance(argument, Reference):
        return of_types("expref")  # looked into when the list it runs over is known
    if function.parameter(position).types == {"expref"}:
        written = checker.text[argument.start : argument.end]
        return checker.note(
            "wrong-argument",
            f"`{function.name}` takes an expression after `&` as `{function.parameter(position).name}`",
            argument,
            f"write &{written}",
        )
    if function.name == "in_list" and position == 1:
        return ANYTHING  # only a name as it is written will do
    return checker.operand(argument, here) if position else checker.shape(argument, here)


def _references(checker: Checker, function: type[Function], node: Call, shapes: list[Shape]) -> None:
    """`&expression` runs on the elements of the list beside it."""
    listed = next(
        (shape for position, shape in enumerate(shapes) if "array" in function.parameter(position).types), None
    )
    for argument in node.arguments:
        if isinstance(argument, Reference):
            checker.shape(argument, listed.elements() if listed and listed.may_be("array") else ANYTHING)


def _fits(checker: Checker, function: type[Function], parameter: Parameter, argument: Ast, shape: Shape) -> None:
    if not parameter.types or shape.types is None or "null" in shape.types or shape.types & parameter.types:
        return
    found = " or ".join(sorted(WORDS[name] for name in shape.types))
    name = f" (`{shape.name}`)" if shape.name else ""
    checker.note(
        "wrong-argument",
        f"`{function.name}` takes {parameter.described()} as `{parameter.name}`, found {found}{name}",
        argument,
        function.signature(),
    )


def _list_name(checker: Checker, argument: Ast) -> None:
    if not isinstance(argument, Literal) or not isinstance(argument.value, str):
        checker.note(
            "wrong-argument",
            "`in_list` takes the name of a list, as text in single quotes",
            argument,
            "write in_list(key.name, 'vip')",
        )
        return
    checker.scope.find("list", argument.value, checker.place(argument.start, argument.end))


def _pattern(checker: Checker, argument: Ast) -> None:
    """The pattern is read like the operator's: by name, or as RE2, with the place of every mistake inside it."""
    if not isinstance(argument, Literal) or not isinstance(argument.value, str):
        return
    whole = checker.place(argument.start, argument.end)
    inside = argument.start + 1
    places = [checker.place(inside + at, inside + at + 1).start for at in range(len(argument.value) + 1)]
    exact = argument.end - argument.start == len(argument.value) + 2
    node = Scalar(
        argument.value,
        whole,
        plain_style=False,
        locate=(lambda _: places) if exact else lambda _: [whole.start] * (len(places) - 1) + [whole.end - 1],
    )
    PatternNames.read(node, checker.scope)


def _meant(name: str) -> str:
    if name in CATALOGUE.get("operator", {}) and name not in functions():
        return f"`{name}` is an operator: write the condition as a map, {{request.model: {{{name}: …}}}}"
    if name in _SYNONYMS:
        return f"did you mean `{_SYNONYMS[name]}`?"
    return did_you_mean(name, functions())
