"""From a YAML parser's events to nodes with places, with what is refused on the way. Must not know rules."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml
from yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, StreamEndEvent

from engine.rules import yaml_places
from engine.rules.yaml_characters import quoted
from engine.rules.yaml_scalars import NumberError, meaning
from engine.rules.yaml_told import Teller
from engine.source import Mapping, Node, Scalar, Sequence, Source, Span

MAX_DEPTH = 100  # of nested lists and mappings
MAX_ALIASED = 10_000  # nodes that aliases may repeat, all together

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:[ \t]*(?:#[^\n]*)?\n)*\s*)+")
_TAG = re.compile(r"!\S*")
_LOCATE = {
    "'": yaml_places.single_quoted,
    '"': yaml_places.double_quoted,
    "|": yaml_places.literal,
    ">": yaml_places.folded,
}


class Composer(Teller):
    """Walks the parser's events of one document; recursive, as deep as MAX_DEPTH allows."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.shift = 1 if source.text.startswith("\ufeff") else 0
        parser = _Parser(source.text[self.shift :])
        self.next = parser.get_event
        self.anchors: dict[str, Node | None] = {}  # None while the anchored value is still being read
        self.extents: dict[Node, tuple[int, int]] = {}
        self.aliased = 0

    def document(self) -> Node | None:
        """The one value of the file."""
        self.next()
        if type(self.next()) is StreamEndEvent:
            self.empty()
            return None
        root = self.node(self.next(), 0)
        self.next()
        more: Any = self.next()
        if type(more) is not StreamEndEvent:
            place = more.start_mark.index + self.shift
            self.stop(
                "several-documents",
                "`---` begins a second document; a file holds one",
                place,
                place + 3,
                "put it into a file of its own and name that in `include`, or take the line out",
            )
        if isinstance(root, Scalar) and root.value is None and root.span.start == root.span.end:
            self.empty()
            return None
        return root

    def empty(self) -> None:
        self.problem("empty-file", "the file is empty", 0, 0, "write what it is for; no rules at all is `rules: []`")

    def node(self, event: Any, depth: int) -> Node:
        kind = type(event)
        if kind is AliasEvent:
            return self.alias(event, depth)
        if event.anchor is not None or event.tag is not None:
            return self.marked(event, depth)
        start = event.start_mark.index + self.shift
        if kind is ScalarEvent:
            return self.scalar(event, start)
        return self.mapping(start, depth) if kind is MappingStartEvent else self.sequence(start, depth)

    def marked(self, event: Any, depth: int) -> Node:
        """A value with an anchor or a tag before it."""
        written = event.start_mark.index + self.shift
        found = _PROPERTIES.match(self.source.text, written)
        start = found.end() if found else written
        ending = event.end_mark.index + self.shift
        name, tag = event.anchor, event.tag
        if name is not None:
            self.anchors[name] = None
        node: Node
        if type(event) is ScalarEvent:
            node = self.scalar(event, min(start, ending))
        elif type(event) is MappingStartEvent:
            node = self.mapping(start, depth)
        else:
            node = self.sequence(start, depth)
        if tag is not None:
            node = self.tagged(node, written)
        if name is not None:
            self.anchors[name] = node
        return node

    def scalar(self, event: Any, start: int) -> Scalar:
        text: str = event.value
        style = event.style
        end = event.end_mark.index + self.shift
        if style:
            if style in "|>":
                end = start + len(self.source.text[start:end].rstrip())
            return Scalar(text, Span(self.source, start, end), plain_style=False, locate=_LOCATE[style])
        locate = None if len(text) == end - start else yaml_places.plain
        try:
            return Scalar(meaning(text), Span(self.source, start, end), locate=locate)
        except NumberError as error:
            self.problem("bad-number", str(error), start, end, "put quotes around it if text is meant")
            return Scalar(0, Span(self.source, start, end))

    def sequence(self, start: int, depth: int) -> Node:
        if depth >= MAX_DEPTH:
            self.too_deep(start)
        items: list[Node] = []
        event = self.next()
        while type(event) is not SequenceEndEvent:
            items.append(self.node(event, depth + 1))
            event = self.next()
        span = self.whole(start, event, items[-1] if items else None)
        return self.filter(span) if self.source.text.startswith("[?", start) else Sequence(items, span)

    def filter(self, span: Span) -> Scalar:
        """`[?role == 'user']` without quotes, whose `?` begins a key to YAML: read as the text it looks like."""
        text = self.source.text[span.start : span.end]
        self.problem(
            "yaml-syntax", "a value that starts with `[?` needs quotes", span.start, span.end, f"write `{quoted(text)}`"
        )
        return Scalar(text, span)

    def mapping(self, start: int, depth: int) -> Node:
        if depth >= MAX_DEPTH:
            self.too_deep(start)
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[Any, Scalar] = {}
        last: Node | None = None
        template = False
        event = self.next()
        while type(event) is not MappingEndEvent:
            key = self.node(event, depth + 1)
            before = len(self.problems)
            last = self.node(self.next(), depth + 1)
            if isinstance(key, Mapping) and self.source.text.startswith("{{", start):
                template = True
            else:
                if isinstance(key, Scalar) and key.value == "<<" and key.plain_style:
                    del self.problems[before:]  # what is left out is not judged
                name = self.key(key)
                if name is not None and (seen.setdefault(name.value, name) is name or self.duplicate(name, seen)):
                    entries.append((name, last))
            event = self.next()
        span = self.whole(start, event, last)
        return self.template(span) if template else Mapping(entries, span)

    def whole(self, start: int, end: Any, last: Node | None) -> Span:
        """From the first character to the closing bracket, or to the end of the last value of a block."""
        closing = end.end_mark.index
        if closing != end.start_mark.index or last is None:
            return Span(self.source, start, closing + self.shift)
        return Span(self.source, start, max(start, last.span.end))

    def key(self, key: Node) -> Scalar | None:
        """The key as text; None for one to leave out."""
        if isinstance(key, Scalar) and isinstance(key.value, str):
            if key.value == "<<" and key.plain_style:
                self.problem(
                    "merge-key",
                    "merge keys (`<<`) are not part of this language",
                    key.span.start,
                    key.span.end,
                    "name what is shared under `lists:` or `conditions:`",
                )
                return None
            return key
        start, end = key.span.start, key.span.end
        text = self.source.text[start:end]
        if not isinstance(key, Scalar):
            self.problem(
                "non-string-key",
                f"a {key.sort} cannot be a key; keys are text",
                start,
                end,
                "put quotes around it if text is meant",
            )
        elif not text:
            self.problem("non-string-key", "there is no key before this `:`", start, end, "write a name before it")
        else:
            self.problem(
                "non-string-key",
                f"the key `{text}` is a {key.sort}; keys are text",
                start,
                end,
                f'put quotes around it: `"{text}"`',
            )
        return Scalar(text, key.span)

    def tagged(self, node: Node, start: int) -> Node:
        """A value after a tag: `!stream` is most likely an expression, `!!str` a habit from elsewhere."""
        end = node.span.end
        found = _TAG.search(self.source.text, start)
        tag = found[0] if found else "!"
        begin = found.start() if found else start
        text = self.source.text[begin:end]
        if tag.startswith("!!") or not isinstance(node, Scalar):
            self.problem(
                "yaml-tag",
                f"tags like `{tag}` are not part of this language",
                begin,
                begin + len(tag),
                "take it out, and put quotes around the value if text is meant",
            )
            return node
        self.problem(
            "yaml-tag",
            f"unquoted, `{tag}` is a tag to YAML, and tags are not part of this language",
            begin,
            begin + len(tag),
            f"if an expression is meant, put it in quotes: `{quoted(text)}`",
        )
        return Scalar(text, Span(self.source, begin, end))

    def alias(self, event: Any, depth: int) -> Node:
        start, end = event.start_mark.index + self.shift, event.end_mark.index + self.shift
        name = event.anchor
        node = self.anchors.get(name)
        if name not in self.anchors:
            text = self.source.text[start:end]
            self.problem(
                "unknown-alias",
                f"`{text}` repeats a value marked `&{name}`, and there is none",
                start,
                end,
                f"if the text itself is meant, put it in quotes: `{quoted(text)}`",
            )
            return Scalar(text, Span(self.source, start, end))
        if node is None:
            self.stop(
                "recursive-alias",
                f"`*{name}` stands inside the value that it repeats",
                start,
                end,
                "write the value out",
            )
        size, height = self.extent(node)
        self.aliased += size
        if self.aliased > max(MAX_ALIASED, len(self.source.text) // 4):
            self.stop(
                "alias-bomb",
                f"aliases repeat more than {MAX_ALIASED:,} values",
                start,
                end,
                "name what is shared under `lists:`, `conditions:` or `patterns:` and refer to it",
            )
        if depth + height > MAX_DEPTH:
            self.too_deep(start)
        return node

    def extent(self, node: Node) -> tuple[int, int]:
        """How many nodes a value has, itself included, and how deeply they are nested."""
        known = self.extents.get(node)
        if known is None:
            inside = list(node) if isinstance(node, Sequence) else []
            if isinstance(node, Mapping):
                inside = [value for _, value in node]
            sizes = [self.extent(child) for child in inside]
            height = 1 + max([height for _, height in sizes], default=0)
            known = self.extents[node] = (1 + sum(size for size, _ in sizes), height)
        return known

    def too_deep(self, start: int) -> NoReturn:
        self.stop(
            "too-deep",
            f"lists and mappings are nested more than {MAX_DEPTH} levels deep",
            start,
            start + 1,
            "split the value up; conditions can be named under `conditions:`",
        )
