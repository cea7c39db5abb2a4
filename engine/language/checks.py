"""Checks a tree against the document before anything runs: names, phases, functions, types, comparisons.

Every mistake gives one problem: what is wrong counts as anything from there on. Must not know YAML or how trees run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.catalogue import Scope
from engine.document.headers import CREDENTIALS
from engine.errors import Severity, did_you_mean
from engine.language import traps
from engine.language.ast import (
    And,
    Ast,
    Call,
    Chain,
    Compare,
    Current,
    Entries,
    Field,
    Filter,
    Flatten,
    Index,
    Items,
    Literal,
    Not,
    Or,
    Project,
    Reference,
    Slice,
    Values,
    Whole,
)
from engine.language.checks_calls import check_call
from engine.language.checks_compare import check_comparison
from engine.language.checks_names import document, field_meant, root_shape, unknown_root
from engine.language.functions import WORDS
from engine.language.shapes import ANYTHING, Shape, common, list_of, of_types
from engine.language.values import type_name
from engine.source import Span

Place = Callable[[int, int], Span]


def check(ast: Ast, text: str, scope: Scope, place: Place) -> Shape:
    """What is known of the expression's value; problems go to `scope`."""
    return Checker(text, scope, place).shape(ast, document(scope))


class Checker:
    """One check of one expression. `here`, in every method, is the shape of the current value.

    `unknown`: how bad a field is that bodies are not known to have.
    """

    unknown: Severity = "warning"

    def __init__(self, text: str, scope: Scope, place: Place) -> None:
        self.text = text
        self.scope = scope
        self.place = place
        self.document = document(scope)
        self.chain_start = 0  # of the chain whose steps are being looked at

    def note(
        self, code: str, message: str, at: Ast | tuple[int, int], help: str = "", severity: Severity = "error"
    ) -> Shape:
        """Note a problem; what it is about counts as anything."""
        start, end = at if isinstance(at, tuple) else (at.start, at.end)
        self.scope.problem(code, message, self.place(start, end), help, severity)
        return ANYTHING

    def shape(self, node: Ast, here: Shape) -> Shape:
        """The shape of a node's value."""
        return _SHAPES[type(node)](self, node, here)

    # --- names ------------------------------------------------------------------------------------------------------

    def field(self, node: Field, here: Shape, *, operand: bool = False) -> Shape:
        """`operand`: it stands where a text may have been meant."""
        behind_dot = self.text[: node.start].rstrip().endswith(".")  # there only names stand
        if not behind_dot and (here.members is None or node.name not in here.members):
            trap = traps.in_field(node, here, operand=operand or here is self.document)
            if trap is not None:
                return self.note(*trap)
        if here is not self.document:
            return self.member(node, here)
        found = root_shape(node.name, self.scope)
        if found is None:
            return self.note(*unknown_root(node, self.scope, operand=operand))
        if isinstance(found, Shape):
            return found
        message, help = found
        return self.note("not-in-phase", message, node, help)

    def member(self, node: Field, here: Shape) -> Shape:
        if not here.may_be("object"):
            return self.no_member(node, here, f"has no member `{node.name}`")
        found = here.member(node.name)
        if here.name == "headers":
            return self.header(node, found or ANYTHING)
        if found is not None:
            return found
        if here.advisory:
            return self.unknown_field(node, here)
        help = self.meant_call(node) or did_you_mean(node.name, here.members or ())
        return self.note("unknown-member", f"{_owner(here, 'object')} has no member `{node.name}`", node, help)

    def unknown_field(self, node: Field, here: Shape) -> Shape:
        """A member that a body is not known to have, which is no mistake for certain."""
        help = field_meant(node.name, here, self.scope.call_types) or self.meant_call(node)
        message = f"{_owner(here, 'object')} has no field `{node.name}` that is known"
        return self.note("unknown-field", message, node, help, self.unknown)

    def header(self, node: Field, found: Shape) -> Shape:
        if node.name != node.name.lower():
            return self.note(
                "unknown-member", "names of headers are in lower case", node, f'write `headers."{node.name.lower()}"`'
            )
        if node.name in CREDENTIALS:
            hidden = f"`{node.name}` is a credential, which no rule can see"
            return self.note("hidden-header", hidden, node, "who calls is in `key`", "warning")
        return found

    def no_member(self, node: Ast, here: Shape, lacks: str) -> Shape:
        """A step into a value that cannot be stepped into that way."""
        kind = " or ".join(sorted(WORDS[name] for name in here.types or ()))
        code, severity = ("unknown-field", "warning") if here.advisory else ("unknown-member", "error")
        message = f"{_owner(here, 'value')} is {kind} and {lacks}"
        return self.note(code, message, node, self.meant_call(node), severity)  # type: ignore[arg-type]

    def meant_call(self, node: Ast) -> str:
        """What to write instead of a step that is the name of a function."""
        return traps.function_as_name(node, self.chain_start, self.text)

    def whole(self, node: Whole, here: Shape) -> Shape:
        return self.document

    def current(self, node: Current, here: Shape) -> Shape:
        return here

    def chain(self, node: Chain, here: Shape) -> Shape:
        if traps.is_loose_not(node.parts[0], self.text):
            return self.note(*traps.not_before_path(node, self.text))
        for part in node.parts:
            self.chain_start = node.start  # other chains may stand inside the step before
            here = self.shape(part, here)
        return here

    # --- lists ------------------------------------------------------------------------------------------------------

    def index(self, node: Index, here: Shape) -> Shape:
        if here.may_be("array"):
            return here.elements()
        return self.no_member(node, here, "has no elements")

    def slice(self, node: Slice, here: Shape) -> Shape:
        if here.may_be("array"):
            return list_of(here.elements())
        return self.no_member(node, here, "has no elements")

    def elements(self, node: Ast, of: Ast, here: Shape) -> Shape:
        """The shape of the elements of what a projection stands on."""
        found = self.shape(of, here)
        if found.may_be("array"):
            return found.elements()
        start = self.text.find("[", of.end)
        return self.no_member(of if start < 0 else Ast(start, start + 1), found, "has no elements")

    def flatten(self, node: Flatten, here: Shape) -> Shape:
        return list_of(self.elements(node, node.of, here).flattened())

    def project(self, node: Project, here: Shape) -> Shape:
        element = self.elements(node, node.of, here)
        return list_of(self.shape(node.each, element))

    def values(self, node: Values, here: Shape) -> Shape:
        found = self.shape(node.of, here)
        if not found.may_be("object"):
            self.no_member(node, found, "has no members")
        self.shape(node.each, ANYTHING)
        return of_types("array")

    def filter(self, node: Filter, here: Shape) -> Shape:
        element = self.elements(node, node.of, here)
        self.shape(node.condition, element)
        return list_of(self.shape(node.each, element))

    # --- values -----------------------------------------------------------------------------------------------------

    def literal(self, node: Literal, here: Shape) -> Shape:
        trap = traps.in_literal(node, self.text)
        if trap is not None:
            self.note(*trap)
        return of_types(type_name(node.value))

    def items(self, node: Items, here: Shape) -> Shape:
        return list_of(common([self.shape(item, here) for item in node.items]))

    def entries(self, node: Entries, here: Shape) -> Shape:
        return Shape(frozenset(("object",)), {name: self.shape(value, here) for name, value in node.entries})

    def negation(self, node: Not, here: Shape) -> Shape:
        self.shape(node.of, here)
        return of_types("boolean")

    def conjunction(self, node: And, here: Shape) -> Shape:
        return common([self.shape(part, here) for part in node.parts])

    def disjunction(self, node: Or, here: Shape) -> Shape:
        shapes = [self.shape(part, here) for part in node.parts]
        for place, part in enumerate(node.parts[1:], 1):
            if isinstance(part, Literal) and part.value and all(shape.only("boolean") for shape in shapes[:place]):
                return self.note(*traps.literal_alternative(node, part, self.text))
        return common(shapes)

    def comparison(self, node: Compare, here: Shape) -> Shape:
        return check_comparison(self, node, here)

    def call(self, node: Call, here: Shape) -> Shape:
        return check_call(self, node, here)

    def operand(self, node: Ast, here: Shape) -> Shape:
        """The shape of what stands where a text may have been meant."""
        return self.field(node, here, operand=True) if isinstance(node, Field) else self.shape(node, here)

    def reference(self, node: Reference, here: Shape) -> Shape:
        self.shape(node.of, here)
        return of_types("expref")


def _owner(here: Shape, otherwise: str) -> str:
    return f"`{here.name}`" if here.name else f"this {otherwise}"


_SHAPES: dict[type[Ast], Callable[[Checker, Any, Shape], Shape]] = {
    Field: Checker.field,
    Whole: Checker.whole,
    Current: Checker.current,
    Literal: Checker.literal,
    Index: Checker.index,
    Slice: Checker.slice,
    Chain: Checker.chain,
    Flatten: Checker.flatten,
    Project: Checker.project,
    Values: Checker.values,
    Filter: Checker.filter,
    Items: Checker.items,
    Entries: Checker.entries,
    Not: Checker.negation,
    And: Checker.conjunction,
    Or: Checker.disjunction,
    Compare: Checker.comparison,
    Call: Checker.call,
    Reference: Checker.reference,
}
