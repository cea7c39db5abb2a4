"""A rules file as a whole: every section it may have. Must not know how sections are read together."""

from __future__ import annotations

from engine.language.condition import Condition
from engine.options import Advice, OneOrMany, option
from engine.ports.callbacks import CallbackEntry, FailureFunction, FunctionEntry, InputFunction
from engine.ports.prompt_sources import PromptSourceSection
from engine.ports.prompts import Prompt
from engine.ports.sinks import SinkSection
from engine.ports.stores import StoreSection
from engine.rules.rule import Rule
from engine.rules.section_options import Values
from engine.rules.sections import KeySection, ModelSection, PriceSection, Section, Server, UpstreamSection


class File(Section, name="file", noun="a rules file"):
    """A rules file."""

    schema_: str | None = option("Schema for editors; ignored.", None, name="$schema")
    version: int = option(
        "Version of the language.", 1, enum=[1], advice=Advice("write `version: 1`, the only one there is")
    )
    include: OneOrMany[str] = option("Further files, relative to this one; globs are sorted.", [])
    server: Server | None = option("How the gateway listens and what it bounds.", None)
    stores: dict[str, StoreSection] = option("Where limits, budgets and caches keep their state.", {})
    prompt_sources: dict[str, PromptSourceSection] = option("Where prompts come from.", {})
    prices: dict[str, PriceSection] = option("US dollars per million tokens, over the built-in table.", {})
    lists: dict[str, Values] = option("Values that conditions look things up in.", {})
    conditions: dict[str, Condition] = option("Conditions by name, for `is:`.", {})
    patterns: dict[str, str] = option("RE2 patterns by name.", {})
    prompts: dict[str, Prompt] = option("Prompts by id, for `use_prompt`.", {})
    upstreams: dict[str, UpstreamSection] = option("Who answers; none = the embedded `demo`.", {})
    models: dict[str, ModelSection] = option("What clients may ask for; omitted = any model, first upstream.", {})
    keys: list[KeySection] = option("Who may call; omitted = open on loopback.", [])
    rules: list[Rule] = option("What is matched and done, in order.", [])
    tests: list[dict] = option("Cases beside the rules, run by `pointsman test`.", [])  # type: ignore[type-arg]
    sinks: dict[str, SinkSection] = option("Where records go.", {})
    callbacks: OneOrMany[CallbackEntry] = option("Python by dotted path; runs in every phase it has a method for.", [])
    success_callback: OneOrMany[FunctionEntry] = option("Functions called after a success, by dotted path.", [])
    failure_callback: OneOrMany[FailureFunction] = option("Functions called after a failure, by dotted path.", [])
    input_callback: OneOrMany[InputFunction] = option("Functions called before an upstream is, by dotted path.", [])
