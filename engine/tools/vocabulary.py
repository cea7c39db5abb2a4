"""Everything an author can name, by kind, as one shape: what `schema`, the reference and the editor schema print.

Entries come from the catalogue, phases from their table. Must not know how any of it is printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from engine.catalogue import Entry, Example, discover, entries, schema_of
from engine.options import Option
from engine.phases import EVERY_CALL_TYPE, PHASES, Phase

KINDS = {
    "section": "parts of a rules file",
    "phase": "moments in an exchange at which rules run",
    "action": "what a rule does",
    "operator": "what a condition can ask of a value",
    "function": "functions added to JMESPath",
    "pattern": "built-in patterns",
    "sink": "where records go",
    "store": "where limits, budgets and caches keep their state",
    "prompt_source": "where prompts come from",
}
"""The kinds that `pointsman schema KIND` knows, with what they are."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One name an author can write. `facts` are label and text, such as `phases: request, attempt`."""

    kind: str
    name: str
    doc: str
    schema: dict[str, Any]
    options: tuple[Option, ...] = ()
    examples: tuple[Example, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first line of the doc."""
        return self.doc.partition("\n")[0]


@cache
def load_everything() -> None:
    """Import every module that brings entries of the language; none of them imports an HTTP library."""
    import engine.actions
    import engine.language
    import engine.ports
    import engine.rules
    import engine.tools.cases_form

    for package in (engine.ports, engine.language, engine.actions, engine.rules):
        discover(package)


def things(kind: str) -> dict[str, Thing]:
    """Everything of a kind, by name: phases in the order of time, sections as a file has them, others by letter."""
    load_everything()
    if kind == "phase":
        return {phase.name: _of_phase(phase) for phase in PHASES.values()}
    found = {entry.name: _of_entry(entry) for entry in entries(kind)}
    return _with_plain_sections(found) if kind == "section" else found


def _with_plain_sections(found: dict[str, Thing]) -> dict[str, Thing]:
    """The sections by name, those of a single value too, such as `lists`."""
    plain = [option for option in found["file"].options if option.yaml_name not in {*found, "$schema"}]
    for option in plain:
        found[option.yaml_name] = Thing("section", option.yaml_name, option.doc, option.schema(), (option,))
    return dict(sorted(found.items()))


def _of_entry(entry: type[Entry]) -> Thing:
    return Thing(
        entry.kind,
        entry.name,
        entry.doc(),
        schema_of(entry),
        tuple(entry.options.values()),
        tuple(entry.examples),
        _facts(entry),
    )


def _facts(entry: type[Entry]) -> dict[str, str]:
    facts = {}
    phases = getattr(entry, "phases", None)
    if isinstance(phases, frozenset):
        facts["phases"] = ", ".join(name for name, phase in PHASES.items() if phase in phases)
    call_types = getattr(entry, "call_types", None)
    if isinstance(call_types, frozenset):
        facts["call types"] = "every" if call_types == EVERY_CALL_TYPE else ", ".join(sorted(call_types))
    if entry.kind == "function":
        facts["call"] = f"`{entry.signature()}`"  # type: ignore[attr-defined]
        facts["from"] = "JMESPath" if entry.standard else "pointsman"  # type: ignore[attr-defined]
    return facts


def _of_phase(phase: Phase) -> Thing:
    facts = {"runs": phase.when, "can": phase.can, "an error means": phase.on_error}
    if phase.hook:
        facts["LiteLLM's name"] = phase.hook
    return Thing("phase", phase.name, f"Runs {phase.when}.", {"const": phase.name}, facts=facts)
