"""Conditions that hold for no exchange, or for every one. Must not know rules beyond the one at hand."""

from __future__ import annotations

from engine.language.condition import Condition, Tree
from engine.rules.lint_facts import Facts, always
from engine.rules.lint_rules import Linted, RuleSet, conditions_of
from engine.source import Span

_SAID = {"never-holds", "always-holds"}  # of the part of the expression that is at fault


def lint_conditions(rules: RuleSet) -> None:
    """Note every `match`, `unless` and `if` that is proved to come to the same always."""
    said = {(problem.span.source.name, problem.rule) for problem in rules.scope.problems if problem.code in _SAID}
    for linted in rules.rules:
        if (linted.rule.file, linted.name) in said:
            continue
        for word, condition, span in conditions_of(linted):
            _alone(rules, linted, (word, condition, span))
        if linted.rule.unless is not None and linted.name not in rules.settled:
            _exception(rules, linted, linted.rule.unless.tree)


def _alone(rules: RuleSet, linted: Linted, asked: tuple[str, Condition, Span]) -> None:
    word, condition, span = asked
    facts = linted.facts if word == "match" else linted.start().assume(condition.tree)
    if facts.impossible:
        rules.settled.add(linted.name)
        rules.warn(linted, "never-matches", f"this never holds: {_why(facts, linted)}", _NEVER[word], span)
    elif always(condition.tree, linted.start):
        if word == "unless":
            rules.settled.add(linted.name)
        rules.warn(linted, "always-matches", "this always holds", _ALWAYS[word], span)


_NEVER = {
    "match": "mend it, or take the rule out",
    "unless": "mend it, or take `unless` out",
    "if": "mend it, or take the action out",
}
_ALWAYS = {
    "match": "leave `match` away if the rule is meant for everything",
    "unless": "the rule never acts: mend it, or take the rule out",
    "if": "leave `if` away",
}


def _exception(rules: RuleSet, linted: Linted, unless: Tree) -> None:
    """An `unless` beside a `match`: it may exclude nothing, or everything."""
    span = linted.place("unless")
    if linted.facts.copy().assume(unless).impossible:
        rules.warn(linted, "never-matches", "this `unless` never holds where `match` does", _NEVER["unless"], span)
    elif linted.facts.copy().assume(unless, holds=False).impossible:
        rules.settled.add(linted.name)
        rules.warn(linted, "always-matches", "this `unless` holds wherever `match` does", _ALWAYS["unless"], span)


def _why(facts: Facts, linted: Linted) -> str:
    name = facts.contradiction()
    if name is None:
        return "its parts exclude each other"
    subject, domain = facts.subjects[name].text.strip(), facts.domains[name]
    if subject == "call_type":
        return "the rule's `call_types` are " + ", ".join(linted.rule.call_types or ())
    if subject == "response.status" and set(linted.rule.phase) <= {"response", "stream"} and len(domain.tests) == 1:
        return "answers from 400 on are ruled in phase `failure`"
    asked = list(
        dict.fromkeys(operator.text() if holds else f"not ({operator.text()})" for operator, holds in domain.tests)
    )
    shown = " and ".join(asked[:3]) + (" and more" if len(asked) > 3 else "")
    return f"`{subject}` would have to hold {shown}"
