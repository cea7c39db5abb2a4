"""`log_to`: which sinks get this exchange's record. Must not know how records are made or written."""

from __future__ import annotations

from typing import Literal

from engine.actions.base import Action, Apply, Effect
from engine.catalogue import Example
from engine.document.exchange import Exchange
from engine.options import OneOrMany, option
from engine.phases import ALL, LOG, Phase
from engine.ports.sinks import SinkRef


class LogTo(Action, name="log_to", phases=ALL, fallible=False):
    """Write the record of this exchange to a sink, or to several.

    In `log` the record is complete. In any other phase it is a checkpoint: a record of the exchange as it stands,
    beside the complete one. `content` says what of the request and the answer it keeps: `none`, `full`, or `redacted`
    (all built-in patterns applied).
    """

    sinks: OneOrMany[SinkRef] = option("Name of a sink, or a list of names.", short=True, name="sink")
    content: Literal["full", "redacted", "none"] = option("What is kept of request and answer.", "none")

    examples = [
        Example(
            "a record is written without the texts",
            "phase: log\nactions: [{log_to: audit}]",
            {
                "file": {"sinks": {"audit": {"file": "audit.jsonl"}}},
                "request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}},
            },
            {"response": {"status": 200}, "records": [{"status": 200, "request": None}]},
        ),
        Example(
            "other exchanges are not recorded",
            "phase: log\nmatch: {request.model: other}\nactions: [{log_to: {sink: [audit], content: full}}]",
            {
                "file": {"sinks": {"audit": {"file": "audit.jsonl"}}},
                "request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}},
            },
            {"matched": [], "response": {"status": 200}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        requests = [(sink, self.content) for sink in self.sinks]
        checkpoint = phase is not LOG

        def apply(x: Exchange) -> Effect:
            x.log_requests = [*(x.log_requests or ()), *requests]
            if checkpoint:
                x.checkpoints = [*(x.checkpoints or ()), *requests]
            return None

        return apply
