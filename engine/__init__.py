"""pointsman: rules for what every language-model call may do.

`load(path)` gives a compiled Program or raises `RulesError` with every problem; `Callback` is the base class of the
escape hatch. Importing this package costs nothing: each name is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.callback import Callback
    from engine.errors import Problem, RulesError
    from engine.rules.program import Program

__version__ = "0.1.0"
__all__ = ["Callback", "Problem", "RulesError", "load"]


def load(path: str) -> Program:
    """Read, check and compile a rules file; RulesError with all problems when one of them is an error."""
    from engine.errors import RulesError
    from engine.rules.compile import compile_program
    from engine.rules.load import load as load_file

    loaded = load_file(path)
    if not loaded.fine:
        raise RulesError(loaded.problems)
    return compile_program(loaded)


def __getattr__(name: str) -> Any:
    if name == "Callback":
        from engine.callback import Callback

        return Callback
    if name in ("Problem", "RulesError"):
        import engine.errors

        return vars(engine.errors)[name]
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
