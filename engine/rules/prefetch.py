"""Which prompts can be fetched before anybody asks for them. Must not know how they are fetched."""

from __future__ import annotations

from engine.actions.use_prompt import UsePrompt
from engine.options import BAD
from engine.ports.prompt_cache import Wanted
from engine.rules.loaded import Loaded


def wanted_prompts(loaded: Loaded) -> tuple[Wanted, ...]:
    """The prompts that have to be fetched and that rules or models name as they are, each once."""
    by_rules = [use.action for rule in loaded.rules if rule.mode != "off" for use in rule.actions]
    by_models = [model.prompt for model in loaded.tables["model"].values() if model is not BAD]
    wanted = [one.wanted for one in (*by_rules, *by_models) if isinstance(one, UsePrompt) and one.wanted]
    return tuple({(one.source.address, one.name): one for one in wanted}.values())
