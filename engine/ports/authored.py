"""An author's Python files beside a rules file: imported by their place, under a private name of each load.

So a file named `engine.py` or `server.py` shadows nothing, a changed file is read anew at every reload, and the import
path stays as it is. Must not know what is done with what is found.
"""

from __future__ import annotations

import importlib
import sys
import traceback
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.errors import did_you_mean
from engine.ports.litellm_lent import Lent, NotLent

_PREFIX = "pointsman_authored_"
_NUMBERS = count(1)
_IMPORTING = {"importlib", "importlib._bootstrap", "importlib._bootstrap_external", "engine.ports.litellm_lent"}
_LENT: weakref.WeakValueDictionary[str, Lent] = weakref.WeakValueDictionary()  # by the name of a load


class NotFound(Exception):
    """A dotted path leads nowhere: a problem's `code`, `message` and `help`.

    `part` is the index of the wrong name, None when all of the path is wrong.
    """

    def __init__(self, code: str, message: str, help: str, part: int | None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.part = part


class Authored:
    """The Python files of one folder as one load sees them: each is imported once."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder).absolute()
        self.root = f"{_PREFIX}{next(_NUMBERS)}"
        package = ModuleType(self.root, "The files beside a rules file.")
        package.__path__ = [str(self.folder)]
        sys.modules[self.root] = package
        self.lent = _LENT[self.root] = Lent()
        weakref.finalize(self, _forget, self.root).atexit = False
        _SIBLINGS.begin()

    def find(self, dotted: str) -> Any:
        """What a dotted path names, beside the rules file or else on the import path; NotFound says why not."""
        first, *rest = parts = dotted.split(".")
        if not rest or not all(part.isidentifier() for part in parts):
            raise NotFound("unknown-module", f"`{dotted}` is no dotted path", "write `module.name`: `my_hooks.A`", None)
        beside = self._is_beside(first, rest[0])
        target: Any = self._imported(f"{self.root}.{first}" if beside else first, first, 0)
        for at, part in enumerate(rest, 1):
            shown = ".".join(parts[: at + 1])
            if not hasattr(target, part) and _has_module(target, part):
                target = self._imported(f"{target.__name__}.{part}", shown, at)
            elif hasattr(target, part):
                target = getattr(target, part)
            else:
                names = [name for name in dir(target) if not name.startswith("_")]
                message = f"`{'.'.join(parts[:at])}` has no `{part}`"
                raise NotFound("unknown-attribute", message, did_you_mean(part, names), at)
        return target

    def files(self) -> list[str]:
        """The files of this folder that were imported so far."""
        named = [
            module
            for name, module in list(sys.modules.items())
            if name.startswith(f"{self.root}.") or _SIBLINGS.knows(name)
        ]
        return [file for module in named if (file := getattr(module, "__file__", None))]

    def _is_beside(self, first: str, second: str) -> bool:
        package = self.folder / first
        return (self.folder / f"{first}.py").is_file() or any(
            place.exists() for place in (package / "__init__.py", package / f"{second}.py", package / second)
        )

    def _imported(self, name: str, shown: str, part: int) -> ModuleType:
        try:
            with _without_bytecode(), self.lent.noting(), _AUTHORS.also(name, self.lent):
                return importlib.import_module(name)
        except NotLent as error:
            raise NotFound(
                "bad-callback",
                f"`{shown}` needs `{error.shown}`, and {error.package} is not installed",
                f"run `pip install '{error.package}'` in the environment of pointsman",
                part,
            ) from error
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                known = [file.stem for file in self.folder.glob("*.py")]
                otherwise = "it is looked for beside the rules file, then on Python's import path"
                raise NotFound(
                    "unknown-module", f"there is no module `{shown}`", did_you_mean(shown, known, otherwise), part
                ) from error
            raise NotFound(
                "bad-callback",
                f"`{shown}` needs `{error.name}`, which is not installed",
                "install it into the environment that runs pointsman",
                part,
            ) from error
        except (Exception, SystemExit) as error:
            raise NotFound(
                "bad-callback",
                f"`{shown}` fails when it is imported: {_told(error)}",
                f"{_where(error, self.folder)}: try `python -c 'import {shown}'` beside it",
                part,
            ) from error


def _has_module(target: Any, name: str) -> bool:
    """Whether a package has a module of that name that is not imported yet."""
    if not isinstance(target, ModuleType) or not hasattr(target, "__path__"):
        return False
    return PathFinder.find_spec(f"{target.__name__}.{name}", target.__path__) is not None


def _told(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _where(error: BaseException, folder: Path) -> str:
    """The last place in the author's own files."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(folder))]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "outside the rules' folder"


@contextmanager
def _without_bytecode() -> Iterator[None]:
    """Compiled files carry whole seconds: two edits within one would be one."""
    importlib.invalidate_caches()
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _forget(root: str) -> None:
    """Take the modules of a load out of the table of modules; callbacks in use keep what they hold."""
    for name in list(sys.modules):
        if name == root or name.startswith(f"{root}."):
            sys.modules.pop(name, None)


class _Authors:
    """Loads authors' files with the stand-ins that are lent to them; stands before all other finders.

    It knows the files beside a rules file by their private names, and for the time of an import one package more.
    """

    def __init__(self) -> None:
        self._more: dict[str, Lent] = {}

    @contextmanager
    def also(self, name: str, lent: Lent) -> Iterator[None]:
        """While it lasts, the package that `name` begins with is an author's as well."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        top = name.partition(".")[0]
        self._more[top] = lent
        try:
            yield
        finally:
            self._more.pop(top, None)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top = name.partition(".")[0]
        lent = self._more.get(top) or _LENT.get(top) or _SIBLINGS.lent_to(top)
        spec = PathFinder.find_spec(name, path) if lent is not None else None
        return lent.loader(spec) if lent is not None and spec is not None else None


class _Siblings:
    """Lets an author's file import its neighbours by their plain names, after everything else on the import path.

    Only imports written in an author's file are answered: for the rest of the process these files do not exist.
    """

    def __init__(self) -> None:
        self._folders: dict[str, list[str]] = {}  # of the neighbours imported so far
        self._lent: dict[str, Lent] = {}

    def begin(self) -> None:
        """A new load reads neighbours anew."""
        if self not in sys.meta_path:
            sys.meta_path.append(self)
        for name in list(sys.modules):
            if name.partition(".")[0] in self._folders:
                sys.modules.pop(name, None)
        self._folders.clear()
        self._lent.clear()

    def knows(self, name: str) -> bool:
        """Whether a module is a neighbour that an author's file imported."""
        return name.partition(".")[0] in self._folders

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        asking = self._asking() if path is None else ""
        lent = (_LENT.get(asking) or self._lent.get(asking)) if asking else None
        if lent is None:
            return None
        folders = self._folders.get(asking) or list(getattr(sys.modules.get(asking), "__path__", ()))
        spec = PathFinder.find_spec(name, folders) if folders else None
        if spec is None or spec.loader is None:
            return None
        self._folders[name], self._lent[name] = folders, lent
        return lent.loader(spec)

    def lent_to(self, neighbour: str) -> Lent | None:
        """What a neighbour was lent when it was imported."""
        return self._lent.get(neighbour)

    def _asking(self) -> str:
        """The load, or the neighbour, that the importing file belongs to; empty when it is no author's."""
        frame: Any = sys._getframe(2)  # noqa: SLF001  the import system does not tell a finder who asks
        while frame is not None and frame.f_globals.get("__name__") in _IMPORTING:
            frame = frame.f_back
        asking = str(frame.f_globals.get("__name__")) if frame is not None else ""
        return asking.partition(".")[0]


_AUTHORS = _Authors()
_SIBLINGS = _Siblings()
