"""From rules files to checked sections: everything is read, every problem is kept. Must not know how rules run."""

from __future__ import annotations

from typing import Any

import engine.actions
import engine.language
import engine.ports
from engine.catalogue import Scope, discover
from engine.cures import named
from engine.language.condition import Condition
from engine.language.patterns import read_named
from engine.options import BAD, MapOf, found
from engine.phases import LOG
from engine.ports.callbacks import registered
from engine.ports.sinks import Sink
from engine.rules import yaml_text
from engine.rules.file import File
from engine.rules.files import Kept, Written, read_files
from engine.rules.lint import lint
from engine.rules.load_checks import check_names, distinct, readable
from engine.rules.loaded import SORTS, Loaded
from engine.rules.rule import Rule
from engine.rules.silence import silenced
from engine.rules.uncollected import uncollected
from engine.source import Mapping, Node, Scalar, Sequence

for _floor in (engine.language, engine.ports, engine.actions):
    discover(_floor)

ONCE = ("version", "server")


READ_FIRST = (  # what a section names must be known before it is read
    "version",
    "server",
    "lists",
    "patterns",
    "prices",
    "stores",
    "prompt_sources",
    "sinks",
    "prompts",
    "callbacks",
    "success_callback",
    "failure_callback",
    "input_callback",
    "upstreams",
    "models",
    "keys",
    "conditions",
    "rules",
    "tests",
)


RESERVED = {
    ("upstreams", "demo"): "the embedded upstream",
    ("prompt_sources", "local"): "the section `prompts`",
    ("prompt_sources", "callback"): "the classes under `callbacks`",
}


def load(path: str, running: dict[str, Sink] | None = None, kept: Kept | None = None) -> Loaded:
    """Read a rules file and all that it includes; never raises for what stands in them.

    `running` sinks are kept where the file says the same of them, so that a reload loses no record. What was `kept`
    of the files is taken in place of what is on disk.
    """
    with uncollected():
        return _load(read_files(path, kept), running or {})


def _load(written: Written, running: dict[str, Sink]) -> Loaded:
    loaded = Loaded(written=written, tables={sort: {} for sort in SORTS.values()})
    scope = Scope(loaded.tables, reader=yaml_text)
    _expect_rules(written, scope)
    for _, node, _ in written.named("conditions"):
        if isinstance(node, Mapping):  # as nodes: each use reads them in its own phase
            loaded.tables["condition"].update({str(key.value): value for key, value in node})
    for section in READ_FIRST:
        for key, node, folder in written.named(section):
            scope.folder = folder
            _read_section(section, key, node, loaded, scope)
        if section == "sinks":
            _keep_running(loaded.tables["sink"], running)
    scope.rule = None
    loaded.callbacks["registered"] = registered(scope)
    written.also += scope.read_files
    check_names(loaded, scope)
    _expect_keys(written, scope)
    lint(loaded, scope)
    loaded.problems = silenced(distinct([*written.problems, *readable(scope.problems, written)]), written.sources)
    return loaded


def _expect_rules(written: Written, scope: Scope) -> None:
    """A file that says nothing about exchanges is a slip, unless it says so: `rules: []`."""
    silent = not any(name in ("rules", "include") or "callback" in name for name, *_ in written.sections)
    if silent and not written.problems and written.sections:
        scope.problem(
            "no-rules",
            "this file has no `rules`",
            written.sections[0][1].span,
            help="write `rules: []` if that is meant",
        )


def _expect_keys(written: Written, scope: Scope) -> None:
    """`keys` that name nobody would leave the gateway open, as if they had not been written."""
    nodes = [value for _, value, _ in written.named("keys")]
    if nodes and all(isinstance(node, Sequence) and not list(node) for node in nodes):
        scope.problem(
            "no-keys",
            "`keys` names nobody",
            nodes[0].span,
            help="name who may call, or leave `keys` out: then everybody on this machine may",
        )


