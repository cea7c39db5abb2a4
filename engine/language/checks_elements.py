"""Checks expressions about an element of a list: names in it are the element's. Must not know operators."""

from __future__ import annotations

from engine.catalogue import Scope
from engine.document.roots import ROOTS
from engine.language.ast import Ast, Field
from engine.language.checks import Checker, Place
from engine.language.functions import WORDS
from engine.language.shapes import Shape


class ElementChecker(Checker):
    """One check of one expression whose current value is an element, of which `element` is known.

    What it does not have is a warning: a condition that looks for it there does not hold.
    """

    def __init__(self, text: str, scope: Scope, place: Place, element: Shape) -> None:
        super().__init__(text, scope, place)
        self.element = element

    def no_member(self, node: Ast, here: Shape, lacks: str) -> Shape:
        help = self.meant_call(node)
        if not help and here is self.element and isinstance(node, Field):
            help = f"operators stand without a name: `{{equals: {node.name}}}`"
        kind = " or ".join(sorted(WORDS[name] for name in here.types or ()))
        owner = f"`{here.name}`" if here.name else "this value"
        return self.note("unknown-field", f"{owner} is {kind} and {lacks}", node, help, "warning")

    def unknown_field(self, node: Field, here: Shape) -> Shape:
        behind_dot = self.text[: node.start].endswith(".")
        if node.name not in ROOTS or here is not self.element or behind_dot:
            return super().unknown_field(node, here)
        message = f"`{here.name}` has no field `{node.name}` that is known"
        return self.note("unknown-field", message, node, f"the document is `$`: write $.{node.name}", self.unknown)
