"""Which response rules make a streamed answer wait until it is complete. Must not know how streams are relayed.

A rule that reads only status and headers runs when they arrive; one that only notes runs when the stream has passed;
any other must see the answer whole before the client does.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.language.condition import AllOf, AnyOf, Condition, Tree, all_of, any_of
from engine.rules.program import Test
from engine.rules.rule import Rule

_NOTING = frozenset({"tag", "set_var", "log_to"})
LATE = frozenset({"response", "response.body", "completion_text", "tool_text", "reasoning_text", "usage", "cost", "*"})
_WRITTEN = frozenset({"vars", "tags", "matched"})
_BODY_ACTIONS = frozenset({"set", "remove", "redact", "callback"})


def only_notes(rule: Rule) -> bool:
    """It cannot change what the client gets: by its actions, or because it only observes."""
    if decides_at_head(rule) or "stream" in rule.phase:
        return False
    return rule.mode == "observe" or all(use.action.name in _NOTING for use in rule.actions)


def decides_at_head(rule: Rule) -> bool:
    """It reads and writes nothing beyond status and headers."""
    if any(use.action.name in _BODY_ACTIONS for use in rule.actions):
        return False
    return not (frozenset(reads(rule)) & (LATE | _WRITTEN))


def holds_streams(rule: Rule) -> bool:
    """It can change or refuse, and needs body, text or usage for it."""
    if "response" not in rule.phase or "stream" in rule.phase or rule.mode != "enforce" or not rule.written:
        return False
    return not decides_at_head(rule) and not only_notes(rule)


def holding_tests(rules: list[Rule], call_type: str) -> tuple[Test | None, ...]:
    """For each rule that holds streams of a call type: what of its match is known when the stream begins."""
    return tuple(_known_then(rule) for rule in rules if call_type in rule.call_types and holds_streams(rule))


def _known_then(rule: Rule) -> Test | None:
    tree = _necessary(rule.match.tree) if rule.match is not None else None
    return Condition(tree).compile() if tree is not None else None


def _necessary(tree: Tree) -> Tree | None:
    """What must hold for a condition to hold and reads nothing of the answer's body; None when that is nothing."""
    if not tree.roots & (LATE | _WRITTEN):
        return tree
    if not isinstance(tree, (AllOf, AnyOf)):
        return None
    parts = [_necessary(item) for item in tree.items]
    known = [part for part in parts if part is not None]
    if isinstance(tree, AllOf):
        return all_of(known) if known else None
    return any_of(known) if len(known) == len(parts) else None


_REQUEST = frozenset(
    {
        "request",
        "original",
        "prompt_text",
        "system_text",
        "user_text",
        "last_user_text",
        "opaque",
        "stream",
        "metadata",
        "*",
    }
)
_HEAD_ACTIONS = _NOTING | {"reject", "respond", "set_header", "remove_header", "rate_limit"}


def needs_no_request(rule: Rule) -> bool:
    """It reads and writes nothing of the request's body."""
    return (
        rule.written
        and all(use.action.name in _HEAD_ACTIONS for use in rule.actions)
        and not any(name.partition(".")[0] in _REQUEST for name in reads(rule))
    )


def early_match(rule: Rule) -> bool:
    """Its match reads nothing of the answer's body."""
    return rule.match is None or not rule.match.roots & (LATE | _WRITTEN)


def reads(rule: Rule) -> Iterator[str]:
    """What conditions and templates of a rule read: roots, with `response.status` and `response.headers` told apart."""
    for condition in (rule.match, rule.unless, *(use.condition for use in rule.actions)):
        if condition is not None:
            yield from condition.roots
    for use in rule.actions:
        yield from use.action.reads
