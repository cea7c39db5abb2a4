"""Random rules files, requests and answers: hypothesis strategies of plain data, shared by the tests of equivalence.

Everything comes from small alphabets, so that conditions hold about as often as not and rules write what others read.
Must not know what is tested.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

KEY = "ci"
MODELS = ("gpt-4o", "gpt-4o-mini", "GPT-4O", "claude-sonnet")
NAMES = ("alice", "bob", "Straße", "STRASSE")
TEXTS = ("", "hello", "my secret T-123", "SECRET\u200b plan", "write to eva@example.com", "straße 10.1.2.3", "a\nb")
WORDS = ("secret", "hello", "SECRET", "T-", "e", "a")
NUMBERS = (0, 1, 2, 0.5, 1.0, 100, -3)
PATTERNS = ("secret", "T-[0-9]+", "^hello$", "(?i)SECRET", "pii.email", "ticket", "[a-z]{3,}")
ADDRESSES = ("127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1")
EVENTS = "text/event-stream"

TEXT_SUBJECTS = (
    "request.model",
    "request.user",
    "prompt_text",
    "system_text",
    "user_text",
    "last_user_text",
    "headers.x-team",
    "metadata.team",
    "vars.note",
    "original.model",
    "query.mode",
    "call_type",
    "key.team",
    "request.metadata.team",
    "request.messages[0].content",
    "request.messages[-1].role",
)
NUMBER_SUBJECTS = (
    "request.temperature",
    "request.max_tokens",
    "request.n",
    "vars.count",
    "metadata.level",
    "length(request.messages)",
    "percent_of(request.user)",
)
LIST_SUBJECTS = ("tags", "matched", "request.messages", "request.stop", "opaque", "request.messages[].role")
ANY_SUBJECTS = (*TEXT_SUBJECTS, *NUMBER_SUBJECTS, *LIST_SUBJECTS, "stream", "metadata", "key", "vars")

EXPRESSIONS = (
    "stream",
    "!stream",
    "request.user",
    "metadata.team",
    "key",
    "`false`",
    "`true`",
    "request.model == 'gpt-4o'",
    "'gpt-4o' != request.model",
    "request.model == original.model",
    "request.temperature > `0.5`",
    "`1` <= request.n",
    "request.max_tokens < `100` || stream",
    "request.user == 'alice' && request.model != 'gpt-4o-mini'",
    "!(request.user == 'alice' || stream)",
    "contains(prompt_text, 'secret')",
    "starts_with(user_text, 'he')",
    "matches(prompt_text, 'T-[0-9]+')",
    "glob(request.model, 'gpt-*')",
    'contains(`["alice", "bob"]`, request.user)',
    "in_list(request.user, 'vip')",
    "length(request.messages) > `1`",
    "request.messages[?role == 'user']",
    "contains(tags, 'seen')",
    "request.messages[?content == $.request.user]",
    "lower(request.model) == 'gpt-4o'",
    "parse_json(request.user)",
    "request.metadata.team && metadata.level",
    "percent_of(request.user) < `50`",
    "lower(metadata.level) == 'a'",
)
"""The last one fails on a number: an error of the rule."""


def rules_files(*, least: int = 1, most: int = 6) -> Strategy:
    """A rules file that loads without an error, as plain data; `as_yaml` writes it."""
    rules = st.lists(rules_of_any_phase(), min_size=least, max_size=most)
    return st.builds(_file, rules, st.booleans(), st.fixed_dictionaries({"easy": conditions(1), "core": conditions(1)}))


def as_yaml(file: Any) -> str:
    """The text of a rules file."""
    return json.dumps(file, ensure_ascii=False, indent=1)


def _file(rules: list[dict[str, Any]], keys: bool, named: dict[str, Any]) -> dict[str, Any]:
    caller = {"name": KEY, "team": "core", "sha256": hashlib.sha256(b"any").hexdigest()}
    return {
        "lists": {"vip": ["alice", "eva"], "teams": ["core", "labs"]},
        "patterns": {"ticket": "T-[0-9]+"},
        "conditions": {name: _without_names(condition) for name, condition in named.items()},
        **({"keys": [caller]} if keys else {}),
        "rules": [{"name": f"r{number}", **rule} for number, rule in enumerate(rules)],
    }


def _without_names(condition: Any) -> Any:
    """A named condition that needs no other one, which might lead back to it."""
    if isinstance(condition, dict):
        return (
            {"not": "stream"} if "is" in condition else {key: _without_names(value) for key, value in condition.items()}
        )
    return [_without_names(item) for item in condition] if isinstance(condition, list) else condition


# --- conditions -------------------------------------------------------------------------------------------------------


@cache
def conditions(depth: int = 2) -> Strategy:
    """A condition of any form."""
    named = st.sampled_from([{"is": "easy"}, {"is": "core"}])
    leaves = _one_of(st.sampled_from(EXPRESSIONS), entries(), entries(), named)
    if depth == 0:
        return leaves
    inner = conditions(depth - 1)
    several = st.lists(inner, min_size=1, max_size=3)
    combined = st.builds(lambda word, items: {word: items}, st.sampled_from(["all", "any", "none"]), several)
    negated = inner.map(lambda item: {"not": item})
    beside = st.builds(lambda entry, other: {**entry, **other}, entries(), st.one_of(combined, negated))
    return _one_of(leaves, leaves, combined, negated, several, beside)


@cache
def entries() -> Strategy:
    """A mapping of subjects to literals or operators."""
    return st.lists(_entry(), min_size=1, max_size=2).map(dict)


@cache
def _entry() -> Strategy:
    literal = st.one_of(st.sampled_from([*MODELS, *NAMES, *NUMBERS]), st.booleans())
    return st.one_of(
        st.tuples(st.sampled_from(TEXT_SUBJECTS), st.sampled_from([*MODELS, *NAMES, "core", "completion", "user"])),
        st.tuples(st.sampled_from(ANY_SUBJECTS[:-3]), literal),
        st.tuples(st.sampled_from(TEXT_SUBJECTS), text_operators()),
        st.tuples(st.sampled_from(NUMBER_SUBJECTS), number_operators()),
        st.tuples(st.sampled_from(LIST_SUBJECTS), list_operators()),
        st.tuples(st.sampled_from(ANY_SUBJECTS), any_operators()),
        st.tuples(st.sampled_from(["client.ip", "headers.x-address", "request.user"]), address_operators()),
    )


@cache
def text_operators() -> Strategy:
    """Operators that mean something to a text; sometimes with a modifier."""
    text = st.sampled_from([*MODELS, *NAMES, *WORDS, "core", "user"])
    texts = st.one_of(st.lists(text, min_size=1, max_size=4), st.sampled_from([{"list": "vip"}, {"list": "teams"}]))
    modified = st.one_of(
        _named(["equals", "not_equals", "contains", "starts_with", "ends_with"], text),
        _named(["in", "not_in", "contains_any"], texts),
        _named(["glob"], st.sampled_from(["gpt-*", "*secret*", "?ob", "*"])),
    )
    modifier = st.sampled_from([{}, {}, {"ignore_case": True}, {"fold": True}])
    return st.one_of(
        st.builds(lambda operator, more: {**operator, **more}, modified, modifier),
        _named(["matches"], st.sampled_from(PATTERNS)),
        _named(["matches_any"], st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3)),
        _named(["length"], st.one_of(st.integers(0, 8), number_operators())),
        _named(["gt", "lte"], text),
    )


@cache
def number_operators() -> Strategy:
    """Operators that mean something to a number."""
    number = st.sampled_from(NUMBERS)
    return st.one_of(
        _named(["gt", "gte", "lt", "lte", "equals", "not_equals"], number),
        _named(["in", "not_in"], st.lists(number, min_size=1, max_size=3)),
        _named(["between"], st.tuples(number, number).map(sorted)),
        st.builds(lambda low, high: {"gte": low, "lt": high}, number, number),
    )


@cache
def list_operators() -> Strategy:
    """Operators that mean something to a list."""
    element = st.sampled_from(
        [
            {"role": "user"},
            {"content": {"contains": "secret"}},
            {"@": "user"},
            {"@": {"starts_with": "s"}},
            {"equals": "user"},
            {"content": {"matches": "T-[0-9]+"}},
            {"any": [{"role": "system"}, {"content": "hello"}]},
        ]
    )
    return st.one_of(
        _named(["some", "every"], element),
        _named(["contains"], st.sampled_from(["seen", "user", "r0", "image"])),
        _named(["length"], st.one_of(st.integers(0, 3), number_operators())),
    )


@cache
def any_operators() -> Strategy:
    """Operators that mean something to any value."""
    return st.one_of(
        _named(["exists", "empty"], st.booleans()),
        _named(["type"], st.sampled_from(["string", "number", "boolean", "array", "object"])),
    )


@cache
def address_operators() -> Strategy:
    """`cidr`."""
    return _named(["cidr"], st.sampled_from(["10.0.0.0/8", "127.0.0.1", ["2001:db8::/32", "127.0.0.0/8"]]))


def _named(names: list[str], constant: Strategy) -> Strategy:
    return st.builds(lambda name, value: {name: value}, st.sampled_from(names), constant)


# --- rules ------------------------------------------------------------------------------------------------------------


SHARES = ({"percent": 0}, {"percent": 50}, {"percent": 50, "by": "request.user"})


def rules_of_any_phase() -> Strategy:
    """A rule without its name."""
    return _one_of(*map(rules, ["request", "request", "request", "response", "log"]))


@cache
def rules(phase: str) -> Strategy:
    """A rule of one phase, without its name."""
    entry = st.builds(lambda action, guard: {**guard, **action}, ACTIONS[phase], _maybe("if", conditions(1)))
    parts = st.tuples(
        _maybe("match", conditions(), 0.8),
        _maybe("unless", conditions(1), 0.15),
        _maybe("mode", st.sampled_from(["observe", "observe", "off"]), 0.15),
        _maybe("on_error", st.sampled_from(["skip", "fail"]), 0.5),
        _maybe("enabled", st.sampled_from(SHARES), 0.15),
        _maybe("expires", st.sampled_from(["2020-01-01", "2999-12-31"]), 0.1),
        _maybe("stop", st.just(True), 0.15),
        _maybe("call_types", st.just(["completion"]), 0.15),
    )
    actions = st.lists(entry, min_size=1, max_size=3)
    return st.builds(lambda some, acts: {"phase": phase, **_joined(some), "actions": acts}, parts, actions)


@st.composite
def _maybe(draw: st.DrawFn, name: str, value: Strategy, share: float = 0.25) -> dict[str, Any]:
    """The entry, or nothing."""
    return {name: draw(value)} if draw(st.sampled_from(range(20))) >= 20 - round(share * 20) else {}


@st.composite
def _one_of(draw: st.DrawFn, *strategies: Strategy) -> Any:
    """One of them; hypothesis' own would count what stands there twice only once."""
    return draw(draw(st.sampled_from(strategies)))


