"""`reject_with_message`: a text in the assistant's place. Must not know the dialects' shapes."""

from __future__ import annotations

from engine.actions.base import Action, Apply, Effect
from engine.catalogue import Example
from engine.document.answers import Assistant, Refusal
from engine.document.exchange import Exchange
from engine.language.template import Template
from engine.options import option
from engine.phases import FAILURE, MODERATION, REQUEST, RESPONSE, STREAM, Phase


class RejectWithMessage(
    Action, name="reject_with_message", phases=frozenset({REQUEST, MODERATION, RESPONSE, STREAM, FAILURE}), ends=True
):
    """Answer 200 with a text as if the assistant had said it, whole or streamed as the client asked.

    An endpoint that has no assistant, such as embeddings, answers 400 with the text as the error's message.
    """

    message: Template = option("What the assistant says.", short=True)

    examples = [
        Example(
            "the client reads the text as the assistant's answer",
            "match: {last_user_text: Hello world}\nactions: [{reject_with_message: This is an invalid response}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello world"}]}}},
            {"sent": None, "response": {"status": 200, "text": "This is an invalid response"}},
        ),
        Example(
            "embeddings have no assistant",
            "actions: [{reject_with_message: This is an invalid response}]",
            {"request": {"path": "/v1/embeddings", "body": {"model": "e", "input": "Hello world"}}},
            {"sent": None, "response": {"status": 400, "error": {"message": "This is an invalid response"}}},
        ),
        Example(
            "other requests pass",
            "match: {last_user_text: Hello world}\nactions: [{reject_with_message: This is an invalid response}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"messages": [{"role": "user", "content": "hi"}]}, "response": {"status": 200}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        text = self.message.text

        def apply(x: Exchange) -> Effect:
            if x.dialect.has_assistant:
                return Assistant(text(x))
            return Refusal(400, text(x), code="rule_rejected", source="rule")

        return apply
