"""The request and the answer that `explain` is given: files in the form of section `tests`, or bodies alone.

Must not know what becomes of them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from engine.catalogue import Scope
from engine.errors import Problem, did_you_mean
from engine.options import BAD
from engine.proxy.body import BadJson, parse, sort_of
from engine.rules.loaded import Loaded
from engine.rules.yaml_text import MAX_BYTES, compose
from engine.source import Mapping, Node, Sequence, Source
from engine.tools.cases_form import Answers, CannedAnswer, RequestForm

_OF_A_REQUEST = {"path", "body", "raw", "files"}
_OF_AN_ANSWER = {"status", "headers", "body", "stream", "error"}
_PATHS = (  # fields of a body, and the endpoint that takes them; the first that has all of them
    ({"messages"}, "/v1/chat/completions"),
    ({"query", "documents"}, "/v1/rerank"),
    ({"input", "voice"}, "/v1/audio/speech"),
    ({"input", "instructions"}, "/v1/responses"),
    ({"input", "max_output_tokens"}, "/v1/responses"),
    ({"input", "previous_response_id"}, "/v1/responses"),
    ({"input", "stream"}, "/v1/responses"),
    ({"input", "tools"}, "/v1/responses"),
    ({"input"}, "/v1/embeddings"),
    ({"prompt", "size"}, "/v1/images/generations"),
    ({"prompt", "quality"}, "/v1/images/generations"),
    ({"prompt"}, "/v1/completions"),
)
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)")


class Unusable(Exception):
    """A file that is no request or answer. `problems` have places; without any, the text says it all."""

    def __init__(self, message: str = "", problems: list[Problem] | None = None) -> None:
        super().__init__(message)
        self.problems = problems or []


def read_request(path: str, loaded: Loaded, key: str | None = None) -> RequestForm:
    """The request in a file (`-`: standard input), made with a key of `loaded`; Unusable when it is none."""
    form = _read_request(path, loaded)
    form.key = key or form.key
    return form


def _read_request(path: str, loaded: Loaded) -> RequestForm:
    source = _text(path)
    node = _node(source)
    if not isinstance(node, Mapping):
        raise Unusable(f"{source.name}: a request is an object, found {sort_of(node.plain())}")
    names = {str(key.value) for key, _ in node}
    if not names & _OF_A_REQUEST and not (names and names <= {o.yaml_name for o in RequestForm.options.values()}):
        return _body_alone(source, node, names)
    scope = Scope(loaded.tables)
    form = RequestForm.read(node, scope)
    if form is not BAD and form.key is not None:
        _check_key(form, [key.name for key in loaded.keys], scope)
    _refuse_problems(scope)
    if "path" not in names and isinstance(form.body, dict):
        form.path = guessed_path(set(form.body))
    read: RequestForm = form
    return read


def read_answer(path: str, loaded: Loaded) -> list[CannedAnswer]:
    """What the upstream answers, call by call, from a file (`-`: standard input); Unusable when it is none."""
    source = _text(path)
    node = _node(source)
    if not isinstance(node, Sequence) and not _is_answer_form(node):
        answer = CannedAnswer.defaults()
        answer.body = node.plain()
        return [answer]
    scope = Scope(loaded.tables)
    answers: list[CannedAnswer] = Answers.read(node, scope)  # type: ignore[attr-defined]
    _refuse_problems(scope)
    return answers


def guessed_path(fields: set[str]) -> str:
    """The endpoint that a body with these fields is for."""
    return next((path for needed, path in _PATHS if needed <= fields), "/v1/chat/completions")


def _body_alone(source: Source, node: Mapping, names: set[str]) -> RequestForm:
    form: RequestForm = RequestForm.defaults()
    form.path = guessed_path(names)
    if _is_yaml(source.name):
        form.body = node.plain()
    else:
        form.raw = source.text  # as it stands: the gateway reads it as it reads every request
    return form


def _is_answer_form(node: Node) -> bool:
    if not isinstance(node, Mapping):
        return False
    names = {str(key.value) for key, _ in node}
    told = node.get("error")
    return bool(names) and names <= _OF_AN_ANSWER and not isinstance(told, Mapping)


def _check_key(form: RequestForm, known: list[str], scope: Scope) -> None:
    if form.key not in known:
        scope.problem(
            "unknown-key-name",
            f"unknown key `{form.key}`",
            form.places["key"].span,
            help=did_you_mean(str(form.key), known, "" if known else "the file defines no `keys`"),
        )


def _refuse_problems(scope: Scope) -> None:
    errors = [problem for problem in scope.problems if problem.severity == "error"]
    if errors:
        raise Unusable(problems=errors)


# --- text and nodes ---------------------------------------------------------------------------------------------------


def _text(path: str) -> Source:
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Unusable(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise Unusable(f"{name}: it is larger than {MAX_BYTES // 1024 // 1024} MiB")
    if not _is_yaml(name):
        _check_json(name, content)
    try:
        return Source(name, content.decode())
    except UnicodeDecodeError as wrong:
        raise Unusable(f"{name}: byte {wrong.start + 1} is not UTF-8") from None


def _check_json(name: str, content: bytes) -> None:
    try:
        parse(content)
    except BadJson as wrong:
        raise Unusable(f"{name}: {wrong}") from None


def _node(source: Source) -> Node:
    """The value with places. YAML knows no pairs of escapes, so those of JSON are written out before."""
    text = source.text if _is_yaml(source.name) else _PAIR.sub(_written_out, source.text)
    node, problems = compose(Source(source.name, text))
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise Unusable(problems=errors)
    if node is None:
        raise Unusable(f"{source.name}: it is empty")
    return node


def _written_out(pair: re.Match[str]) -> str:
    high, low = int(pair[2], 16), int(pair[3], 16)
    return pair[1] + chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _is_yaml(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))
