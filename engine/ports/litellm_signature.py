"""How an author's method is called: decided once from its signature, so that it gets what it takes and no more.

Must not know exchanges.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

from engine.ports.context import kind
from engine.ports.hooks import BadCallback

Call = Callable[[Mapping[str, Any]], Any]
_IN_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def by_name(name: str, method: Any, offered: Sequence[str], needed: int) -> Call:
    """A call that gives each parameter the value of its name; BadCallback when one has no value to get.

    Parameters of other names are taken by their place, if there are at least the `needed` first of the offered ones.
    """
    parameters = _parameters(name, method)
    if parameters is None:
        return lambda values: method(**values)
    placed = [p for p in parameters if p.kind in _IN_PLACE]
    by_place = dict(zip([p.name for p in placed], offered, strict=False)) if len(placed) >= needed else {}
    args: list[str] = []
    named: dict[str, str] = {}
    for parameter in parameters:
        source = parameter.name if parameter.name in offered else None
        if source is None and parameter.default is Parameter.empty and parameter.kind in _IN_PLACE:
            source = by_place.get(parameter.name)
        if source is not None and parameter.kind is Parameter.POSITIONAL_ONLY:
            args.append(source)
        elif source is not None and parameter.kind in (*_IN_PLACE, Parameter.KEYWORD_ONLY):
            named[parameter.name] = source
        elif parameter.default is Parameter.empty and parameter.kind in (*_IN_PLACE, Parameter.KEYWORD_ONLY):
            raise BadCallback(
                f"`{name}` takes `{parameter.name}`, which nobody gives it", _written(name, offered, needed)
            )
    if any(p.kind is Parameter.VAR_KEYWORD for p in parameters):
        named |= {source: source for source in offered if source not in (*args, *named.values())}
    elif any(p.kind is Parameter.VAR_POSITIONAL for p in parameters) and not (args or named):
        args = list(offered[:needed])
    if not (args or named):
        raise BadCallback(f"`{name}` takes no argument, so it can see nothing", _written(name, offered, needed))
    return lambda values: method(
        *[values[source] for source in args], **{target: values[source] for target, source in named.items()}
    )


def by_place(name: str, function: Any, offered: Sequence[str], *, method: bool) -> Call:
    """A call that gives all offered values in their order; BadCallback when the function does not take them so."""
    if not callable(function):
        raise BadCallback(f"`{name}` is {kind(function)}, and cannot be called", "")
    try:
        inspect.signature(function).bind(*offered)
    except TypeError as error:
        taken = ", ".join((["self"] if method else []) + list(offered))
        raise BadCallback(
            f"`{name}` is called with {_count(len(offered))}: {error}",
            f"write `def {name.rpartition('.')[2]}({taken}):`",
        ) from None
    except ValueError:  # one that does not tell its signature
        pass
    return lambda values: function(*[values[source] for source in offered])


def _parameters(name: str, method: Any) -> list[Parameter] | None:
    if not callable(method):
        raise BadCallback(f"`{name}` is {kind(method)}, not a method", "")
    try:
        return list(inspect.signature(method).parameters.values())
    except (TypeError, ValueError):
        return None


def _written(name: str, offered: Sequence[str], needed: int) -> str:
    return f"write `{name.rpartition('.')[2]}(self, {', '.join(offered[:needed])})`"


def _count(number: int) -> str:
    return "1 argument" if number == 1 else f"{number} arguments"
