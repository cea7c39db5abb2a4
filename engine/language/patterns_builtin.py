"""The built-in patterns: personal data and credentials, with checksums where the thing has one.

Each is RE2 plus, where RE2 cannot tell, a second look at the match. Must not know who searches for them.
"""

from __future__ import annotations

from typing import ClassVar

from engine.catalogue import Entry, Example
from engine.language import patterns_checks
from engine.language.regex import Accept


class BuiltIn(Entry, kind="pattern"):
    """A pattern that everybody has.

    `source`: RE2. `accept`: how much of a match counts, 0 for none. `max_span`: the longest match in characters,
    where the syntax does not bound it. `tail`: RE2 for what may follow a match while `accept` cannot tell. An example's
    `given` is a text, its `then` the parts found.
    """

    source: ClassVar[str]
    accept: ClassVar[Accept | None] = None
    max_span: ClassVar[int] = 0
    tail: ClassVar[str] = ""


# --- personal data ---------------------------------------------------------------------------------------------------


class Email(
    BuiltIn,
    name="pii.email",
    source=r"[\pL\pN_][\pL\pN._%+'-]*@(?:[\pL\pN](?:[\pL\pN-]*[\pL\pN])?\.)+(?:xn--[a-z0-9-]+|\pL{2,24})",
):
    """An e-mail address."""

    examples: ClassVar = [
        Example(
            "in a sentence", "pii.email", "Write to ann.lee+work@mail.example.com.", ["ann.lee+work@mail.example.com"]
        ),
        Example("letters of any alphabet", "pii.email", "an jörg@müller.example", ["jörg@müller.example"]),
        Example("a mention is none", "pii.email", "@ann and b@localhost", [], acts=False),
    ]


class Phone(
    BuiltIn,
    name="pii.phone",
    accept=staticmethod(patterns_checks.phone),
    source=(
        r"(?:\+[0-9]{1,3}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{1,4}(?:[ .-]?[0-9]{2,4}){1,4}"
        r"|(?:\b1[ .-])?(?:\([0-9]{3}\) ?|\b[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}"
        r"|\b0[0-9]{1,4}[ /-][0-9]{3,4}[ -]?[0-9]{3,5})\b"
    ),
):
    """A phone number: international with `+`, North American, or national with a leading 0."""

    examples: ClassVar = [
        Example("international", "pii.phone", "call +49 30 123456 now", ["+49 30 123456"]),
        Example(
            "North American", "pii.phone", "call (415) 555-2671 or 415-555-2672", ["(415) 555-2671", "415-555-2672"]
        ),
        Example("a date and a time stamp are none", "pii.phone", "2024-01-15, 1700000000", [], acts=False),
    ]


class CreditCard(
    BuiltIn,
    name="pii.credit_card",
    accept=staticmethod(patterns_checks.luhn),
    source=(
        r"\b(?:3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}|3[0689][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{4}"
        r"|[2-6][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{1,7})\b"
    ),
):
    """The number of a payment card, with or without spaces or hyphens; its Luhn digit is checked."""

    examples: ClassVar = [
        Example("in groups", "pii.credit_card", "4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        Example("fifteen digits", "pii.credit_card", "card 378282246310005!", ["378282246310005"]),
        Example("one digit changed", "pii.credit_card", "4111 1111 1111 1112", [], acts=False),
    ]


class Iban(
    BuiltIn,
    name="pii.iban",
    accept=staticmethod(patterns_checks.iban),
    source=r"(?i)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
):
    """An international bank account number; its length and check digits (modulo 97) are checked."""

    examples: ClassVar = [
        Example("in groups", "pii.iban", "to DE89 3704 0044 0532 0130 00 please", ["DE89 3704 0044 0532 0130 00"]),
        Example("without spaces", "pii.iban", "GB82WEST12345698765432", ["GB82WEST12345698765432"]),
        Example("one digit changed", "pii.iban", "DE89 3704 0044 0532 0130 01", [], acts=False),
    ]


class SocialSecurity(
    BuiltIn,
    name="pii.us_ssn",
    accept=staticmethod(patterns_checks.social_security),
    source=r"\b[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}\b",
):
    """A United States social security number; numbers that are never issued do not count."""

    examples: ClassVar = [
        Example("with hyphens", "pii.us_ssn", "SSN 123-45-6789", ["123-45-6789"]),
        Example("never issued", "pii.us_ssn", "000-12-3456 666-12-3456 900-12-3456", [], acts=False),
    ]


class IpAddress(
    BuiltIn,
    name="pii.ip",
    accept=staticmethod(patterns_checks.address),
    tail=r"\.?",
    source=(
        r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
        r"|(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f]{1,4})?"
    ),
):
    """An IP address, version 4 or 6."""

    examples: ClassVar = [
        Example("both versions", "pii.ip", "from 192.0.2.7 to 2001:db8::1.", ["192.0.2.7", "2001:db8::1"]),
        Example("a time, a version, a scope", "pii.ip", "12:30:45, 1.2.3.4.5, 300.1.1.1, std::add", [], acts=False),
    ]


# --- credentials -----------------------------------------------------------------------------------------------------


class AwsKey(
    BuiltIn,
    name="secret.aws_key",
    source=(
        r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA)[A-Z0-9]{16}\b"
        r"|(?i:aws_?secret_?access_?key)['\"]?\s{0,4}[:=]\s{0,4}['\"]?[A-Za-z0-9/+]{40}\b"
    ),
):
    """An access key id of Amazon Web Services, or a secret access key with its name before it."""

    examples: ClassVar = [
        Example("a key id", "secret.aws_key", "id AKIAIOSFODNN7EXAMPLE", ["AKIAIOSFODNN7EXAMPLE"]),
        Example("too short", "secret.aws_key", "AKIA12345", [], acts=False),
    ]


