"""A rule as it is read from a file: checked options, a condition, actions. Not yet compiled.

Must not know how programs are indexed or run.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Literal

from engine.actions.base import Action
from engine.catalogue import CATALOGUE, Entry, Scope
from engine.errors import did_you_mean
from engine.language.condition import Condition
from engine.options import BAD, Duration, Leaf, ListOf, found, option
from engine.phases import CALL_TYPES, EVERY_CALL_TYPE, PHASES, REQUEST, STREAM
from engine.rules.other_words import OF_ACTIONS, OF_CALL_TYPES, OF_MODES, OF_ON_ERROR, OF_PHASES, OF_RULES
from engine.rules.rule_options import Day, Enabled
from engine.rules.sections import NAME, Section
from engine.rules.stream_rules import check_stream
from engine.source import Mapping, Node, Scalar, Sequence, Span


@dataclass(frozen=True, slots=True)
class ActionUse:
    """One entry of a rule's `actions`: the action, its `if:`, and where it stands."""

    action: Action
    condition: Condition | None
    span: Span


class ActionEntry:
    """`name: value`, with `if: condition` beside it where wanted."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        from engine.catalogue import entries, schema_of

        properties = {entry.name: schema_of(entry) for entry in entries("action")}
        properties["if"] = {"$ref": "#/definitions/condition", "description": "evaluated just before the action runs"}
        return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Mapping):
            name = node.plain() if isinstance(node, Scalar) else None
            scope.problem(
                "wrong-type",
                f"an action is `name: value`, found {found(node)}",
                node.span,
                help=f"write `{name}: …`" if name in CATALOGUE["action"] else "write it like `tag: checked`",
            )
            return BAD
        named = [(key, value) for key, value in node if key.value != "if"]
        if len(named) != 1:
            cls._refuse_several(node, named, scope)
            return BAD
        key, value = named[0]
        guard = node.get("if")
        condition = Condition.read(guard, scope) if guard is not None else None
        action = cls._read_action(key, value, scope)
        return BAD if action is BAD or condition is BAD else ActionUse(action, condition, key.span)

    @classmethod
    def _refuse_several(cls, node: Mapping, named: list[tuple[Scalar, Node]], scope: Scope) -> None:
        """Say why an entry is not one action: none, two, or an action with its options beside it."""
        if not named:
            scope.problem("one-action", "no action beside `if`", node.span, help="write one, such as `tag: checked`")
            return
        (first, value), (second, _) = named[:2]
        action = CATALOGUE["action"].get(str(first.value))
        options = {option.yaml_name for option in action.options.values()} if action else ()
        if second.value in options and second.value not in CATALOGUE["action"]:
            short = isinstance(value, Scalar) and value.value is not None
            scope.problem(
                "misplaced-key",
                f"`{second.value}` is an option of `{first.value}`, and stands beside it",
                second.span,
                help=f"write `{first.value}: {{{_shortened(action)}: …, {second.value}: …}}`"
                if short
                else f"indent it deeper than `{first.value}`",
            )
            return
        scope.problem(
            "one-action",
            "two actions in one entry; an entry of `actions` holds one",
            second.span,
            help="begin each action with its own `-`",
        )

    @classmethod
    def _read_action(cls, key: Scalar, value: Node, scope: Scope) -> Any:
        name = str(key.value)
        entry = CATALOGUE["action"].get(name)
        if entry is None:
            scope.problem(
                "unknown-action",
                f"unknown action `{name}`",
                key.span,
                help=OF_ACTIONS.get(name.lower()) or did_you_mean(name, CATALOGUE["action"]),
            )
            return BAD
        wrong = [phase.name for phase in scope.phases if phase not in entry.phases]  # type: ignore[attr-defined]
        if wrong:
            allowed = [phase.name for phase in PHASES.values() if phase in entry.phases]  # type: ignore[attr-defined]
            scope.problem(
                "wrong-phase",
                f"`{name}` means nothing in phase `{wrong[0]}`",
                key.span,
                help="phases of this action: " + ", ".join(allowed),
            )
            return BAD
        return entry.read(value, scope)


class Rule(Section, name="rules", noun="a rule"):
    """A phase, a match and actions."""

    meant = OF_RULES

    name_: str = option("Unique; letters a-z, digits and hyphens.", name="name")
    description: str = option("Why the rule is here.", "")
    phase: list[str] = option(
        "When it runs.", ["request"], reads=ListOf(Leaf({"enum": list(PHASES)}, OF_PHASES), single=True)
    )
    call_types: list[str] = option(
        "Endpoints it holds for; default every one where all its actions mean something.",
        [],
        reads=ListOf(Leaf({"enum": list(CALL_TYPES)}, OF_CALL_TYPES)),
    )
    match: Condition | None = option("When it acts; without it, always.", None)
    unless: Condition | None = option("Exception; when it holds the record says `excepted`.", None)
    actions: list[ActionUse] = option("What it does, in order.", reads=list[ActionEntry])
    mode: Literal["enforce", "observe", "off"] = option(
        "`observe` evaluates and records as would-have, and applies nothing.", "enforce", advice=OF_MODES
    )
    enabled: Enabled | None = option("Share of traffic it holds for.", None)
    expires: datetime.date | None = option("Last day it runs.", None, reads=Day)
    owner: str = option("Whom to ask.", "")
    on_error: Literal["fail", "skip"] | None = option(
        "What an error inside the rule means; default fail, in the log phase skip.", None, advice=OF_ON_ERROR
    )
    timeout: Duration = option("For actions that wait.", 5.0)
    stop: bool = option("Once it has acted, no later rule of this phase in this file runs.", False)
    tags: list[str] = option("Words to find the rule by.", [])

    span: Span
    file: str
    written: bool = True  # False: stands for an entry of `callbacks:`, is named nowhere and holds no stream

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Mapping):
            scope.problem(
                "wrong-type", f"a rule is a mapping, found {found(node)}", node.span, help="begin with `- name: …`"
            )
            return BAD
        name = node.get("name")
        scope.rule = str(name.plain()) if isinstance(name, Scalar) and name.value is not None else None
        phases = frozenset(PHASES[word] for word in _words(node.get("phase")) if word in PHASES)
        scope.phases = phases or frozenset({REQUEST})
        named = _words(node.get("call_types")) & EVERY_CALL_TYPE
        scope.call_types = frozenset(named) if named else _where_all_mean_something(node)
        rule = super().read(node, scope)
        if rule is not BAD:
            rule.span, rule.file = (name or node).span, node.span.source.name
        return rule

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        if not NAME.match(self.name_):
            scope.problem(
                "bad-name",
                f"rule name {self.name_!r} has other characters than a-z, 0-9 and `-`",
                places["name_"].span,
                help=_slug(self.name_),
            )
        if not self.actions:
            scope.problem(
                "no-actions",
                "a rule needs at least one action",
                places["actions"].span,
                help="write one, such as `- tag: checked`",
            )
        for use in self.actions:
            missing = scope.call_types - use.action.call_types
            if missing:
                allowed = ", ".join(sorted(use.action.call_types & EVERY_CALL_TYPE))
                scope.problem(
                    "wrong-call-type",
                    f"`{use.action.name}` means nothing for `{min(missing)}`",
                    use.span,
                    help=f"narrow `call_types` to {allowed}",
                )
        self.call_types = [name for name in CALL_TYPES if name in scope.call_types]
        self._check_stop(places, scope)
        if STREAM in scope.phases:
            self._check_stream(places, scope)

    def _check_stream(self, places: dict[str, Node], scope: Scope) -> None:
        late = [(self.match, places["match"])] if self.match else []
        actions = places["actions"]
        for use, node in zip(self.actions, actions if isinstance(actions, Sequence) else (), strict=False):
            guard = node.get("if") if isinstance(node, Mapping) else None
            if guard is not None and use.condition is not None:
                late.append((use.condition, guard))
        check_stream(late, (self.unless, places["unless"]) if self.unless else None, scope)

    def _check_stop(self, places: dict[str, Node], scope: Scope) -> None:
        without = [word for word in self.phase if word in ("stream", "moderation")]
        if self.stop and without:
            scope.problem(
                "no-stop",
                f"`stop` has no meaning in phase `{without[0]}`",
                places["stop"].span,
                help="rules of this phase run beside each other",
            )


def _words(node: Node | None) -> set[str]:
    if isinstance(node, Sequence):
        return {str(item.plain()) for item in node}
    return {str(node.plain())} if isinstance(node, Scalar) else set()


def _where_all_mean_something(node: Mapping) -> frozenset[str]:
    """The call types that all actions of a rule share, judged by the actions' names."""
    shared = EVERY_CALL_TYPE
    actions = node.get("actions")
    for entry in actions if isinstance(actions, Sequence) else ():
        for key, _ in entry if isinstance(entry, Mapping) else ():
            action = CATALOGUE["action"].get(str(key.value))
            if action is not None:
                shared &= action.call_types  # type: ignore[attr-defined]
    return shared or EVERY_CALL_TYPE


def _shortened(action: type[Entry] | None) -> str:
    """The option that an action's bare value fills."""
    return next((o.yaml_name for o in action.options.values() if o.short), "…") if action else "…"


def _slug(name: str) -> str:
    words = "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower()).strip("-")
    return f"write `{words}`" if words else ""
