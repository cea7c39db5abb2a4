"""What a redaction is made of: the text of its marks, its paths, and what it says of streams. Must not know rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.catalogue import Scope
from engine.document.dialect import TextChange
from engine.document.exchange import Exchange
from engine.document.paths import Path
from engine.document.walks import anything
from engine.language.template import Template
from engine.language.windows_several import Windows
from engine.options import MISSING
from engine.source import Node, Scalar

_NAME = re.compile(r"\{\{\s*name\s*\}\}")
_HOLE = "\ue000"  # stands for the pattern's name while the rest of `with` is read as a template
HOLES = re.compile(_HOLE + "+")

Replacement = Callable[[str, str], str]  # name of the pattern, what it found -> what stands there instead


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a redaction looks for in a stream, in which texts (None: all), and what stands there instead."""

    windows: Windows
    kinds: frozenset[str] | None
    mark: Callable[[Exchange, str], str]  # of a pattern's name


class MarkText(Template):
    """A template in which `{{ name }}` is the name of the pattern that matched."""

    __slots__ = ()

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            text = _NAME.sub(lambda match: _HOLE * len(match[0]), node.value)  # of equal length: places stay right
            node = Scalar(text, node.span, plain_style=node.plain_style, locate=node._locate)  # noqa: SLF001
        return Template.read(node, scope)


def at_paths(body: dict[str, Any], paths: list[Path], change: TextChange) -> dict[str, Any]:
    for path in paths:
        value = path.get(body)
        if value is not MISSING:
            body = path.put(body, anything(value, change))
    return body