def _keep_running(sinks: dict[str, Any], running: dict[str, Sink]) -> None:
    for name, sink in sinks.items():
        old = running.get(name)
        if old is not None and sink is not BAD and old.same_as(sink):
            sinks[name] = old


def _read_section(section: str, key: Scalar, node: Node, loaded: Loaded, scope: Scope) -> None:
    option = next(o for o in File.options.values() if o.yaml_name == section)
    if section in SORTS:
        _read_named(section, node, loaded, scope)
    elif section in ONCE:
        if section in loaded.single:
            scope.problem(
                "defined-twice",
                f"`{section}` is written in two files",
                key.span,
                help="keep it in one file, best in the including one",
            )
        loaded.single[section] = option.type.read(node, scope)
    elif section == "keys":
        loaded.keys += _good(option.type.read(node, scope))
    elif section == "rules":
        _read_rules(node, loaded, scope)
    elif section == "tests":
        _read_tests(node, loaded, scope)
    else:
        loaded.callbacks.setdefault(section, []).extend(_good(option.type.read(node, scope)))


def _good(values: Any) -> list[Any]:
    return [] if values is BAD else list(values)


def _read_named(section: str, node: Node, loaded: Loaded, scope: Scope) -> None:
    """A mapping of names; a name may be defined once over all files."""
    if not isinstance(node, Mapping):
        scope.problem(
            "wrong-type", f"`{section}` is a mapping of names, found {found(node)}", node.span, help=named(node)
        )
        return
    option = next(o for o in File.options.values() if o.yaml_name == section)
    assert isinstance(option.type, MapOf)
    table = loaded.tables[SORTS[section]]
    seen = loaded.single.setdefault(f"{section} seen", {})
    for key, value in node:
        name = str(key.value)
        if name in seen:
            line, _ = seen[name].source.position(seen[name].start)
            scope.problem(
                "defined-twice",
                f"`{name}` is defined already in {seen[name].source.name}:{line}",
                key.span,
                help="a name may be defined once over all files",
            )
            continue
        seen[name] = key.span
        if section == "conditions":
            scope.phases = frozenset({LOG})  # sees everything: each use is checked again in its own phase
            Condition.read(value, scope)
        elif (section, name) in RESERVED:
            told = f"`{name}` is {RESERVED[section, name]}"
            scope.problem("reserved-name", told, key.span, help="choose another name")
        elif section == "patterns":
            table[name] = read_named(key, value, scope)
        else:
            table[name] = option.type.value.read(value, scope)


def _read_rules(node: Node, loaded: Loaded, scope: Scope) -> None:
    if not isinstance(node, Sequence):
        scope.problem(
            "wrong-type", f"`rules` is a list, found {found(node)}", node.span, help="begin each rule with `- name: …`"
        )
        return
    seen = loaded.single.setdefault("rule names", {})
    for item in node:
        rule = Rule.read(item, scope)
        scope.rule = None
        if rule is BAD:
            continue
        if rule.name_ in seen:
            line, _ = seen[rule.name_].source.position(seen[rule.name_].start)
            scope.problem(
                "defined-twice",
                f"rule `{rule.name_}` is defined already in {seen[rule.name_].source.name}:{line}",
                rule.span,
                help="give one of them another name",
            )
            continue
        seen[rule.name_] = rule.span
        loaded.rules.append(rule)


def _read_tests(node: Node, loaded: Loaded, scope: Scope) -> None:
    if not isinstance(node, Sequence):
        scope.problem(
            "wrong-type", f"`tests` is a list, found {found(node)}", node.span, help="begin each test with `- name: …`"
        )
        return
    for item in node:
        if isinstance(item, Mapping):
            loaded.tests.append((item, scope.folder))
        else:
            scope.problem(
                "wrong-type", f"a test is a mapping, found {found(item)}", item.span, help="begin it with `- name: …`"
            )
