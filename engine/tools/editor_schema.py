"""The JSON Schema (draft-07) of a rules file, made for editors from the catalogue: completion, hover, red lines.

Structure that recurs (condition, operators, action, rule) stands once under `definitions`. Must not repeat what an
entry says about itself.
"""

from __future__ import annotations

import json
from typing import Any

from engine.language.condition import Condition
from engine.phases import CALL_TYPES, PHASES
from engine.tools.vocabulary import Thing, things

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
GENERATED = "Generated from the catalogue by `pointsman schema --write`. Do not edit."
CONDITION = {"$ref": "#/definitions/condition"}
TEXT = {"type": "string"}


def whole() -> Schema:
    """The schema of a whole rules file."""
    sections = things("section")
    file = tidy(sections["file"].schema)
    file["properties"]["rules"] = {
        "type": "array",
        "items": {"$ref": "#/definitions/rule"},
        "description": "What is done to exchanges, in order.",
    }
    file["properties"]["tests"] = {
        "type": "array",
        "items": tidy(sections["tests"].schema),
        "description": "Tests of these rules, run by `pointsman test`.",
    }
    return {
        "$schema": DIALECT,
        "$comment": GENERATED,
        "title": "pointsman rules file",
        **file,
        "definitions": definitions(sections),
    }


def definitions(sections: dict[str, Thing]) -> dict[str, Schema]:
    """What the rest refers to by `$ref: '#/definitions/…'`."""
    return {
        "condition": condition(),
        "operators": operators(),
        "action": action_entry(),
        "rule": rule(sections["rules"]),
    }


def one(thing: Thing) -> Schema:
    """The schema of one thing alone, with the definitions it refers to."""
    parts = {"$schema": DIALECT, "title": f"{thing.kind} {thing.name}", **tidy(thing.schema)}
    if '"#/definitions/' in json.dumps(parts):
        parts["definitions"] = definitions(things("section"))
    return parts


def condition() -> Schema:
    """A condition in all its forms, nested at will."""
    several = {"anyOf": [{"type": "array", "items": CONDITION, "minItems": 1}, CONDITION]}
    literal = {"type": ["string", "number", "boolean", "array"]}
    return {
        "description": "A JMESPath expression, a mapping whose entries all hold, or a list whose conditions all hold.",
        "anyOf": [
            {"type": "string", "minLength": 1, "description": "A JMESPath expression; true when its result is truthy."},
            {"type": "array", "items": CONDITION, "minItems": 1, "description": "All of these hold."},
            {
                "type": "object",
                "minProperties": 1,
                "properties": {
                    "all": {**several, "description": "Every one holds."},
                    "any": {**several, "description": "At least one holds."},
                    "none": {**several, "description": "Not one holds."},
                    "not": described_ref("condition", "The condition does not hold."),
                    "is": {**TEXT, "description": "A condition named under `conditions:` holds."},
                },
                "additionalProperties": {"anyOf": [literal, {"$ref": "#/definitions/operators"}]},
                "description": "A key is a JMESPath expression, its value a literal to equal or operators.",
            },
        ],
        "defaultSnippets": [
            {"label": "expression", "body": "request.model == '${1:gpt-4o}'"},
            {"label": "field: operators", "body": {"${1:prompt_text}": {"${2:contains}": "${3:text}"}}},
            {"label": "any of", "body": {"any": ["$1"]}},
        ],
    }


def operators() -> Schema:
    """What may be asked of one value; several must all hold."""
    return {
        "type": "object",
        "description": "Operators on one value; all must hold.",
        "properties": {name: for_hover(thing) for name, thing in things("operator").items()},
        "additionalProperties": False,
        "minProperties": 1,
    }


def action_entry() -> Schema:
    """One entry of `actions`: one action, and `if` beside it where wanted."""
    actions = things("action")
    properties: Schema = {name: for_hover(thing) for name, thing in actions.items()}
    properties["if"] = described_ref("condition", "Evaluated just before the action runs; it runs when this holds.")
    return {
        "type": "object",
        "description": "One action: `name: value`, or `name: {options}`.",
        "properties": properties,
        "additionalProperties": False,
        "if": {"required": ["if"]},
        "then": {"minProperties": 2, "maxProperties": 2},
        "else": {"minProperties": 1, "maxProperties": 1},
        "defaultSnippets": [snippet for thing in actions.values() for snippet in snippets(thing)],
    }


