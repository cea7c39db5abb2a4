"""`redact`: what patterns find is replaced by marks, and put back into the answer where that is wanted.

Must not know the dialects' shapes: they say which strings are text. What of a stream it redacts, it only says
(`streaming`); the runtime does it, as the text comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import CONVERSATION, OF_ANSWER, OF_REQUEST, Place, written_roots
from engine.actions.redaction import HOLES, MarkText, Redaction, Replacement, at_paths
from engine.catalogue import Example, Scope
from engine.document.dialect import TextChange
from engine.document.exchange import Exchange
from engine.document.marks import Marks
from engine.document.paths import Path
from engine.language.findings import findings, replaced
from engine.language.patterns import Pattern, PatternList
from engine.language.windows_several import Windows
from engine.options import OneOrMany, option
from engine.phases import ATTEMPT, LOG, REQUEST, RESPONSE, STREAM, Phase
from engine.source import Node

ALL_TEXT: tuple[str, ...] = (*CONVERSATION, "request.tools")


class Redact(Action, name="redact", phases=frozenset({REQUEST, ATTEMPT, RESPONSE, STREAM, LOG})):
    """Replace what patterns find in the text.

    A pattern is a built-in name (`pii.email`), a group (`secret.*`), a name of `patterns`, or RE2 in place, whose
    name is `redacted`. Overlapping findings are replaced as one. With `restore` every distinct value has a mark of its
    own (`[MAIL]`, `[MAIL_2]`), and the answer is given back with the values in place of the marks; a mark that stands
    in the request's text already is never used.

    In phase `stream` only text that could still become, or grow, a match waits, at most `max_span` characters; a match
    that is longer ends the text before it and is an error of the rule.
    """

    patterns: PatternList = option("Names of patterns, or RE2.", short=True)
    with_: MarkText | None = option("What stands there instead; default `[{{ name }}]`.", None)
    in_: OneOrMany[Place] = option("Where to look: names of texts, or paths in the body; default all text.", [])
    restore: bool = option("Put the values back into the answer.", False)
    max_span: int | None = option(
        "Longest match in a stream, in characters; default the pattern's own where bounded, else 256.", None, minimum=1
    )
    writes = ALL_TEXT

    examples = [
        Example(
            "an address does not reach the upstream",
            "actions: [{redact: {patterns: [pii.email], with: '[MAIL]'}}]",
            {
                "request": {
                    "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "write to ada@example.com"}]}
                }
            },
            {"sent": {"messages": [{"role": "user", "content": "write to [MAIL]"}]}},
        ),
        Example(
            "and comes back in the answer",
            "actions: [{redact: {patterns: [pii.email], with: '[MAIL]', restore: true}}]",
            {
                "request": {
                    "body": {
                        "model": "gpt-4o",
                        "messages": [{"role": "user", "content": "ada@example.com or bob@example.com?"}],
                    }
                },
                "upstream": {
                    "body": {
                        "choices": [
                            {
                                "index": 0,
                                "finish_reason": "stop",
                                "message": {"role": "assistant", "content": "Take [MAIL_2]."},
                            }
                        ]
                    }
                },
            },
            {
                "sent": {"messages": [{"role": "user", "content": "[MAIL] or [MAIL_2]?"}]},
                "response": {"text": "Take bob@example.com."},
            },
        ),
        Example(
            "text without a finding stays",
            "actions: [{redact: {patterns: [pii.email]}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi @ all"}]}}},
            {"sent": {"messages": [{"role": "user", "content": "hi @ all"}]}},
            acts=False,
        ),
        Example(
            "a streamed answer, wherever the address is torn",
            "phase: [response, stream]\nactions: [{redact: {patterns: [pii.email], with: '[MAIL]'}}]",
            {
                "request": {
                    "body": {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
                },
                "upstream": {"stream": ["Write to ada@exam", "ple.com, ", "or call."]},
            },
            {"response": {"text": "Write to [MAIL], or call."}},
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        chosen: list[Any] = list(self.in_)
        self._names = [place for place in chosen if isinstance(place, str)]
        self._paths = [place for place in chosen if isinstance(place, Path)]
        for phases, names in ({RESPONSE, STREAM}, OF_REQUEST), ({REQUEST, ATTEMPT}, OF_ANSWER):
            wrong = [name for name in self._names if name in names]
            if scope.phases <= phases and wrong:
                scope.problem(
                    "wrong-phase",
                    f"`{wrong[0]}` cannot be changed in phase `{min(map(str, scope.phases))}`",
                    places["in_"].span,
                    help="leave `in` out for all text of the phase",
                )
        self._check_restore(places, scope)
        self._check_stream(places, scope)
        whole = ALL_TEXT if scope.phases - {RESPONSE, STREAM} and (self._names or not chosen) else ()
        self.writes = tuple(sorted({*written_roots(scope.phases - {STREAM}, self._paths), *whole}))

    def _check_restore(self, places: dict[str, Node], scope: Scope) -> None:
        if self.restore and not scope.phases & {REQUEST, ATTEMPT}:
            scope.problem(
                "no-restore",
                "`restore` puts back what was taken out of a request",
                places["restore"].span,
                help="leave it out here; it belongs to phase `request` or `attempt`",
            )
        if self.restore and "with_" in places and not places["with_"].plain():
            scope.problem(
                "no-restore",
                "`restore` needs a mark to put the value back for",
                places["with_"].span,
                help="write `with: '[{{ name }}]'`, or leave it out",
            )

    def _check_stream(self, places: dict[str, Node], scope: Scope) -> None:
        if STREAM in scope.phases and self._paths:
            scope.problem(
                "wrong-phase",
                "a stream has no body, so there are no paths in phase `stream`",
                places["in_"].span,
                help="name texts: " + ", ".join(OF_ANSWER),
            )
        if "max_span" in places and STREAM not in scope.phases:
            scope.problem(
                "no-effect",
                "`max_span` is about streams, and this rule is in none of their phases",
                places["max_span"].span,
                help="leave it out, or write `phase: [response, stream]`",
            )

    def streaming(self) -> Redaction:
        """The same for texts that come in pieces."""
        base = self._base()

        def mark(x: Exchange, name: str) -> str:
            return base(x, name) if x.marks is None else x.marks.free(base(x, name))

        kinds = frozenset(self._names) & frozenset(OF_ANSWER) if self._names or self._paths else None
        return Redaction(Windows(cast("list[Pattern]", self.patterns), self.max_span or 0), kinds, mark)

    def compile(self, phase: Phase) -> Apply:
        change_request, change_answer = self._of_request(), self._of_answer()
        mint = self._mint() if phase in (REQUEST, ATTEMPT) and self.restore else self._mark()
        found_in = self._finder()

        def apply(x: Exchange) -> Effect:
            change = found_in(mint(x))
            acted = phase is not RESPONSE and change_request(x, change)
            if phase is LOG and x.sent is not None:  # which is what records show
                told, x.request = x.request, x.sent
                acted = change_request(x, change) or acted
                x.request, x.sent = told, x.request
            if phase in (RESPONSE, LOG):
                acted = change_answer(x, change) or acted
            return None if acted else NOOP

        return apply

    def count(self, phase: Phase) -> Callable[[Exchange], int]:
        """How many findings there are; changes nothing."""
        change = self._of_answer() if phase is RESPONSE else self._of_request()
        found_in = self._finder()

        def observe(x: Exchange) -> int:
            seen: list[str] = []

            def note(name: str, value: str) -> str:
                seen.append(name)
                return value

            change(x, found_in(note))
            return len(seen)

        return observe

    def _finder(self) -> Callable[[Replacement], TextChange]:
        patterns = cast("list[Pattern]", self.patterns)

        def found_in(replacement: Replacement) -> TextChange:
            def change(text: str) -> str:
                found = findings(patterns, text)
                return replaced(text, found, replacement) if found else text

            return change

        return found_in

    # --- marks --------------------------------------------------------------------------------------------------------

    def _base(self) -> Callable[[Exchange, str], str]:
        if self.with_ is None:
            return lambda _, name: f"[{name}]"
        text = self.with_.text
        return lambda x, name: HOLES.sub(lambda _: name, text(x))

    def _mark(self) -> Callable[[Exchange], Replacement]:
        """The same mark for all findings of a pattern, but none that an answer would be restored from."""
        base = self._base()

        def mark_in(x: Exchange) -> Replacement:
            marks = x.marks
            return lambda name, _: base(x, name) if marks is None else marks.free(base(x, name))

        return mark_in

    def _mint(self) -> Callable[[Exchange], Replacement]:
        """A mark of its own for each distinct value, noted on the exchange."""
        base = self._base()

        def mint_in(x: Exchange) -> Replacement:
            def mint(name: str, value: str) -> str:
                if x.marks is None:
                    x.marks = Marks()
                return x.marks.mark(base(x, name), value, x.prompt_text)

            return mint

        return mint_in

    # --- where --------------------------------------------------------------------------------------------------------

    def _of_request(self) -> Callable[[Exchange, TextChange], bool]:
        """A function that changes the request's texts and says whether there was anything to change."""
        parts, paths = self._parts(OF_REQUEST, "prompt_text"), self._paths

        def change_request(x: Exchange, change: TextChange) -> bool:
            body = x.request
            if body is None:
                return False
            for part in parts:
                body = x.dialect.change_prompt(body, change, part)
            body = at_paths(body, paths, change)
            acted = body is not x.request
            x.request = body
            return acted

        return change_request

    def _of_answer(self) -> Callable[[Exchange, TextChange], bool]:
        """The same for the answer."""
        parts, paths = self._parts(OF_ANSWER, ""), self._paths

        def change_answer(x: Exchange, change: TextChange) -> bool:
            response = x.response
            body = response["body"] if response is not None else None
            if response is None or not isinstance(body, dict):
                return False
            changed = body
            for part in parts:
                changed = x.dialect.change_answer(changed, change, part)
            changed = at_paths(changed, paths, change)
            if changed is body:
                return False
            x.response = {**response, "body": changed}
            return True

        return change_answer

    def _parts(self, names: tuple[str, ...], all_of_it: str) -> tuple[str, ...]:
        """The texts to change, none inside another: what is a mark already must not be looked at again."""
        if all_of_it in self._names or not (self._names or self._paths):
            return (all_of_it,)
        inside = {"last_user_text"} if "user_text" in self._names else set()
        return tuple(name for name in names if name in self._names and name not in inside)