def _joined(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}


TEMPLATES = (
    "{{ request.model }}",
    "{{ request.user }}",
    "{{ vars.note }}",
    "to {{ request.user }}",
    "plain",
    "{{ length(request.messages) }}",
    "{{ lower(metadata.level) }}",
    "{{ request.metadata }}",
)
"""One of them fails on a number: an error of the rule."""

_template = st.sampled_from(TEMPLATES)
_noting = st.one_of(
    st.builds(lambda value: {"set_var": {"note": value}}, _template),
    st.builds(lambda value: {"set_var": {"count": value}}, st.sampled_from(NUMBERS)),
    st.sampled_from([{"tag": "seen"}, {"tag": ["seen", "{{ request.model }}"]}]),
)
_refusing = st.sampled_from(
    [
        {"reject": "No."},
        {"reject": {"message": "No {{ request.user }}", "status": 403, "code": "not_here"}},
        {"reject_with_message": "I would rather not."},
    ]
)
_writing = st.one_of(
    st.builds(
        lambda path, value: {"set": {path: value}},
        st.sampled_from(["model", "user", "temperature", "metadata.team", "messages[0].content"]),
        _template,
    ),
    st.builds(
        lambda path, value: {"default": {path: value}},
        st.sampled_from(["user", "temperature", "max_tokens"]),
        st.sampled_from(["bob", 1, 0.5]),
    ),
    st.builds(lambda path: {"remove": [path]}, st.sampled_from(["user", "temperature", "metadata.team", "stop"])),
    st.builds(
        lambda path, limit: {"cap": {path: limit}},
        st.sampled_from(["temperature", "max_tokens", "n"]),
        st.sampled_from([1, 50]),
    ),
    st.builds(lambda model: {"set_model": model}, st.sampled_from([*MODELS, "{{ request.user }}"])),
    st.builds(lambda field: {"require_field": field}, st.sampled_from(["user", "metadata.team"])),
    st.builds(lambda value: {"set_header": {"x-by": value}}, _template),
    st.just({"remove_header": ["x-team"]}),
    st.just({"redact": {"patterns": ["pii.email", "ticket"]}}),
)
_messages = st.sampled_from(
    [
        {"prepend_system": "Be brief, {{ request.user }}."},
        {"append_system": "hello"},
        {"limit_output": 50},
        {"add_message": {"role": "user", "content": "secret"}},
        {"replace_system": "{{ vars.note }}"},
    ]
)
_answered = st.one_of(
    st.builds(lambda path, value: {"set": {path: value}}, st.sampled_from(["model", "note"]), _template),
    st.sampled_from(
        [
            {"remove": ["usage"]},
            {"redact": {"patterns": ["pii.email", "ticket"]}},
            {"set_header": {"x-by": "{{ request.user }}"}},
            {"remove_header": ["x-served"]},
        ]
    ),
)

