"""Patterns: names, groups, the built-in ones with their checks, and how long a match can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue import BAD, Scope, entries
from engine.language.patterns import Pattern, PatternList, PatternNames, PatternRef, built_in, group, read_named
from engine.language.regex import regex
from engine.rules.yaml_text import compose
from engine.source import Scalar, Source, Span

BUILT_IN = list(entries("pattern"))
EXAMPLES = [
    pytest.param(entry, example, id=f"{entry.name}: {example.title}")
    for entry in BUILT_IN
    for example in entry.examples
]
EMPLOYEE = Pattern("employee_id", regex("E-[0-9]{6}"))


def read(kind, text, **tables):
    scope = Scope({"pattern": {"employee_id": EMPLOYEE, "ip": EMPLOYEE}} | tables)
    root, problems = compose(Source("t.yaml", f"p: {text}\n"))
    assert not problems
    return kind.read(root.get("p"), scope), scope


def found(pattern, text):
    return [text[start:end] for start, end in pattern.spans(text)]


@pytest.mark.parametrize(("entry", "example"), EXAMPLES)
def test_example(entry, example):
    pattern = built_in(entry.name)
    assert found(pattern, example.given) == example.then
    assert pattern.search(example.given) is bool(example.then) is example.acts
    assert entry.doc()


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("pii.credit_card", "5555555555554444 and 4111-1111-1111-1111", ["5555555555554444", "4111-1111-1111-1111"]),
        ("pii.credit_card", "1234 4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        ("pii.credit_card", "4111 4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        ("pii.credit_card", "30569309025904", ["30569309025904"]),
        ("pii.credit_card", "0000 0000 0000 0000, 41111111111111112", []),
        ("pii.credit_card", "é4111111111111111é", ["4111111111111111"]),
        ("pii.iban", "BE68 5390 0754 7034 THIS", ["BE68 5390 0754 7034"]),
        ("pii.iban", "be68539007547034", ["be68539007547034"]),
        ("pii.iban", "ZZ68 5390 0754 7034", []),
        ("pii.email", "<ann@example.com>,bob@b.co.uk", ["ann@example.com", "bob@b.co.uk"]),
        ("pii.phone", "+4915112345678 / 555-123-4567", ["+4915112345678", "555-123-4567"]),
        ("pii.phone", "+1 415 555 2671", ["+1 415 555 2671"]),
        ("pii.ip", "[::1] fe80::1 ::ffff:10.0.0.1 10.0.0.1:80", ["::1", "fe80::1", "::ffff:10.0.0.1", "10.0.0.1"]),
        ("pii.ip", "ip:10.0.0.1,10.0.0.2;", ["10.0.0.1", "10.0.0.2"]),
        ("pii.ip", "a::b c++ x::y 1::2::3 v1.2.3.4", []),
        ("secret.github_token", "github_pat_" + "a" * 22, ["github_pat_" + "a" * 22]),
        ("secret.api_key", "sk-ant-api03-" + "a" * 20, ["sk-ant-api03-" + "a" * 20]),
        ("secret.api_key", "AIza" + "b" * 35, ["AIza" + "b" * 35]),
        ("secret.private_key", "-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP PRIVATE KEY BLOCK-----",
         ["-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP PRIVATE KEY BLOCK-----"]),
        ("secret.private_key", "-----BEGIN EC PRIVATE KEY-----\\nMHc=\\n-----END EC PRIVATE KEY-----\\n",
         ["-----BEGIN EC PRIVATE KEY-----\\nMHc=\\n-----END EC PRIVATE KEY-----"]),
    ],
)  # fmt: skip
def test_found(name, text, wanted):
    assert found(built_in(name), text) == wanted
    assert built_in(name).search(text) is bool(wanted)


def luhn_digit(digits):
    total = sum(
        digit if place % 2 else (digit * 2 - 9 if digit > 4 else digit * 2) for place, digit in enumerate(digits[::-1])
    )
    return -total % 10


@given(st.lists(st.integers(0, 9), min_size=15, max_size=15), st.sampled_from(["", " ", "-"]), st.integers(0, 9))
def test_a_card_is_found_with_its_own_digit_only(digits, separator, last):
    digits = [4, *digits[1:]]
    right = luhn_digit(digits)
    text = "".join(map(str, [*digits, last]))
    grouped = separator.join(text[at : at + 4] for at in range(0, 16, 4))
    assert built_in("pii.credit_card").search(grouped) is (last == right)


@given(st.from_regex(r"\A[0-9]{8}[0-9]{10}\Z"), st.integers(0, 98))
def test_an_iban_is_found_with_its_own_check_digits_only(account, check):
    right = 98 - int(account + "131400") % 97
    assert built_in("pii.iban").search(f"DE{check:02d}{account}") is (
        check == right or (check, right) in ((0, 97), (1, 98))
    )


@given(st.sampled_from([entry.name for entry in BUILT_IN]), st.text(alphabet="aA4-:. @+(1e6/\ud800é\n", max_size=60))
def test_no_text_makes_a_pattern_raise_and_spans_are_in_order(name, text):
    pattern = built_in(name)
    spans = pattern.spans(text)
    assert pattern.search(text) is bool(spans)
    ends = [0, *(place for span in spans for place in span), len(text)]
    assert ends == sorted(ends)
    assert all(0 < end - start <= pattern.max_span for start, end in spans)


def test_megabytes_are_searched():
    for text in (
        "4111 " * 100_000,
        "a@" * 200_000,
        "1." * 200_000,
        "-----BEGIN PRIVATE KEY-----" * 4000,
        "é" * 500_000,
    ):
        for entry in BUILT_IN:
            built_in(entry.name).search(text)


@pytest.mark.parametrize(
    ("name", "span"), [("secret.private_key", 16_384), ("secret.jwt", 16_384), ("pii.us_ssn", 11), ("pii.email", 256)]
)
def test_max_span(name, span):
    assert built_in(name).max_span == span


@pytest.mark.parametrize(
    ("source", "span"),
    [("E-[0-9]{6}", 8), ("a*", 256), ("ab?|cde", 3), ("(x{2,3}y){4}", 16), ("é\\b", 1), ("(?:a|b+)", 256), ("^", 1)],
)
def test_max_span_of_a_source(source, span):
    assert Pattern("p", regex(source)).max_span == span


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_name_wins_and_is_used():
    pattern, scope = read(PatternRef, "employee_id")
    assert pattern is EMPLOYEE
    assert scope.used == {("pattern", "employee_id")}
    assert found(pattern, "é E-123456") == ["E-123456"]


def test_inline_re2_and_built_in():
    pattern, _ = read(PatternRef, "'a|b'")
    assert (pattern.name, pattern.source) == ("redacted", "a|b")
    assert read(PatternRef, "pii.ip")[0] is built_in("pii.ip")


def test_groups():
    names = [entry.name for entry in BUILT_IN]
    assert {pattern.name for pattern in group("secret.")} == {name for name in names if name.startswith("secret.")}
    patterns, _ = read(PatternList, "[secret.*, secret.jwt, employee_id]")
    assert [pattern.name for pattern in patterns].count("secret.jwt") == 1
    assert patterns[-1] is EMPLOYEE
    assert read(PatternList, "pii.*")[0] == group("pii.")
    assert read(PatternNames, "pii.*")[0] == group("pii.")


@pytest.mark.parametrize(
    ("kind", "text", "code", "help"),
    [
        (PatternRef, "pii.emial", "unknown-pattern", "pii.email"),
        (PatternRef, "secret.", "unknown-pattern", ""),
        (PatternRef, "pii.x*", "unknown-pattern", ""),
        (PatternRef, "secret.*", "wrong-type", "secret.jwt"),
        (PatternRef, "[a]", "wrong-type", "matches_any"),
        (PatternRef, "5", "wrong-type", "quotes"),
        (PatternRef, "'(a'", "bad-pattern", "\\("),
        (PatternRef, "'a*'", "empty-match", "+"),
        (PatternRef, "employe_id", "maybe-pattern-name", "employee_id"),
        (PatternList, "[]", "empty-list", "secret.*"),
        (PatternList, "[pii.x, secret.y]", "unknown-pattern", ""),
    ],
)
def test_mistakes(kind, text, code, help):
    value, scope = read(kind, text)
    assert {problem.code for problem in scope.problems} == {code}
    assert help in scope.problems[0].help
    assert (value is BAD) is (scope.problems[0].severity == "error")


def test_named_patterns_are_read_with_the_place_of_a_mistake():
    scope = Scope()
    source = Source("t.yaml", "pii.mine: 'a(?!b)'")
    key, value = Scalar("pii.mine", Span(source, 0, 8)), Scalar("a(?!b)", Span(source, 11, 17))
    assert read_named(key, value, scope) is BAD
    assert read_named(Scalar("mine", Span(source, 0, 8)), value, scope) is BAD
    assert read_named(Scalar("mine", Span(source, 0, 8)), Scalar(5, Span(source, 11, 12)), scope) is BAD
    assert [problem.code for problem in scope.problems] == ["reserved-name", "bad-pattern", "wrong-type"]
    assert source.text[scope.problems[1].span.start : scope.problems[1].span.end] == "(?!"
    assert read_named(Scalar("mine", Span(source, 0, 8)), Scalar("ab", Span(source, 11, 12)), scope).name == "mine"
