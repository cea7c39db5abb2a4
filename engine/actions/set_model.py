"""`set_model`: the model asked for from here on. Must not know which models there are."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.catalogue import Example
from engine.document.exchange import Exchange
from engine.language.template import Template
from engine.options import option
from engine.phases import REQUEST, Phase


class SetModel(Action, name="set_model", phases=frozenset({REQUEST}), writes=("request.model",)):
    """Ask for another model from here on; the same as `set: {model: …}`.

    The key's `models` are checked against the model that the last rule left. A template that finds nothing changes
    nothing.
    """

    model: Template = option("Name of the model.", short=True)

    examples = [
        Example(
            "a model is rewritten",
            "match: {request.model: gpt-4}\nactions: [{set_model: gpt-4o-mini}]",
            {"request": {"body": {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"model": "gpt-4o-mini"}},
        ),
        Example(
            "the model that is asked for anyway stays",
            "actions: [{set_model: gpt-4o-mini}]",
            {"request": {"body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"model": "gpt-4o-mini"}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        fill = self.model.fill

        def apply(x: Exchange) -> Effect:
            model, body = fill(x), x.request
            if model is None or body is None or body.get("model") == model:
                return NOOP
            if not isinstance(model, str) or not model:
                raise ValueError("`set_model` needs the name of a model")
            x.request = {**body, "model": model}
            return None

        return apply