ACTIONS: dict[str, Strategy] = {
    "request": _one_of(
        _writing,
        _writing,
        _noting,
        _messages,
        _one_of(_refusing, st.just({"respond": {"status": 200, "body": {"said": "{{ request.user }}"}}})),
    ),
    "response": st.one_of(_answered, _noting, _refusing),
    "log": _noting,
}

# --- what comes in and what answers -----------------------------------------------------------------------------------


def requests() -> Strategy:
    """A request as section `tests` writes it; the body fits its path, now and then not."""
    return _one_of(*map(_request, ["/v1/chat/completions"] * 4 + list(BODIES)))


@cache
def _request(path: str) -> Strategy:
    parts = st.tuples(
        _maybe(
            "headers",
            st.dictionaries(
                st.sampled_from(["x-team", "X-Address", "x-other"]),
                st.sampled_from(["core", "labs", *ADDRESSES]),
                max_size=2,
            ),
            0.6,
        ),
        _maybe("query", st.fixed_dictionaries({"mode": st.sampled_from(["secret", "core"])}), 0.2),
        _maybe("client", st.builds(lambda ip: {"ip": ip}, st.sampled_from(ADDRESSES)), 0.4),
    )
    return st.builds(lambda body, some: {"path": path, "key": KEY, "body": body, **_joined(some)}, BODIES[path], parts)


