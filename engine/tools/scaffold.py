"""A new entry of the language as a file that works at once and is meant to be changed. Must not know entries."""

from __future__ import annotations

import re
from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*\Z")

ACTION = '''\
"""`{name}`: one sentence that says what this is for. Must not know other actions."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.catalogue import Example
from engine.document.exchange import Exchange
from engine.language.template import Template
from engine.options import option
from engine.phases import REQUEST, Phase


class {class_name}(Action, name="{name}", phases=frozenset({{REQUEST}})):
    """Put a text into `vars.{name}`.

    The first line is the summary in lists; what follows is told on the action's page and in editors.
    """

    text: Template = option("What is put there; a text that comes out empty changes nothing.", short=True)
    writes = ("vars",)

    examples = [
        Example(
            "the text stands in the variable",
            "actions: [{{{name}: hello}}]",
            {{"request": {{"body": {{"model": "gpt-4o", "messages": [{{"role": "user", "content": "hi"}}]}}}}}},
            {{"holds": ["vars.{name} == 'hello'"]}},
        ),
        Example(
            "an empty text changes nothing",
            "actions: [{{{name}: '{{{{ metadata.greeting }}}}'}}]",
            {{"request": {{"body": {{"model": "gpt-4o", "messages": [{{"role": "user", "content": "hi"}}]}}}}}},
            {{"holds": ["vars.{name} == `null`"]}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        text = self.text.text

        def apply(x: Exchange) -> Effect:
            value = text(x)
            if not value:
                return NOOP
            x.vars = {{**x.vars, "{name}": value}}
            return None

        return apply
'''

NEXT = """\
written: {path}
next:
  1. say in its docstring and options what it does, and make `compile` do it
  2. give it an example that acts and one that leaves everything alone
  3. pointsman schema --write && pointsman reference --write
  4. run the tests; there is no other place to add it to
"""


def action_text(name: str) -> str:
    """The file of a new action of that name."""
    class_name = "".join(word.capitalize() for word in name.split("_"))
    return ACTION.format(name=name, class_name=class_name)


def action_place(name: str) -> Path:
    """Where the file of an action stands: its name is the action's."""
    import engine.actions

    return Path(engine.actions.__path__[0]) / f"{name}.py"
