"""The built-in patterns: personal data and credentials, with checksums where the thing has one.

Each is RE2 plus, where RE2 cannot tell, a second look at the match. Must not know who searches for them.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import ClassVar

from engine.catalogue import Entry, Example
from engine.language.regex import Accept


class BuiltIn(Entry, kind="pattern"):
    """A pattern that everybody has.

    `source`: RE2. `accept`: how much of a match counts, 0 for none. `max_span`: the longest match in characters,
    where the syntax does not bound it. An example's `given` is a text, its `then` the parts found.
    """

    source: ClassVar[str]
    accept: ClassVar[Accept | None] = None
    max_span: ClassVar[int] = 0


# --- checks ----------------------------------------------------------------------------------------------------------


def _luhn(match: str, before: bytes, after: bytes) -> int:
    digits = [int(char) for char in match if char.isdigit()]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return len(match) if (sum(digits[::-2]) + sum(doubled)) % 10 == 0 else 0


_IBAN_LENGTHS = dict(
    zip(
        *[
            iter(
                "AD 24 AE 23 AL 28 AT 20 AZ 28 BA 20 BE 16 BG 22 BH 22 BI 27 BR 29 BY 28 CH 21 CR 22 CY 28 CZ 24 DE 22 DJ 27 DK 18 "
                "DO 28 EE 20 EG 29 ES 24 FI 18 FK 18 FO 18 FR 27 GB 22 GE 22 GI 23 GL 18 GR 27 GT 28 HN 28 HR 21 HU 28 IE 22 IL 23 "
                "IQ 23 IS 26 IT 27 JO 30 KW 30 KZ 20 LB 28 LC 32 LI 21 LT 20 LU 20 LV 21 LY 25 MC 27 MD 24 ME 22 MK 19 MN 20 MR 27 "
                "MT 31 MU 30 NI 28 NL 18 NO 15 OM 23 PK 24 PL 28 PS 29 PT 25 QA 29 RO 24 RS 22 RU 33 SA 24 SC 31 SD 18 SE 24 SI 19 "
                "SK 24 SM 27 SO 23 ST 25 SV 28 TL 23 TN 24 TR 26 UA 29 VA 22 VG 24 XK 20 YE 30".split()
            )
        ]
        * 2,
        strict=True,
    )
)


def _iban(match: str, before: bytes, after: bytes) -> int:
    """The number of characters of a valid IBAN at the start of the match: its country says how many."""
    wanted = int(_IBAN_LENGTHS.get(match[:2].upper(), 0))
    places = [place for place, char in enumerate(match) if char.isalnum()]
    if not wanted or len(places) < wanted:
        return 0
    end = places[wanted - 1] + 1
    if match[end : end + 1].isalnum():
        return 0
    compact = "".join(char for char in match[:end].upper() if char.isalnum())
    number = "".join(str(int(char, 36)) for char in compact[4:] + compact[:4])
    return end if int(number) % 97 == 1 else 0


def _social_security(match: str, before: bytes, after: bytes) -> int:
    area, middle, serial = match[:3], match[4:6], match[7:]
    issued = area not in ("000", "666") and area < "900" and middle != "00" and serial != "0000"
    return len(match) if issued and match[3] == match[6] else 0


def _phone(match: str, before: bytes, after: bytes) -> int:
    return len(match) if 8 <= sum(char.isdigit() for char in match) <= 15 else 0


def _address(match: str, before: bytes, after: bytes) -> int:
    """An IP address that is not a part of something longer; `::` without a digit is a scope in code."""
    joined = before.isalnum() or before in (b".", b":", b"_") or after[:1] in (b":", b"_")
    if joined or (after[:1] == b"." and after[1:2].isdigit()) or not any(char.isdigit() for char in match):
        return 0
    try:
        ip_address(match)
    except ValueError:
        return 0
    return len(match)


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
    accept=staticmethod(_phone),
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
    accept=staticmethod(_luhn),
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
    accept=staticmethod(_iban),
    source=r"(?i)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
):
    """An international bank account number; its length and check digits (modulo 97) are checked."""

    examples: ClassVar = [
        Example("in groups", "pii.iban", "to DE89 3704 0044 0532 0130 00 please", ["DE89 3704 0044 0532 0130 00"]),
        Example("without spaces", "pii.iban", "GB82WEST12345698765432", ["GB82WEST12345698765432"]),
        Example("one digit changed", "pii.iban", "DE89 3704 0044 0532 0130 01", [], acts=False),
    ]


class SocialSecurity(
    BuiltIn, name="pii.us_ssn", accept=staticmethod(_social_security), source=r"\b[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}\b"
):
    """A United States social security number; numbers that are never issued do not count."""

    examples: ClassVar = [
        Example("with hyphens", "pii.us_ssn", "SSN 123-45-6789", ["123-45-6789"]),
        Example("never issued", "pii.us_ssn", "000-12-3456 666-12-3456 900-12-3456", [], acts=False),
    ]


class IpAddress(
    BuiltIn,
    name="pii.ip",
    accept=staticmethod(_address),
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