def asked(file: Any, request: Any) -> Any:
    """The request as clients of this file make it: without a key where it has none."""
    return request if "keys" in file else {name: value for name, value in request.items() if name != "key"}


def _messages_of(*roles: str) -> Strategy:
    parts = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=2).map(
        lambda texts: [{"type": "text", "text": text} for text in texts]
    )
    message = st.fixed_dictionaries(
        {"role": st.sampled_from(roles), "content": _one_of(st.sampled_from(TEXTS), st.sampled_from(TEXTS), parts)}
    )
    return st.lists(message, min_size=1, max_size=3)


_any_number = _one_of(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.sampled_from(["hot", None, True]))
_metadata = _one_of(
    st.fixed_dictionaries({}, optional={"team": st.sampled_from(["core", "labs", 1]), "level": _any_number}),
    st.fixed_dictionaries({"level": _any_number}),
    st.sampled_from(["text", None, []]),
)
_optional = {
    "user": st.sampled_from([*NAMES, None, 1, '{"a": 1}']),
    "temperature": _any_number,
    "metadata": _metadata,
    "stream": st.booleans(),
    "stop": st.sampled_from(["secret", ["hello", "secret"]]),
}


def _bodies(required: dict[str, Strategy]) -> Strategy:
    return st.fixed_dictionaries({"model": st.sampled_from(MODELS), **required}, optional=_optional)


BODIES: dict[str, Strategy] = {
    "/v1/chat/completions": st.builds(
        lambda body, more: {**body, **more},
        _bodies({"messages": _messages_of("system", "user", "assistant", "developer")}),
        st.fixed_dictionaries({}, optional={"max_tokens": st.sampled_from([1, 100]), "n": st.sampled_from([1, 2])}),
    ),
    "/v1/completions": _bodies({"prompt": st.sampled_from(TEXTS)}),
    "/v1/responses": _bodies({"input": st.one_of(st.sampled_from(TEXTS), _messages_of("user", "system"))}),
    "/v1/messages": _bodies({"messages": _messages_of("user", "assistant"), "max_tokens": st.sampled_from([1, 100])}),
    "/v1/embeddings": _bodies({"input": st.sampled_from(TEXTS)}),
    "/v1/moderations": _bodies({"input": st.sampled_from(TEXTS)}),
}


def answers() -> Strategy:
    """An upstream's answer as section `tests` writes it; None for the one that a test has without writing any."""
    chat = st.builds(
        lambda text, model: {
            "body": {
                "id": "c1",
                "object": "chat.completion",
                "model": model,
                "created": 1,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            }
        },
        st.sampled_from(TEXTS),
        st.sampled_from(MODELS),
    )
    return _one_of(
        st.none(),
        chat,
        chat,
        chat.map(lambda answer: {**answer, "headers": {"x-served": "one"}}),
        st.lists(st.sampled_from(TEXTS[1:]), min_size=1, max_size=3).map(lambda pieces: {"stream": pieces}),
        st.sampled_from(
            [{"status": 500, "body": {"error": {"message": "down"}}}, {"error": "timeout"}, {"body": "no JSON"}]
        ),
    )
