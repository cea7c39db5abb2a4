"""What a condition is once it is read: a tree, the same whichever form the author chose. Here are its leaves.

Every node compiles to `code(value, document)`, as expressions do: at the top the exchange alone is given. Must not
know YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from engine.language.ast import Ast, Compare, Literal, Reference, canonical, plain_path, roots
from engine.language.closures import TOP, Code
from engine.language.compile import Compiler, compile_ast
from engine.language.expression import Expression
from engine.language.operators import Operator
from engine.language.operators_equality import Equals
from engine.language.values import truthy
from engine.options import MISSING


class ElementExpression(Expression):
    """An expression whose current value is an element of a list; `evaluate(element, document)`."""

    __slots__ = ()

    def __init__(self, text: str, ast: Ast, tables: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(text, ast, Compiler(tables).inside.code(ast))
        self.roots = roots(Reference(ast.start, ast.end, ast))


@dataclass(frozen=True, slots=True)
class Finding:
    """What one node of a condition came to on one exchange.

    `text` says what was asked; `holds` is None for what was not looked at, because the verdict was clear before;
    `found` is the value of a test's subject, MISSING on nodes that have none; `error` why a node failed.
    """

    text: str
    holds: bool | None
    found: Any = MISSING
    parts: tuple[Finding, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """A condition. `key()` is equal for nodes that give the same verdict on every exchange."""

    def key(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def code(self) -> Code:
        """The verdict as a function."""
        raise NotImplementedError

    def explain(self, value: Any, document: Any = TOP) -> Finding:
        """The verdict and how it came about."""
        raise NotImplementedError

    def text(self) -> str:
        """What is asked, on one line."""
        raise NotImplementedError

    @property
    def roots(self) -> frozenset[str]:
        return frozenset()

    @property
    def size(self) -> int:
        """How many nodes it has."""
        return 1


@dataclass(frozen=True, slots=True)
class Always(Tree):
    """Holds."""

    def key(self) -> tuple[Any, ...]:
        return ("always",)

    def code(self) -> Code:
        return lambda v, x=TOP: True

    def explain(self, value: Any, document: Any = TOP) -> Finding:
        return Finding(self.text(), True)

    def text(self) -> str:
        return "always"


@dataclass(frozen=True, slots=True)
class Never(Tree):
    """Does not hold."""

    def key(self) -> tuple[Any, ...]:
        return ("never",)

    def code(self) -> Code:
        return lambda v, x=TOP: False

    def explain(self, value: Any, document: Any = TOP) -> Finding:
        return Finding(self.text(), False)

    def text(self) -> str:
        return "never"


@dataclass(frozen=True, slots=True, eq=False)
class Test(Tree):
    """An operator on the value of an expression."""

    subject: Expression
    operator: Operator

    def key(self) -> tuple[Any, ...]:
        return ("test", canonical(self.subject.ast), *self.operator.key())

    def code(self) -> Code:
        operator, read = self.operator, cast(Code, self.subject.evaluate)
        if type(operator) is Equals and operator.change is None and plain_path(self.subject.ast):
            fused = self._fused(operator.value)
            if fused is not None:
                return fused
        check = operator.compile()
        if operator.needs_document:
            return lambda v, x=TOP: check(read(v, x), v if x is TOP else x)
        return lambda v, x=TOP: check(read(v, x))

    def _fused(self, constant: Any) -> Code | None:
        """One closure for a path compared with a constant: half the time of two."""
        if isinstance(self.subject, ElementExpression):
            return None
        ast = self.subject.ast
        return compile_ast(Compare(ast.start, ast.end, "==", ast, Literal(ast.end, ast.end, constant)))

    def explain(self, value: Any, document: Any = TOP) -> Finding:
        read, check = cast(Code, self.subject.evaluate), self.operator.compile()
        found = read(value, document)
        whole = value if document is TOP else document
        return Finding(self.text(), check(found, whole) if self.operator.needs_document else check(found), found)

    def text(self) -> str:
        return f"{self.subject.text} {self.operator.text()}"

    @property
    def roots(self) -> frozenset[str]:
        return frozenset(self.subject.roots | self.operator.roots)


@dataclass(frozen=True, slots=True, eq=False)
class Truth(Tree):
    """An expression whose value is true by JMESPath's rule."""

    expression: Expression

    def key(self) -> tuple[Any, ...]:
        return ("truth", canonical(self.expression.ast))

    def code(self) -> Code:
        read = cast(Code, self.expression.evaluate)
        if self.expression.type == "boolean":
            return lambda v, x=TOP: read(v, x) is True
        return lambda v, x=TOP: truthy(read(v, x))

    def explain(self, value: Any, document: Any = TOP) -> Finding:
        found = cast(Code, self.expression.evaluate)(value, document)
        return Finding(self.text(), truthy(found), found)

    def text(self) -> str:
        return self.expression.text

    @property
    def roots(self) -> frozenset[str]:
        return frozenset(self.expression.roots)
