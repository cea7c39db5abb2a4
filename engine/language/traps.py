"""The traps of the notation: what reads like one thing and means another. All are warnings: JMESPath allows them.

Must not know the document. What JMESPath itself refuses is explained in `engine.language.mistakes`.
"""

from __future__ import annotations

import re

from engine.errors import Severity
from engine.language.ast import Ast, Chain, Compare, Field, Literal, Not, Or
from engine.language.functions import functions
from engine.language.shapes import Shape

Trap = tuple[str, str, Ast, str, Severity]
"""Code, message, where, what to write instead, severity."""

_CONSTANTS = {"true", "false", "null", "True", "False", "Null", "None", "TRUE", "FALSE", "NULL", "none", "nil"}
_MEANT = {"none": "null", "nil": "null"}


def in_field(node: Field, here: Shape, *, operand: bool) -> Trap | None:
    """A name that was meant as a text or a constant. `operand`: it stands where a value would."""
    if node.name in _CONSTANTS and not node.quoted:
        meant = _MEANT.get(node.name.lower(), node.name.lower())
        return (
            "bare-literal",
            f"`{node.name}` without backticks is the name of a field",
            node,
            f"write `{meant}`, with the backticks",
            "warning",
        )
    if node.quoted and operand:
        text = node.name.replace("\\", "\\\\").replace("'", "\\'")
        return (
            "double-quoted-text",
            f'"{node.name}" in double quotes is the name of a field',
            node,
            f"text stands in single quotes: '{text}'",
            "warning",
        )
    return None


def in_literal(node: Literal, text: str) -> Trap | None:
    """A word in backticks that is no JSON, which JMESPath takes as text."""
    written = text[node.start : node.end].strip("() \t\r\n")
    if node.raw or not isinstance(node.value, str) or written.strip("` \t\r\n").startswith('"'):
        return None
    return (
        "bare-word-literal",
        f"what stands in these backticks is no JSON, so it is the text '{node.value}'",
        node,
        f"write '{node.value}' if text is meant",
        "warning",
    )


def is_loose_not(node: Ast, text: str) -> bool:
    """True for `!a` without parentheses around it."""
    return isinstance(node, Not) and text.startswith("!", node.start)


def not_before_path(node: Chain, text: str) -> Trap:
    """`!a.b` is `(!a).b`."""
    first, path = text[node.parts[0].start + 1 : node.parts[0].end], text[node.start + 1 : node.end]
    return (
        "loose-not",
        f"`!` belongs to `{first}` alone, and true or false has no members",
        node,
        f"write !({path})",
        "warning",
    )


def not_before_comparison(node: Compare, text: str) -> Trap:
    """`!a == b` is `(!a) == b`."""
    left = text[node.left.start + 1 : node.left.end]
    inside = text[node.left.start + 1 : node.end]
    opposite = {"==": "!=", "!=": "=="}.get(node.operator)
    other = f" or {left} {opposite} {text[node.right.start : node.right.end]}" if opposite else ""
    return (
        "loose-not",
        "`!` belongs to what stands right behind it, not to the comparison",
        node,
        f"write !({inside}){other}",
        "warning",
    )


def function_as_name(node: Ast, chain: int, text: str) -> str:
    """What `value | upper` and `value.upper` were meant as; empty when nothing. `chain`: where the value starts."""
    before = text[chain : node.start].rstrip()
    if not isinstance(node, Field) or node.quoted or not before.endswith(("|", ".")) or node.name not in functions():
        return ""
    function = functions()[node.name]
    if len(function.parameters) != 1:
        return f"a function is called with its arguments: {function.signature()}"
    if text[:chain].rstrip().endswith("."):
        return f"write {node.name}(@)"  # of each element that the chain is about
    value = same_text(before[:-1])
    opened = value.count("(") - value.count(")")
    return f"write {node.name}({same_text(value[max(opened, 0) :])})"


def literal_alternative(node: Or, part: Literal, text: str) -> Trap:
    """`a == 'x' || 'y'` is always true."""
    written = text[part.start : part.end]
    compared = next((p for p in node.parts if isinstance(p, Compare)), None)
    left = text[compared.left.start : compared.left.end] if compared else "…"
    return ("always-holds", f"{written} alone is always true", part, f"write {left} == {written}", "warning")


def same_text(text: str) -> str:
    """A stretch of an expression on one line, for messages."""
    return re.sub(r"\s+", " ", text.strip())
