"""What an author should know of a rule although it is right: what it cannot see, whom it trusts, what it costs.

Must not know other rules, but for the companion that a content rule needs.
"""

from __future__ import annotations

from engine.language.ast import Ast, Chain, Field, Literal, children, plain_path
from engine.language.condition import AllOf, Always, AnyOf, Negated, Never, Test, Tree, Truth
from engine.language.expression import Expression
from engine.phases import CONVERSATIONS
from engine.rules.holding import holds_streams
from engine.rules.index_keys import alternatives
from engine.rules.lint_facts import leaves, subject_of
from engine.rules.lint_rules import Linted, RuleSet
from engine.source import Span

MANY = 100  # rules of a phase from which on an index matters
OF_ROLES = frozenset({"system_text", "user_text", "last_user_text"})
CONTENT = OF_ROLES | {"prompt_text"}
OF_CLIENT = frozenset({"request", "headers", "query", "original", "stream", "metadata", *CONTENT})
"""What the client alone decides, whatever rules make of it later."""
SIZES = frozenset({"length", "empty", "exists", "type"})
CUTS = frozenset({"redact", "reject", "reject_with_message"})


def lint_advice(rules: RuleSet) -> None:
    """Note what each rule should be known for."""
    crowded = {name for name, some in rules.by_phase.items() if len(some) >= MANY}
    seeing = [linted for linted in rules.rules if _refuses(linted) and _looks_at(linted, frozenset({"opaque"}))]
    for linted in rules.rules:
        _client_controlled(rules, linted)
        _content(rules, linted, seeing)
        _streams(rules, linted)
        if not crowded.isdisjoint(linted.rule.phase):
            _not_indexed(rules, linted)


# --- whom a rule trusts -----------------------------------------------------------------------------------------------


def _client_controlled(rules: RuleSet, linted: Linted) -> None:
    rule = linted.rule
    if rule.unless is not None and rests_on_client(rule.unless.tree):
        _trusting(rules, linted, "this exception", linted.place("unless"))
    if rule.enabled is not None and rule.enabled.by is not None and chosen_by_client(rule.enabled.by.ast):
        _trusting(rules, linted, "who is let in here", linted.place("enabled"))
    for use in linted.actions:
        by = getattr(use.action, "by", None)
        if isinstance(by, Expression) and chosen_by_client(by.ast):
            _trusting(rules, linted, f"what `{use.action.name}` counts by", use.span, "nobody is held by it")


def _trusting(rules: RuleSet, linted: Linted, what: str, span: Span, so: str = "anybody can have it") -> None:
    rules.warn(
        linted,
        "client-controlled",
        f"{what} rests only on what the client chooses, so {so}",
        "rest it on `key` or `client.ip`, or let a rule before this one check what the client says",
        span,
    )


def rests_on_client(tree: Tree) -> bool:
    """True when a client can bring a condition about by what it sends."""
    if isinstance(tree, (Always, Never)):
        return False
    if isinstance(tree, Negated):
        return _can_fail_by_client(tree.item)
    if isinstance(tree, AllOf):
        return all(rests_on_client(item) for item in tree.items)
    if isinstance(tree, AnyOf):
        return any(rests_on_client(item) for item in tree.items)
    return _leaf_by_client(tree)


def _can_fail_by_client(tree: Tree) -> bool:
    if isinstance(tree, AllOf):
        return any(_can_fail_by_client(item) for item in tree.items)
    if isinstance(tree, AnyOf):
        return all(_can_fail_by_client(item) for item in tree.items)
    return rests_on_client(tree.item) if isinstance(tree, Negated) else _leaf_by_client(tree)


def _leaf_by_client(tree: Tree) -> bool:
    if isinstance(tree, Test):
        return chosen_by_client(tree.subject.ast) and tree.operator.roots <= OF_CLIENT
    return isinstance(tree, Truth) and chosen_by_client(tree.expression.ast)


def chosen_by_client(ast: Ast) -> bool:
    """True when an expression reads something, and nothing that the client does not choose."""
    verdicts = list(_choices(ast))
    return bool(verdicts) and all(verdicts)


def _choices(ast: Ast) -> list[bool]:
    """For each part of the document that is read: whether the client chooses it."""
    path = plain_path(ast)
    if path is not None:
        return [path[0] in OF_CLIENT or path[:2] == ("client", "user_agent")]
    if isinstance(ast, Chain):
        return _choices(ast.parts[0])
    if isinstance(ast, Literal):
        return []
    if isinstance(ast, Field):
        return [ast.name in OF_CLIENT]
    found = [verdict for child in children(ast) for verdict in _choices(child)]
    return found if list(children(ast)) else [False]


# --- what a rule cannot see -------------------------------------------------------------------------------------------


def _refuses(linted: Linted) -> bool:
    return (
        linted.refuses and linted.rule.mode == "enforce" and not {"request", "moderation"}.isdisjoint(linted.rule.phase)
    )


def _looks_at(linted: Linted, roots: frozenset[str]) -> bool:
    """A condition of the rule looks into these texts, not only at how long they are."""
    rule = linted.rule
    conditions = [rule.match, *(use.condition for use in linted.actions if use.action.ends)]
    return any(
        subject_of(leaf).roots & roots
        and not (roots <= CONTENT and isinstance(leaf, Test) and leaf.operator.name in SIZES)
        for condition in conditions
        if condition is not None
        for leaf in leaves(condition.tree)
    )


def _content(rules: RuleSet, linted: Linted, seeing: list[Linted]) -> None:
    if not _refuses(linted) or not _looks_at(linted, CONTENT):
        return
    wanted = linted.call_types & CONVERSATIONS or linted.call_types
    if not any(wanted <= one.call_types for one in seeing):
        rules.note(
            linted,
            "no-opaque-companion",
            "this rule refuses by what it reads, and no rule refuses what none "
            "can read: images, audio, files, references",
            "add a rule such as `match: {opaque: {empty: false}}` with `reject`",
            linted.place("match"),
        )
    if _looks_at(linted, OF_ROLES) and not _looks_at(linted, frozenset({"prompt_text"})):
        rules.note(
            linted,
            "refusal-on-role-text",
            "this refuses by the text of a role, and the client chooses the roles",
            "look at `prompt_text`: it is all that the model reads",
            linted.place("match"),
        )


# --- what a rule costs ------------------------------------------------------------------------------------------------


def _streams(rules: RuleSet, linted: Linted) -> None:
    rule = linted.rule
    if holds_streams(rule) and not CONVERSATIONS.isdisjoint(linted.call_types):
        rules.note(
            linted,
            "holds-streams",
            "streams that this rule may match are held: the client gets nothing until the answer is whole",
            "write `phase: [response, stream]` if the rule can work on text as it comes",
            linted.place("phase"),
        )
    cuts = next((use for use in linted.actions if use.action.name in CUTS), None)
    if set(rule.phase) == {"stream"} and cuts is not None:
        rules.note(
            linted,
            "never-on-whole",
            f"this `{cuts.action.name}` works on streams alone: an answer that comes whole passes",
            "write `phase: [response, stream]`",
            linted.place("phase"),
        )


def _not_indexed(rules: RuleSet, linted: Linted) -> None:
    if linted.rule.match is not None and not alternatives(linted.tree):
        rules.note(
            linted,
            "not-indexed",
            "no index can find this rule, so it is tried on every exchange",
            "let it require one thing, such as `request.model: gpt-4o`",
            linted.place("match"),
        )
