"""The entries of `callbacks:` as rules that always match, after all others. Must not know how a callback is called."""

from __future__ import annotations

from collections.abc import Iterable

from engine.actions.callback import CallbackAction
from engine.phases import CALL_TYPES, STREAM
from engine.ports.callbacks import LoadedCallback
from engine.rules.rule import ActionUse, Rule
from engine.source import Source, Span

_NOWHERE = Span(Source("callbacks", ""), 0, 0)


def callback_rules(callbacks: Iterable[LoadedCallback]) -> list[Rule]:
    """One for each callback, named by its dotted path, in every phase that it has a method for."""
    return [_rule(callback) for callback in callbacks]


def _rule(callback: LoadedCallback) -> Rule:
    action = CallbackAction.defaults()
    action.loaded = callback
    rule: Rule = Rule.defaults()
    rule.name_ = callback.name
    rule.phase = [phase.name for phase in callback.hooks if phase is not STREAM or callback.rewrite is None]
    rule.call_types = list(CALL_TYPES)
    rule.actions = [ActionUse(action, None, _NOWHERE)]
    rule.span, rule.file = _NOWHERE, _NOWHERE.source.name
    rule.written = False
    return rule
