"""From paths to the sections of all files, in order, includes followed. Must not know what sections mean."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from engine.catalogue import Scope
from engine.errors import Problem, did_you_mean
from engine.options import found, from_environment
from engine.rules.file import File
from engine.rules.misplaced import settle
from engine.rules.other_words import OF_SECTIONS
from engine.rules.yaml_text import compose, read_source
from engine.source import Mapping, Node, Scalar, Sequence, Source, Span

MOST_FILES = 10_000
MOST_LEVELS = 50  # of includes in includes


@dataclass(slots=True)
class Kept:
    """Rules files as they were read: what another process reads in their place, whatever is on disk by then."""

    texts: dict[str, str] = field(default_factory=dict)  # by path
    matches: dict[str, list[str]] = field(default_factory=dict)  # the paths that a pattern found

    def source(self, path: str, shown: str) -> Source | Problem:
        """The text of a file that was kept, else as it is on disk."""
        text = self.texts.get(path)
        return read_source(path, shown) if text is None else Source(shown, text)

    def glob(self, pattern: str) -> list[str]:
        """What a pattern found, else what it finds."""
        known = self.matches.get(pattern)
        return sorted(glob.glob(pattern, recursive=True)) if known is None else known


@dataclass(slots=True)
class Written:
    """What stands in the files: their texts, and every section with the folder its paths start from."""

    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    also: list[str] = field(default_factory=list)  # further files and patterns whose change is a reload
    sections: list[tuple[str, Scalar, Node, str]] = field(default_factory=list)  # name, key, value, folder
    reached: set[str] = field(default_factory=set)  # files by their real paths, each read once
    complete: bool = True  # False when a file could not be read: what it defines is not known
    kept: Kept = field(default_factory=Kept)  # what is read in place of files, where it holds any
    matches: dict[str, list[str]] = field(default_factory=dict)  # what the patterns of includes found

    def keep(self) -> Kept:
        """These files for another process."""
        return Kept({source.name: source.text for source in self.sources}, dict(self.matches))

    def named(self, name: str) -> Iterator[tuple[Scalar, Node, str]]:
        """All sections of one name, in the order of the files."""
        return ((key, value, folder) for section, key, value, folder in self.sections if section == name)

    def names(self, section: str) -> list[str]:
        """The `name` of every entry of a section that is a list, of those with problems too."""
        entries = [entry for _, node, _ in self.named(section) if isinstance(node, Sequence) for entry in node]
        named = [entry.get("name") for entry in entries if isinstance(entry, Mapping)]
        return [str(name.plain()) for name in named if name is not None]


def read_files(path: str, kept: Kept | None = None) -> Written:
    """The file at a path and all that it includes: the including file first, then its includes as listed.

    What was `kept` of them is taken in place of what is on disk.
    """
    written = Written(kept=kept or Kept())
    _read(path, path, None, written, [])
    return written


def _read(path: str, shown: str, asked: Span | None, written: Written, above: list[str]) -> None:
    real = os.path.realpath(path)
    if asked is not None:
        refused = _refused(real, shown, asked, written, above)
        if refused is not None:
            written.problems.append(refused)
            written.complete = False
            return
    if real in written.reached:
        return  # a second time by another way: its rules stand where they stood first
    written.reached.add(real)
    source = written.kept.source(path, shown)
    if isinstance(source, Problem):
        missing = asked is not None and source.code == "missing-file"
        written.problems.append(replace(source, span=asked) if missing and asked is not None else source)
        written.complete = False
        return
    written.sources.append(source)
    root, problems = compose(source)
    written.problems += problems
    if root is None:
        written.complete = False
    else:
        _take(root, source, written, [*above, real])


def _refused(real: str, shown: str, asked: Span, written: Written, above: list[str]) -> Problem | None:
    """Why an included file is not read, if it is not."""
    if real in above:
        circle = " → ".join(map(os.path.basename, [*above, real]))
        return Problem("include-cycle", f"`{shown}` includes itself", asked, f"take it out of `include`: {circle}")
    if len(above) >= MOST_LEVELS:
        return Problem(
            "too-deep",
            f"files include each other more than {MOST_LEVELS} levels deep",
            asked,
            "include them from one file",
        )
    if len(written.reached) >= MOST_FILES:
        return Problem("too-large", f"more than {MOST_FILES} files are included", asked, "put rules together")
    if os.path.exists(real) and not os.path.isfile(real) and not os.path.isdir(real):
        return Problem("missing-file", f"`{shown}` is a pipe or a device, not a file", asked, "check the path")
    return None


def _take(root: Node, source: Source, written: Written, above: list[str]) -> None:
    if not isinstance(root, Mapping):
        written.problems.append(
            Problem("wrong-type", f"a rules file is a mapping, found {found(root)}", root.span, "begin with `rules:`")
        )
        return
    folder = os.path.dirname(source.name) or "."
    written.problems += settle(root)
    known = {option.yaml_name for option in File.options.values()}
    for key, value in root:
        name = str(key.value)
        if name in known:
            written.sections.append((name, key, value, folder))
        else:
            written.problems.append(
                Problem(
                    "unknown-key",
                    f"unknown section `{name}`",
                    key.span,
                    OF_SECTIONS.get(name) or did_you_mean(name, known),
                )
            )
    included = root.get("include")
    if included is not None:
        for path, span in _included(included, folder, written):
            _read(path, path, span, written, above)


def _included(node: Node, folder: str, written: Written) -> Iterator[tuple[str, Span]]:
    scope = Scope()
    for item in node if isinstance(node, Sequence) else [node]:
        pattern = from_environment(item, scope)
        if not isinstance(pattern, str):
            if not scope.problems:
                scope.problem("wrong-type", f"`include` takes paths, found {found(item)}", item.span)
            continue
        if "\0" in pattern:
            scope.problem("bad-character", "a path cannot have a null character", item.span, help="take it out")
            continue
        path = os.path.normpath(os.path.join(folder, pattern))
        if not glob.has_magic(pattern):
            yield path, item.span
            continue
        written.also.append(path)
        paths = written.matches[path] = written.kept.glob(path)
        if not paths:
            scope.problem(
                "include-nothing",
                f"`{pattern}` matches no file",
                item.span,
                severity="note",
                help="check the path, or leave it if files come later",
            )
        for found_path in paths:
            yield found_path, item.span
    written.problems += scope.problems
