"""The one extension mechanism: a thing an author can name is one class, and that class says everything about it.

Schema fragment, `pointsman schema` page, reference entry, completion and tests are derived from the class. Must not
know any particular entry; floors above subclass `Entry` and bring option types.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Protocol

from engine.errors import Problem, Severity, did_you_mean, nearest
from engine.options import BAD, MISSING, Option, OptionType, option_type
from engine.phases import ALL, EVERY_CALL_TYPE, Phase
from engine.source import Mapping, Node, Scalar, Source, Span

CATALOGUE: dict[str, dict[str, type[Entry]]] = {}


@dataclass(frozen=True, slots=True)
class Example:
    """One titled case: shown in the reference and run as a test.

    `rule` is the YAML of the entry in use; `given` and `then` are `request`/`upstream` and `expect` of a test case
    (for a function or operator: the expression's or operator's input and result). `acts` is False for the case in
    which the entry leaves everything alone.
    """

    title: str
    rule: str
    given: Any = None
    then: Any = None
    acts: bool = True


class Entry:
    """A named thing of the rules language. `kind` is set by the floor's base class, `name` in the class line."""

    kind: str = ""  # these two are of the class, except where an option has the name
    name: str = ""
    noun: ClassVar[str] = ""
    options: ClassVar[dict[str, Option]] = {}
    examples: ClassVar[list[Example]] = []
    meant: ClassVar[dict[str, str]] = {}  # what authors call options that have another name here: the cure of each

    def __init_subclass__(cls, *, name: str = "", kind: str = "", **facts: Any) -> None:
        super().__init_subclass__()
        if kind:
            cls.kind = kind
        for fact, value in facts.items():
            setattr(cls, fact, value)
        if name:
            cls.options = _options_of(cls)
            cls.name = name
            if "kind" in cls.options:  # an option may be called `kind` or `name`: its value lives on instances
                cls.kind = kind or cls.__mro__[1].kind  # type: ignore[attr-defined]
            CATALOGUE.setdefault(cls.kind, {})[name] = cls

    @classmethod
    def doc(cls) -> str:
        """The class's own docstring, unindented."""
        return inspect.cleandoc(cls.__dict__.get("__doc__") or "")

    @classmethod
    def called(cls) -> str:
        """What a message calls it: an action by its name, a section that repeats by its noun."""
        return cls.noun or f"`{cls.name}`"

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return cls.doc().partition("\n")[0]

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """An instance whose attributes are the options read from `node`, or BAD after telling `scope` why."""
        short = next((option for option in cls.options.values() if option.short or option.whole), None)
        unknown: list[str] = []
        if short and (short.whole or not isinstance(node, Mapping)):
            given: dict[str, Any] = {short.name: short.type.read(node, scope)}
            places: dict[str, Node] = {short.name: node}
        elif isinstance(node, Mapping):
            given, places, unknown = _read_mapping(cls, node, scope)
        elif isinstance(node, Scalar) and node.value is None and not any(o.required for o in cls.options.values()):
            given, places = {}, {}
        else:
            scope.problem(
                "wrong-type",
                f"{cls.called()} takes a mapping of options, found {node.sort}",
                node.span,
                help=f"write it like {_sample(cls)}",
            )
            return BAD
        _fill(cls, given, unknown, node, scope)
        if unknown or any(value is BAD for value in given.values()):
            return BAD
        return cls.made(given, places, node, scope)

    @classmethod
    def defaults(cls) -> Any:
        """An instance in which every option has its default."""
        entry = cls.__new__(cls)
        entry.__dict__.update({name: option.default for name, option in cls.options.items()})
        return entry

    @classmethod
    def made(cls, given: dict[str, Any], places: dict[str, Node], node: Node, scope: Scope) -> Any:
        """The instance; then `check`, which may still refuse it."""
        entry = cls.__new__(cls)
        entry.__dict__.update(given)
        before = len(scope.problems)
        entry.check(places, node, scope)
        return BAD if any(p.severity == "error" for p in scope.problems[before:]) else entry

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        """What the options must satisfy together; problems go to `scope`. `places` has the nodes that were written."""


def _read_mapping(cls: type[Entry], node: Mapping, scope: Scope) -> tuple[dict[str, Any], dict[str, Node], list[str]]:
    """The values of the options that are written, their nodes, and the keys that are no options."""
    given: dict[str, Any] = {}
    places: dict[str, Node] = {}
    unknown: list[str] = []
    options = {option.yaml_name: option for option in cls.options.values()}
    for key, value in node:
        name = str(key.value)
        option = options.get(name)
        if option is None:
            unknown.append(name)
            help = cls.meant.get(name) or did_you_mean(name, options)
            scope.problem("unknown-key", f"unknown option `{name}` of {cls.called()}", key.span, help=help)
            continue
        given[option.name] = option.type.read(value, scope)
        places[option.name] = value
    return given, places, unknown


