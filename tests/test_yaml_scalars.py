"""What unquoted text means."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.yaml_scalars import NumberError, meaning

TEXTS = [
    "True", "TRUE", "False", "NULL", "Null", "yes", "no", "on", "off", "Yes", "y", "n", "1_000", "12:30", "12:30:45",
    "2026-12-31", "2026-12-31T10:00:00Z", "NaN", "Infinity", "inf", "nan", "1.2.3", "0b101", "0O17", "0X1F", "0o8",
    "0xg", "-0x1F", "+0o7", "1e", "e3", ".", "-", "+", "..", "-.", "-a", "1,000", "60/min", "5s", "32MiB", "tru",
    "nullx", "=", "<<", "٣", "½", "x",
]  # fmt: skip
VALUES = {
    "": None, "~": None, "null": None, "true": True, "false": False,
    "0": 0, "-0": 0, "+7": 7, "012": 12, "08": 8, "-42": -42, "0o17": 15, "0x1F": 31, "0xff": 255,
    "1.5": 1.5, ".5": 0.5, "-.5": -0.5, "1.": 1.0, "1e3": 1000.0, "1E-2": 0.01, "+1.5e+2": 150.0, "0e0": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_text_stays_text(text: str) -> None:
    assert meaning(text) == text


@pytest.mark.parametrize("text", VALUES)
def test_values(text: str) -> None:
    value = meaning(text)
    assert (type(value), value) == (type(VALUES[text]), VALUES[text])


TOO_MUCH = [".inf", "-.INF", "+.Inf", ".nan", ".NaN", "1e999", "-1e999", "7" * 301, "0x" + "f" * 9999]


@pytest.mark.parametrize("text", TOO_MUCH)
def test_numbers_that_cannot_be_held(text: str) -> None:
    with pytest.raises(NumberError, match="number"):
        meaning(text)


@given(st.one_of(st.integers(-(10**299), 10**299), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_as_python_writes_them(number: float) -> None:
    value = meaning(repr(number))
    assert (type(value), value) == (type(number), number)


@given(st.text("0123456789+-.eEox_:~truefalsn", max_size=8))
def test_nothing_else_is_a_value(text: str) -> None:
    """What is neither text nor refused is what YAML 1.1's reader or Python's reads, too."""
    try:
        value = meaning(text)
    except NumberError:
        return
    if value is None or isinstance(value, bool):
        assert yaml.safe_load(text) is value
    elif not isinstance(value, str):
        assert value == (float(text) if isinstance(value, float) else int(text, 0 if text[:2] in ("0x", "0o") else 10))