class GithubToken(
    BuiltIn, name="secret.github_token", source=r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b"
):
    """A token of GitHub, classic or fine-grained."""

    examples: ClassVar = [
        Example("a classic token", "secret.github_token", "ghp_" + "a1B2" * 9, ["ghp_" + "a1B2" * 9]),
        Example("only the start of one", "secret.github_token", "ghp_short", [], acts=False),
    ]


_KEY_LINE = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"


class PrivateKey(
    BuiltIn,
    name="secret.private_key",
    max_span=16_384,
    source=(rf"-----BEGIN {_KEY_LINE}(?:[\sA-Za-z0-9+/=\\:,.-]*?-----END {_KEY_LINE}|[\sA-Za-z0-9+/=\\:,]*)"),
):
    """A private key in PEM or OpenPGP armour; one whose end is missing counts as far as it goes."""

    examples: ClassVar = [
        Example(
            "a whole key",
            "secret.private_key",
            "my -----BEGIN RSA PRIVATE KEY-----\nMIIB+/=\n-----END RSA PRIVATE KEY----- ok",
            ["-----BEGIN RSA PRIVATE KEY-----\nMIIB+/=\n-----END RSA PRIVATE KEY-----"],
        ),
        Example(
            "a key cut off",
            "secret.private_key",
            "-----BEGIN PRIVATE KEY-----\nMIIB",
            ["-----BEGIN PRIVATE KEY-----\nMIIB"],
        ),
        Example("a public key", "secret.private_key", "-----BEGIN PUBLIC KEY-----\nMIIB", [], acts=False),
    ]


class Jwt(
    BuiltIn, name="secret.jwt", max_span=16_384, source=r"\beyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*"
):
    """A JSON web token: header and payload as base64 of JSON, then the signature."""

    examples: ClassVar = [
        Example(
            "a token",
            "secret.jwt",
            "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"],
        ),
        Example("a header alone", "secret.jwt", "eyJhbGciOiJIUzI1NiJ9", [], acts=False),
    ]


class ApiKey(
    BuiltIn,
    name="secret.api_key",
    source=(
        r"\b(?:sk-[A-Za-z0-9_-]{16,200}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,128}|AIza[A-Za-z0-9_-]{35}"
        r"|xox[abeprs]-[A-Za-z0-9-]{10,128}|hf_[A-Za-z0-9]{30,64}|gsk_[A-Za-z0-9]{20,64}|glpat-[A-Za-z0-9_-]{20,64}"
        r"|npm_[A-Za-z0-9]{36}|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64})"
        r"|(?i:\b(?:api|access|secret)[_-]?(?:key|token))['\"]?\s{0,4}[:=]\s{0,4}['\"]?[A-Za-z0-9_./+-]{20,128}"
    ),
):
    """A key of a well-known service by its prefix, or a long value that is called an API key or token."""

    examples: ClassVar = [
        Example(
            "by its prefix", "secret.api_key", "use sk-proj-abcdefghijklmnop1234", ["sk-proj-abcdefghijklmnop1234"]
        ),
        Example(
            "by its name", "secret.api_key", "api_key = 'abcdefghij0123456789'", ["api_key = 'abcdefghij0123456789"]
        ),
        Example("words that only look like it", "secret.api_key", "a risk-averse task-force", [], acts=False),
    ]
