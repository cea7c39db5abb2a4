"""The garbage collector and rules: what goes without it, and that it goes on afterwards."""

from __future__ import annotations

import gc
import sys
import weakref
from pathlib import Path

import pytest
from running import running

from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.rules.uncollected import beside
from engine.runtime.reload import Watched

EXAMPLE = Path(__file__).parent.parent / "rules.example.yaml"
FLOORS = ("engine.source", "engine.document", "engine.language", "engine.actions", "engine.rules")
PROSE = """rules:
  - {name: a, match: "request.messages[?role == 'user'].content | [0] == $.vars.last", actions: [{tag: x}]}
  - {name: b, match: {prompt_text: {matches: 'E-[0-9]+'}}, unless: "length(headers) > `9`", actions: [{reject: no}]}
  - {name: c, phase: response, match: {response.status: 200}, actions: [{set_header: {x-c: "{{request.user}}"}}]}
  - {name: d, phase: stream, actions: [{redact: {patterns: [email]}}]}
"""


def garbage(file: Path) -> set[str]:
    """Where that is made which rules leave to the collector when they are no more."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        compile_program(load(str(file)))
        gc.collect()
        return {str(getattr(one, "__module__", "")) for one in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_rules_go_without_the_collector(tmp_path: Path) -> None:
    few = tmp_path / "rules.yaml"
    few.write_text(PROSE)
    for file in (EXAMPLE, few):
        garbage(file)  # what is made once
        assert [module for module in garbage(file) if module.startswith(FLOORS)] == []


def test_what_is_made_beside_others_is_settled() -> None:
    turn, before = sys.getswitchinterval(), gc.get_freeze_count()
    try:
        with beside():
            assert not gc.isenabled()
            assert sys.getswitchinterval() < turn
            made = [[number] for number in range(1000)]
        assert gc.get_freeze_count() >= before + len(made)
    finally:
        gc.unfreeze()


def test_all_is_as_before_after_a_failure() -> None:
    turn = sys.getswitchinterval()
    with pytest.raises(ZeroDivisionError), beside():
        _ = 1 / 0
    assert gc.isenabled()
    assert sys.getswitchinterval() == turn


class Circle:
    """An object that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self
        self.much = [[number] for number in range(300_000)]


def test_settled_garbage_goes_when_it_has_come_to_much() -> None:
    try:
        with beside():
            circle = Circle()
        gone = weakref.ref(circle)
        del circle
        with beside():
            pass
        assert gone() is None
    finally:
        gc.unfreeze()


def test_what_was_loaded_is_taken_apart_and_the_rules_serve(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(PROSE)
    loaded = load(str(file))
    program = compile_program(loaded)
    loaded.take_apart()
    assert loaded.rules == []
    assert [step.rule for step in program.plans["request", ""].steps] == ["a", "b"]


async def test_old_rules_go_with_their_last_exchange(tmp_path: Path) -> None:
    async with running(PROSE, tmp_path) as run:
        watched = Watched(str(tmp_path / "rules.yaml"), load(str(tmp_path / "rules.yaml")))
        old = weakref.ref(run.gateway.program.server)  # which nobody else has
        program = watched.look(lambda problems: None, run.gateway.program)
        assert program is not None
        gc.disable()
        try:
            run.gateway.adopt(program)
            assert old() is None
        finally:
            gc.enable()
            gc.unfreeze()