def _fill(cls: type[Entry], given: dict[str, Any], unknown: list[str], node: Node, scope: Scope) -> None:
    """Defaults for what is not written; what is required and missing is a problem, if it is not merely misspelt."""
    misspelt = {nearest(name, [o.yaml_name for o in cls.options.values()]) for name in unknown if name not in cls.meant}
    for name, option in cls.options.items():
        if name in given:
            continue
        given[name] = BAD if option.required else option.default_value(scope)
        if option.required and option.yaml_name not in misspelt and not any(name in cls.meant for name in unknown):
            scope.problem(
                "missing-key",
                f"{cls.called()} needs `{option.yaml_name}`",
                _opening(node),
                help=f"write `{option.yaml_name}: …`: {_continued(option.doc)}",
            )


def _continued(doc: str) -> str:
    """A sentence as the end of another one."""
    first = doc[:1].lower() if doc[1:2].islower() else doc[:1]
    return first + doc[1:].rstrip(".")


def _sample(cls: type[Entry]) -> str:
    """An entry in outline: `{input: …, output: …}`."""
    required = [o.yaml_name for o in cls.options.values() if o.required]
    names = required or [o.yaml_name for o in cls.options.values()][:1]
    return (
        "`{"
        + ", ".join(f"{name}: …" for name in names)
        + "}`; options: "
        + ", ".join(o.yaml_name for o in cls.options.values())
    )


def _opening(node: Node) -> Span:
    """Where something missing is reported: the start of the mapping."""
    return node.span.at(node.span.start, min(node.span.start + 1, node.span.end))


def _options_of(cls: type[Entry]) -> dict[str, Option]:
    found = {}
    for base in reversed(cls.__mro__):
        for name, hint in inspect.get_annotations(base).items():
            declared = base.__dict__.get(name)
            if isinstance(declared, Option):
                meaning = declared.reads or _evaluated(hint, base)
                found[name] = declared.named(name, option_type(meaning, declared))
    return found


def _evaluated(hint: Any, cls: type) -> Any:
    """The annotation itself; postponed ones are texts of our own source."""
    return eval(hint, vars(sys.modules[cls.__module__])) if isinstance(hint, str) else hint  # noqa: S307


class Reader(Protocol):
    """Reads files, and YAML as this language has it."""

    def read_source(self, path: str, shown_name: str) -> Source | Problem:
        """The text of a file, or why it cannot be read."""

    def compose(self, source: Source) -> tuple[Node | None, list[Problem]]:
        """The value that a text holds, and what is wrong with it."""


class Scope:
    """Where something is being read: the names that exist, the rule it stands in, and where problems go.

    `tables` maps a sort of name (`list`, `pattern`, `condition`, `sink`, `prompt`, `upstream`, `model`, `store`,
    `prompt_source`) to its entries; `used` remembers which were looked up, for the unused lint.
    """

    def __init__(
        self, tables: dict[str, dict[str, Any]] | None = None, folder: str = ".", reader: Reader | None = None
    ) -> None:
        self.tables = tables if tables is not None else {}
        self.reader = reader  # of files that hold YAML, for options that name some
        self.folder = folder  # of the file being read; relative paths start here
        self.problems: list[Problem] = []
        self.read_files: list[str] = []  # besides rules files: list files, prompt folders; a change of one is a reload
        self.used: set[tuple[str, str]] = set()
        self.notes: dict[str, Any] = {}  # what readers remember from place to place
        self.rule: str | None = None
        self.phases: frozenset[Phase] = ALL
        self.call_types: frozenset[str] = EVERY_CALL_TYPE

    def problem(self, code: str, message: str, span: Span, help: str = "", severity: Severity = "error") -> None:
        """Note a problem at a place."""
        self.problems.append(Problem(code, message, span, help, severity, self.rule))

    def find(self, sort: str, name: str, span: Span) -> Any:
        """The entry of that name, or BAD after a problem with the nearest known name."""
        table = self.tables.get(sort, {})
        if name not in table:
            self.problem(
                f"unknown-{sort.replace('_', '-')}",
                f"unknown {sort.replace('_', ' ')} `{name}`",
                span,
                help=did_you_mean(name, table, f"no {sort.replace('_', ' ')}s are defined" if not table else ""),
            )
            return BAD
        self.used.add((sort, name))
        return table[name]


def schema_of(cls: type[Entry]) -> dict[str, Any]:
    """The JSON Schema (draft-07) of an entry's value: its short form, its long form, or either."""
    short = next((o for o in cls.options.values() if o.short or o.whole), None)
    if short and short.whole:
        return {"description": cls.doc(), **_without_description(short.type.schema())}
    long_form = {
        "type": "object",
        "properties": {o.yaml_name: o.schema() for o in cls.options.values()},
        "additionalProperties": False,
    }
    required = [o.yaml_name for o in cls.options.values() if o.required]
    if required:
        long_form["required"] = required
    if short is None:
        return {"description": cls.doc(), **long_form}
    return {"description": cls.doc(), "anyOf": [short.schema(), long_form]}


def _without_description(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "description"}


def discover(package: ModuleType) -> None:
    """Import every module of a package, so that its entries are in the catalogue."""
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


def entries(kind: str) -> Iterable[type[Entry]]:
    """All entries of a kind, by name."""
    return [cls for _, cls in sorted(CATALOGUE.get(kind, {}).items())]


__all__ = [
    "BAD",
    "CATALOGUE",
    "MISSING",
    "Entry",
    "Example",
    "Option",
    "OptionType",
    "Scope",
    "discover",
    "entries",
    "schema_of",
]
