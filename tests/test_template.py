"""Templates: where they end, what they keep, and where their mistakes are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue import BAD, Scope
from engine.document.exchange import Exchange
from engine.language.template import Template, Value, text_of_value
from engine.language.values import EvaluationError
from engine.rules.yaml_text import compose
from engine.source import Source


class Stopped:
    def monotonic(self):
        return 0.0


def exchange(**variables):
    x = Exchange(None, Stopped())
    x.request = {"model": "gpt-4o", "n": 3, "list": [1, "é"], "true": True}
    x.vars = variables
    return x


def node(text):
    root, problems = compose(Source("t.yaml", f"v: {text}\n"))
    assert not problems
    return root.get("v")


def filled(text, kind=Template, **variables):
    scope = Scope()
    template = kind.read(
        node(json.dumps(text) if not isinstance(text, str) else "'" + text.replace("'", "''") + "'"), scope
    )
    assert template is not BAD, scope.problems
    return template.fill(exchange(**variables))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("a }} b", "a }} b"),
        ("{ a }", "{ a }"),
        ("{{ request.n }}", 3),
        ("{{request.list}}", [1, "é"]),
        ("{{ request.nothing }}", None),
        ("<{{ request.nothing }}>", "<>"),
        ("n={{ request.n }}", "n=3"),
        ("{{ request.n }} ", "3 "),
        ("{{ request.true }}{{ request.true }}", "truetrue"),
        ("l={{ request.list }}", 'l=[1,"é"]'),
        ("{{ {a: request.n, b: {c: request.model}} }}", {"a": 3, "b": {"c": "gpt-4o"}}),
        ("{{{a: request.n}}}", {"a": 3}),
        ("{{ '}}' }}", "}}"),
        ("{{ '{{' }}", "{{"),
        ("{{ '{{' }} name }}", "{{ name }}"),
        (r"{{ 'it\'s }}' }}", "it's }}"),
        ('{{ `"}}"` }}', "}}"),
        ('{{ request."}}" }}', None),
        ("{{ request.model }}/{{ request.n }}", "gpt-4o/3"),
    ],
)
def test_filled(text, value):
    assert filled(text) == value
    assert type(filled(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("a {{ request.n", "bad-template", "{{"),
        ("a {{ request.n }", "bad-template", "}"),
        ("a {{ {a: request.n }}", "bad-template", "}"),
        ("a {{ }}", "bad-template", "{{ }}"),
        ("a {{ 'open }}", "bad-template", "'"),
        ("ok {{ request.n }} {{ modle }}", "unknown-root", "modle"),
        ("{{ request.n == }}", "unfinished-expression", "="),
    ],
)
def test_mistakes_have_a_place(text, code, at):
    scope = Scope()
    written = node('"' + text + '"')
    assert Template.read(written, scope) is BAD
    (problem,) = scope.problems
    assert problem.code == code
    assert problem.span.source.text[problem.span.start : problem.span.end].strip().endswith(at)


def test_places_in_a_folded_block():
    scope = Scope()
    root, _ = compose(Source("t.yaml", "v: >\n  first line\n  then {{ modle }}\n"))
    assert Template.read(root.get("v"), scope) is BAD
    span = scope.problems[0].span
    assert span.source.text[span.start : span.end] == "modle"
    assert span.source.position(span.start) == (3, 11)


def test_every_mistake_of_a_value_is_noted():
    scope = Scope()
    written = node('{a: "{{ modle }}", b: ["{{ x", {c: "{{ request.n }}"}]}')
    assert Value.read(written, scope) is BAD
    assert [problem.code for problem in scope.problems] == ["unknown-root", "bad-template"]


def test_values_at_any_depth_but_not_in_keys():
    scope = Scope()
    value = Value.read(node('{"{{ a }}": ["{{ request.n }}", {x: "n={{ request.n }}"}], b: null, c: 1.5}'), scope)
    assert value.fill(exchange()) == {"{{ a }}": [3, {"x": "n=3"}], "b": None, "c": 1.5}
    assert not value.constant
    assert value.roots == {"request"}


def test_a_value_without_templates_is_constant():
    value = Value.read(node("{a: [1, {b: null}], c: text}"), Scope())
    assert value.constant
    assert value.roots == frozenset()
    assert value.fill(None) == {"a": [1, {"b": None}], "c": "text"}
    assert Value.of([1]).fill(None) == [1]


def test_a_template_takes_text_only():
    scope = Scope()
    assert [Template.read(node(text), scope) for text in ("5", "true", "null", "[a]")] == [BAD] * 4
    assert [problem.code for problem in scope.problems] == ["wrong-type"] * 4
    assert scope.problems[0].help == "write it in quotes: '5'"


def test_text_of_a_template():
    for text, wanted in (
        ("{{ request.n }}", "3"),
        ("{{ request.nothing }}", ""),
        ("a", "a"),
        ("{{ request.list }}", '[1,"é"]'),
    ):
        assert Template.built_in(text).text(exchange()) == wanted
    with pytest.raises(ValueError, match="modle"):
        Template.built_in("{{ modle }}")


def test_an_environment_variable_is_text_not_a_template(monkeypatch):
    monkeypatch.setenv("GREETING", "{{ request.n }}")
    template = Template.read(node("os.environ/GREETING"), Scope())
    assert template.constant
    assert template.fill(exchange()) == "{{ request.n }}"
    scope = Scope()
    assert Template.read(node("os.environ/NOT_SET_ANYWHERE"), scope) is BAD
    assert scope.problems[0].code == "unset-variable"


def test_a_type_error_is_an_error_of_the_rule():
    template = Template.built_in("n: {{ length(vars.n) }}")
    with pytest.raises(EvaluationError):
        template.fill(exchange(n=3))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_template_alone_gives_the_very_value(value):
    assert Template.built_in("{{ vars.v }}").fill(exchange(v=value)) is value


@given(JSON)
def test_among_text_a_value_is_its_json(value):
    text = Template.built_in("<{{ vars.v }}>").fill(exchange(v=value))[1:-1]
    assert text == text_of_value(value)
    if isinstance(value, str):
        assert text == value
    elif value is not None:
        assert json.loads(text) == value


@given(st.lists(st.sampled_from(["{{", "}}", "{", "}", "'", " ", "a", "`"]), max_size=6).map("".join))
def test_any_text_can_be_quoted_into_a_template(text):
    quoted = "{{ '" + text.replace("'", "\\'") + "' }}"
    assert Template.built_in(f"<{quoted}>").fill(exchange()) == f"<{text}>"


@given(st.text(alphabet="{}'\"` ab\\.", max_size=20))
def test_no_text_breaks_the_reader(text):
    scope = Scope()
    template = Template.read(node(json.dumps(text)), scope)
    assert (template is BAD) is any(problem.severity == "error" for problem in scope.problems)