def rule(section: Thing) -> Schema:
    """A rule, with actions and phases told in full."""
    schema = tidy(section.schema)
    schema["properties"]["actions"].update({"items": {"$ref": "#/definitions/action"}, "minItems": 1})
    schema["properties"]["phase"] = with_meanings(
        schema["properties"]["phase"], {phase.name: f"{phase.when}. Can: {phase.can}" for phase in PHASES.values()}
    )
    schema["properties"]["call_types"] = with_meanings(schema["properties"]["call_types"], CALL_TYPES)
    schema["defaultSnippets"] = [
        {
            "label": "rule",
            "description": "A rule: when, and what to do",
            "body": {
                "name": "${1:my-rule}",
                "match": "${2:request.model == 'gpt-4o'}",
                "actions": [{"${3:tag}": "${4:seen}"}],
            },
        }
    ]
    return schema


def for_hover(thing: Thing) -> Schema:
    """A thing's schema with everything an editor can show about it."""
    schema = tidy(thing.schema)
    schema["markdownDescription"] = "\n\n".join(
        [thing.doc, *(f"*{label}*: {text}" for label, text in thing.facts.items()), *_first_example(thing)]
    )
    if not any(option.required for option in thing.options) and thing.options:
        return {
            **{key: schema[key] for key in ("description", "markdownDescription")},
            "anyOf": [{key: value for key, value in schema.items() if "escription" not in key}, {"type": "null"}],
        }
    return schema


def snippets(thing: Thing) -> list[Schema]:
    """What an editor offers to write: the first example."""
    for example in thing.examples[:1]:
        rule = parsed(example.rule)
        for entry in rule.get("actions", []) if isinstance(rule, dict) else []:
            if thing.name in entry:
                return [{"label": thing.name, "description": thing.summary, "body": entry}]
    return []


def parsed(text: str) -> Any:
    """The plain value of a YAML text as rules files are read; None when it is none."""
    from engine.rules.yaml_text import compose
    from engine.source import Source

    node, problems = compose(Source("example", text))
    return None if node is None or problems else node.plain()


def _first_example(thing: Thing) -> list[str]:
    return [f"```yaml\n{example.rule.strip()}\n```" for example in thing.examples[:1]]


def described_ref(name: str, description: str) -> Schema:
    """A reference with a description; draft-07 ignores whatever stands beside `$ref`."""
    return {"description": description, "allOf": [{"$ref": f"#/definitions/{name}"}]}


def with_meanings(schema: Schema, meanings: dict[str, str]) -> Schema:
    """`enum`s at any depth get the meaning of each value, where editors show it."""
    if "enum" in schema:
        return {**schema, "markdownEnumDescriptions": [meanings[value] for value in schema["enum"]]}
    changed: Schema = {}
    for key, value in schema.items():
        if isinstance(value, dict):
            changed[key] = with_meanings(value, meanings)
        elif isinstance(value, list):
            changed[key] = [with_meanings(item, meanings) if isinstance(item, dict) else item for item in value]
        else:
            changed[key] = value
    return changed


def tidy(schema: Schema) -> Schema:
    """A copy in which conditions are references, and no `$ref` has siblings, because draft-07 ignores those."""
    if Condition.schema().items() <= schema.items():
        return described_ref("condition", schema.get("description", "A condition."))
    if "$ref" in schema and len(schema) > 1:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return {**tidy(beside), "allOf": [{"$ref": schema["$ref"]}]}
    copied: Schema = {}
    for key, value in schema.items():
        if isinstance(value, dict):
            copied[key] = tidy(value)
        elif isinstance(value, list):
            copied[key] = [tidy(item) if isinstance(item, dict) else item for item in value]
        else:
            copied[key] = value
    return copied


def as_text(schema: Schema) -> str:
    """A schema as it is printed and kept in a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
