"""Lends stand-ins for `litellm` and `fastapi` to authors' files, where those are not installed, and to nobody else.

An author's module gets an `import` of its own, so the table of modules never knows the stand-ins, and an import inside
a function finds them too. Must not know callbacks.
"""

from __future__ import annotations

import builtins
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from engine.ports.litellm_standins import ASSIGNABLE, STANDINS

PACKAGES = {"litellm": "litellm", "fastapi": "fastapi"}


class NotLent(ImportError):
    """A name of a package that is not installed and for which there is no stand-in; `package` is what to install."""

    def __init__(self, shown: str, package: str) -> None:
        super().__init__(f"`{shown}` needs the package {package}, which is not installed", name=shown)
        self.shown = shown
        self.package = package


class Lent:
    """What the files of one load import as `litellm` and `fastapi`, and what they registered there."""

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}
        self._assigned: list[tuple[str, Any]] = []

    def loader(self, spec: ModuleSpec) -> ModuleSpec:
        """A spec of an author's source file, to be loaded with these imports."""
        if type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path, self)
        return spec

    @contextmanager
    def noting(self) -> Iterator[None]:
        """While an author's files are imported: what they register is noted, and a real `litellm` left as it was."""
        real = sys.modules.get("litellm")
        before = _lists(real)
        own = self._own()
        for name in ASSIGNABLE:
            for module in (real, own):
                if module is not None:
                    setattr(module, name, [])
        try:
            yield
        finally:
            real = real or sys.modules.get("litellm")
            for module in (real, own):
                self._assigned += [
                    (name, one) for name, some in _lists(module).items() for one in some if not _is_litellms(one)
                ]
            if real is not None:
                for name in ASSIGNABLE:
                    setattr(real, name, before.get(name, []))

    def taken(self) -> list[tuple[str, Any]]:
        """What was registered since this was last asked: pairs of the list and what stood in it."""
        taken, self._assigned = self._assigned, []
        return taken

    def import_(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """What `import` means in an author's file."""
        top = name.partition(".")[0]
        if level or top not in PACKAGES or _is_installed(top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self.module(name)
        if not fromlist:
            return self._modules[top]
        for one in fromlist:
            if one != "*" and not hasattr(module, one):
                self.module(f"{name}.{one}")
        return module

    def _own(self) -> ModuleType | None:
        return None if _is_installed("litellm") else self.module("litellm")

    def module(self, name: str) -> ModuleType:
        """The stand-in of a module; NotLent."""
        if name in self._modules:
            return self._modules[name]
        top, _, _ = name.partition(".")
        if name not in STANDINS:
            proxy = name.startswith("litellm.proxy")
            raise NotLent(name, "litellm[proxy]" if proxy else PACKAGES[top])
        module = _Standin(name, self)
        vars(module).update(STANDINS[name])
        self._modules[name] = module
        above, _, own = name.rpartition(".")
        if above:
            setattr(self.module(above), own, module)
        return module


class _Standin(ModuleType):
    """A module that has its submodules, and says of names it lacks what would have to be installed."""

    def __init__(self, name: str, lent: Lent) -> None:
        super().__init__(name)
        self.__lent = lent

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        inner = f"{self.__name__}.{name}"
        if inner in STANDINS:
            return self.__lent.module(inner)
        package = PACKAGES[self.__name__.partition(".")[0]]
        raise AttributeError(f"`{self.__name__}.{name}` needs the package {package}, which is not installed")


class _Loader(SourceFileLoader):
    """Compiles from the source each time; in files that speak of LiteLLM annotations are not evaluated."""

    def __init__(self, name: str, path: str, lent: Lent) -> None:
        super().__init__(name, path)
        self._lent = lent

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        flags = annotations.compiler_flag if b"litellm" in source else 0
        code: CodeType = compile(source, path, "exec", flags, dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": self._lent.import_}
        super().exec_module(module)


def _is_installed(package: str) -> bool:
    """Whether there is such a package; a folder that only bears its name is none."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def _is_litellms(registered: Any) -> bool:
    """Whether it is a part of the real package, which registers some when it is imported."""
    named = registered if hasattr(registered, "__qualname__") else type(registered)
    return str(getattr(named, "__module__", "")).partition(".")[0] == "litellm"


def _lists(module: ModuleType | None) -> dict[str, list[Any]]:
    """What stands in the lists of a `litellm`; one that holds a single callback counts as a list of it."""
    found = {name: getattr(module, name, None) for name in ASSIGNABLE} if module is not None else {}
    return {name: list(some) if isinstance(some, (list, tuple)) else [some] for name, some in found.items() if some}
