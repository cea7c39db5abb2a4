"""The second look at what a built-in pattern found: check digits, lengths, neighbours.

Each function is given a match, the byte before it and the two after, and gives how many characters of the match
count, 0 for none. Must not know patterns.
"""

from __future__ import annotations

import re
from ipaddress import ip_address


def luhn(match: str, _before: bytes, _after: bytes) -> int:
    digits = [int(char) for char in match if char.isdigit()]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return len(match) if (sum(digits[::-2]) + sum(doubled)) % 10 == 0 else 0


_COUNTRIES = """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28
    EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26
    IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28
    NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25
    SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
_IBAN_LENGTHS = {country: int(length) for country, length in re.findall("([A-Z]{2})([0-9]{2})", _COUNTRIES)}


def iban(match: str, _before: bytes, _after: bytes) -> int:
    """The number of characters of a valid IBAN at the start of the match: its country says how many."""
    wanted = _IBAN_LENGTHS.get(match[:2].upper(), 0)
    places = [place for place, char in enumerate(match) if char.isalnum()]
    if not wanted or len(places) < wanted:
        return 0
    end = places[wanted - 1] + 1
    if match[end : end + 1].isalnum():
        return 0
    compact = "".join(char for char in match[:end].upper() if char.isalnum())
    number = "".join(str(int(char, 36)) for char in compact[4:] + compact[:4])
    return end if int(number) % 97 == 1 else 0


def social_security(match: str, _before: bytes, _after: bytes) -> int:
    area, middle, serial = match[:3], match[4:6], match[7:]
    issued = area not in ("000", "666") and area < "900" and middle != "00" and serial != "0000"
    return len(match) if issued and match[3] == match[6] else 0


def phone(match: str, _before: bytes, _after: bytes) -> int:
    return len(match) if 8 <= sum(char.isdigit() for char in match) <= 15 else 0


def address(match: str, before: bytes, after: bytes) -> int:
    """An IP address that is not a part of something longer; `::` without a digit is a scope in code."""
    joining = (b".", b"_", b":") if ":" in match else (b".", b"_")  # `10.0.0.1:80` is an address and a port
    joined = before.isalnum() or before in joining or after[:1] in joining[1:]
    if joined or (after[:1] == b"." and after[1:2].isdigit()) or not any(char.isdigit() for char in match):
        return 0
    try:
        ip_address(match)
    except ValueError:
        return 0
    return len(match)
