"""Turns a call of a function into a closure that checks what it must and no more. Must not know texts or problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.language.ast import Call, Literal, Reference
from engine.language.closures import TOP, Code
from engine.language.functions import NULL, UNKNOWN, Function, admit, functions
from engine.language.lexer import ExpressionError
from engine.language.regex_syntax import RegexError
from engine.language.values import TYPE_NAMES, EvaluationError

Names = Mapping[str, Mapping[str, Any]]
"""What the rules define, by sort (`list`, `pattern`) and name."""

_BROKE = (ArithmeticError, RecursionError, ValueError)  # too large, too deep, too long: the value, not the type


def compile_call(function: type[Function], node: Call, codes: Sequence[Code], names: Names, *, strict: bool) -> Code:
    """The closure of a call whose arguments are compiled; ExpressionError for a pattern that RE2 refuses."""
    try:
        run = function.prepare([a.value if isinstance(a, Literal) else UNKNOWN for a in node.arguments], names)
    except RegexError as error:
        raise ExpressionError("bad-pattern", error.message, node.start, node.end, error.help) from error
    invoke = _invocation(function, run, strict=strict)
    constants = [a.value for a in node.arguments[1:] if isinstance(a, Literal)]
    if len(codes) == 1:
        return _of_one(codes[0], _quick(function, 0), run, invoke)
    if len(codes) == 2 and constants and type(constants[0]) in _quick(function, 1):
        if function.name == "contains" and isinstance(constants[0], str):
            return _contains_text(codes[0], constants[0], invoke)
        return _with_constant(codes[0], constants[0], _quick(function, 0), run, invoke)
    return lambda v, x=TOP: invoke([code(v, x) for code in codes])


def called(node: Call, *, strict: bool = False) -> type[Function]:
    """The function of a call, for the right number of arguments; else ExpressionError."""
    function = functions().get(node.name)
    if function is None or (strict and not function.standard):
        raise ExpressionError("unknown-function", f"unknown function `{node.name}`", node.start, node.name_end)
    if not function.takes_count(len(node.arguments)):
        raise ExpressionError(
            "wrong-arity",
            f"`{node.name}` takes {wanted_count(function)}, found {len(node.arguments)}",
            node.start,
            node.end,
            function.signature(),
        )
    for position, argument in enumerate(node.arguments):
        parameter = function.parameter(position)
        if isinstance(argument, Reference) and "expref" not in parameter.types:
            raise ExpressionError(
                "wrong-argument",
                f"`{function.name}` takes {parameter.described()} as `{parameter.name}`, found an expression after `&`",
                argument.start,
                argument.end,
            )
    return function


def wanted_count(function: type[Function]) -> str:
    """`2 arguments`, `at least 1 argument`."""
    count = len(function.parameters)
    least = "at least " if count and function.parameters[-1].variadic else ""
    return f"{least}{count or 'no'} argument{'s' if count != 1 else ''}"


def _quick(function: type[Function], position: int) -> frozenset[type]:
    """The Python types that an argument may have without a further look."""
    parameter = function.parameter(position)
    wanted = parameter.types - {"array"} if parameter.elements else parameter.types
    return frozenset(kind for kind, name in TYPE_NAMES.items() if not parameter.types or name in wanted)


def _invocation(function: type[Function], run: Callable[..., Any], *, strict: bool) -> Callable[[list[Any]], Any]:
    """The function on any arguments, every one looked at."""

    def invoke(values: list[Any]) -> Any:
        if admit(function, values, strict=strict) is NULL:
            return None
        try:
            return run(*values)
        except EvaluationError as error:
            if error.null and not strict:
                return None
            raise
        except _BROKE as error:
            raise EvaluationError(f"{function.name}(): {error}", "invalid-value") from error

    return invoke


def _of_one(of: Code, quick: frozenset[type], run: Callable[..., Any], invoke: Callable[[list[Any]], Any]) -> Code:

    def call(v: Any, x: Any = TOP) -> Any:
        value = of(v, x)
        if type(value) in quick:
            try:
                return run(value)
            except _BROKE:
                return invoke([value])  # says what is wrong
        return invoke([value])

    return call


def _with_constant(
    of: Code, constant: Any, quick: frozenset[type], run: Callable[..., Any], invoke: Callable[[list[Any]], Any]
) -> Code:

    def call(v: Any, x: Any = TOP) -> Any:
        value = of(v, x)
        return run(value, constant) if type(value) in quick else invoke([value, constant])

    return call


def _contains_text(of: Code, text: str, invoke: Callable[[list[Any]], Any]) -> Code:

    def call(v: Any, x: Any = TOP) -> Any:
        value = of(v, x)
        return text in value if type(value) is str or type(value) is list else invoke([value, text])

    return call
