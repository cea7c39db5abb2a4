"""One thing of the language as a page of plain text: doc, facts, options with defaults, examples."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from engine.catalogue import Example
from engine.language.condition import Condition
from engine.options import Bytes, Option, Seconds, described
from engine.tools.compare import shown
from engine.tools.vocabulary import Thing

WIDTH = 100
LARGE = {"MiB": 1024 * 1024, "KiB": 1024}
MANY = 6  # options of a mapping that are named where it is an option itself


def listing(known: dict[str, Thing], *, as_json: bool = False) -> str:
    """Every name with its summary, one a line."""
    if as_json:
        return json.dumps({name: thing.summary for name, thing in known.items()}, indent=2, ensure_ascii=False)
    wide = max(map(len, known), default=0)
    return "\n".join(f"{name:<{wide}}  {thing.summary}".rstrip() for name, thing in known.items())


def page(thing: Thing) -> str:
    """Everything about one thing."""
    parts = [f"{thing.kind} {thing.name}", textwrap.indent(thing.doc, "  ")]
    if thing.facts:
        parts.append("\n".join(f"  {label}: {text}" for label, text in thing.facts.items()))
    if thing.options:
        parts.append("  options:\n" + "\n".join(_option(option) for option in thing.options))
    parts += [
        f"  example: {example.title}\n{textwrap.indent(example_text(thing, example), '    ')}"
        for example in thing.examples
    ]
    return "\n\n".join(parts) + "\n"


def example_text(thing: Thing, example: Example) -> str:
    """An example as text: what is written and, where that is one value, what comes of it."""
    written, result = example.rule.strip(), outcome(thing, example)
    if result is None:
        return written
    given = "" if thing.kind == "function" and not example.given else f"   on {shown(example.given)}"
    return f"{written}{given}   →  {result}"


def outcome(thing: Thing, example: Example) -> str | None:
    """What an operator, a function or a pattern makes of the value it is given; None for other things."""
    if thing.kind == "operator":
        return "holds" if example.then else "does not hold"
    if thing.kind == "pattern":
        return "finds " + ", ".join(map(shown, example.then)) if example.then else "finds nothing"
    return shown(example.then) if thing.kind == "function" else None


def _option(option: Option) -> str:
    head = f"    {option.yaml_name}: {type_in_words(option.type.schema())}; {default_in_words(option)}"
    return "\n".join([head, *textwrap.wrap(option.doc, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)])


def type_in_words(schema: dict[str, Any]) -> str:
    """What may be written, in words: `text`, `a whole number between 0 and 9`, `text or a list of text`."""
    if Condition.schema().items() <= schema.items():
        return "a condition"
    if "$ref" in schema:
        return f"a {schema['$ref'].rpartition('/')[2]}"
    if "allOf" in schema:
        return type_in_words(schema["allOf"][0])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(type_in_words(choice) for choice in schema[several]))
    if isinstance(schema.get("type"), list):
        return " or ".join(described({"type": name}) for name in schema["type"])
    if schema.get("type") == "array" and schema.get("items"):
        return f"a list ({type_in_words(schema['items'])})"
    if schema.get("type") == "object":
        return _mapping_in_words(schema)
    return described(schema)


def _mapping_in_words(schema: dict[str, Any]) -> str:
    if schema.get("properties"):
        few = len(schema["properties"]) <= MANY
        return "a mapping: " + ", ".join(schema["properties"]) if few else "a mapping of options"
    values = schema.get("additionalProperties")
    if isinstance(values, dict) and values:
        return f"a mapping of names to {type_in_words(values)}"
    return "a mapping"


def in_units(option: Option) -> Any:
    """The default as an author would write it: `5s`, `32MiB`."""
    value = option.default
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return value
    if isinstance(option.type, Seconds):
        return f"{value:g}s"
    if isinstance(option.type, Bytes):
        return next((f"{value // size:g}{unit}" for unit, size in LARGE.items() if value % size == 0), value)
    return value


def default_in_words(option: Option) -> str:
    """`required`, `default 5`, or `optional` when nothing is the default."""
    if option.required:
        return "required"
    default = in_units(option)
    if isinstance(default, (bool, int, float, str)) and default != "":
        return f"default {json.dumps(default)}" if not isinstance(default, str) else f"default {default}"
    return f"default {json.dumps(default)}" if isinstance(default, (list, dict)) and default else "optional"
