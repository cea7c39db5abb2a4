"""Figures as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0 for who asks for it.

Must not know who counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.runtime.families import FAMILIES, Family, Figures, Labels, Value

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def wanted(accept: str) -> str:
    """The content type for an `accept` header: OpenMetrics where it is named and liked as well as plain text."""
    liked = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.lower().split(";"))
        if name in liked:
            liked[name] = max(liked[name], _quality(parameters))
    openmetrics, plain = liked.values()
    return OPENMETRICS if openmetrics and openmetrics >= plain else TEXT


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def exposition(figures: Figures, content_type: str = TEXT) -> bytes:
    """All figures as text, each metric once, in the order of the table."""
    openmetrics = content_type == OPENMETRICS
    lines: list[str] = []
    for family in FAMILIES.values():
        cells = figures.get(family.name)
        if cells:
            lines += _head(family, openmetrics=openmetrics)
            lines += _SAMPLES.get(family.type, _plain)(family, cells)
    if openmetrics:
        lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _head(family: Family, *, openmetrics: bool) -> list[str]:
    """In OpenMetrics a family bears its own name; in the older format that of its samples, and there is no `info`."""
    name, type = family.name, family.type
    if not openmetrics and type in _SUFFIXES:
        name, type = name + _SUFFIXES[type], "gauge" if type == "info" else type
    return [f"# HELP {name} {family.help.translate(_ESCAPES) if openmetrics else family.help}", f"# TYPE {name} {type}"]


_SUFFIXES = {"counter": "_total", "info": "_info"}


def _plain(family: Family, cells: dict[Labels, Value]) -> Iterator[str]:
    name = family.name + _SUFFIXES.get(family.type, "")
    for values, value in cells.items():
        assert not isinstance(value, list)
        yield f"{name}{_labels(family.labels, values)} {_number(value)}"


def _histogram(family: Family, cells: dict[Labels, Value]) -> Iterator[str]:
    """Buckets count what is up to their bound; the sum stands last in the cell."""
    names, bounds = (*family.labels, "le"), [*map(_number, family.bounds), "+Inf"]
    for values, value in cells.items():
        assert isinstance(value, list)
        total = 0.0
        for bound, count in zip(bounds, value, strict=False):
            total += count
            yield f"{family.name}_bucket{_labels(names, (*values, bound))} {_number(total)}"
        labels = _labels(family.labels, values)
        yield f"{family.name}_sum{labels} {_number(value[-1])}"
        yield f"{family.name}_count{labels} {_number(total)}"


_SAMPLES = {"histogram": _histogram}


def _labels(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join([f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs]) + "}"


def _number(value: float) -> str:
    """Exact, and bounds always as floats, as OpenMetrics wants them."""
    return repr(float(value))
