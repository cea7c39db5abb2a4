"""A callback in pointsman's own form, used by rules.example.yaml: one method a phase, one context."""

from typing import Any

from engine import Callback


class Shout(Callback):
    """Puts exclamation marks behind the newest user message."""

    def __init__(self, marks: int = 1) -> None:
        self.marks = marks

    def request(self, context: Any) -> None:
        messages = context.request.get("messages")
        if messages and isinstance(messages[-1].get("content"), str):
            messages[-1]["content"] += "!" * self.marks
            context.tag("shouted")
