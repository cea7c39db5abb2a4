"""What came later of a rule's action, in place of what was noted when it ran. Must not know actions."""

from __future__ import annotations

from engine.document.exchange import Exchange


def renote(x: Exchange, rule: str, result: str | None, why: str) -> None:
    """Change the outcome of a request rule: its result (None: as it was) and why."""
    for at, (name, phase, before, _, took) in enumerate(x.outcomes):
        if name == rule and phase == "request":
            x.outcomes[at] = (rule, phase, result or before, why, took)
