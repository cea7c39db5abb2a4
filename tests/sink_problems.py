"""The one problem of a sink that cannot be read, for tests of what authors get wrong."""

from __future__ import annotations

from engine.catalogue import Scope
from engine.errors import Problem
from engine.options import BAD
from engine.ports.sinks import SinkSection
from engine.rules.yaml_text import compose
from engine.source import Source


def problem_of(text: str) -> tuple[Problem, str]:
    """The problem, and the text at its place."""
    node, _ = compose(Source("rules.yaml", text))
    scope = Scope()
    assert node is not None
    assert SinkSection.read(node, scope) is BAD
    (problem,) = scope.problems
    return problem, text[problem.span.start : problem.span.end]
